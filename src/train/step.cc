#include "train/step.h"

namespace ballast {

TrainStep::TrainStep(Model& model, const BatchShape& shape, const StepOptions& options)
    : model_(model), options_(options), inputs_(model.params().device(), "inputs"),
      saved_(model.params().device(), "saved activations"), scratch_(model.params().device(), "scratch"),
      ctx_{model.params().device(), model.params(), saved_, scratch_} {
  Device& device = ctx_.device;
  const bool only_a_plan = device.planning;
  device.planning = true;
  const auto before = std::move(device.records);
  device.records.clear();
  allocate_inputs(shape);
  model_.train_step(ctx_, pass_, batch_, options_.backward);
  planned_ = std::move(device.records);
  device.records = before;
  device.planning = only_a_plan;
  if (only_a_plan) return;
  inputs_.reserve(inputs_.high_water());
  saved_.reserve(saved_.high_water());
  scratch_.reserve(scratch_.high_water());
  allocate_inputs(shape);
  pass_.load = load_;
}

void TrainStep::allocate_inputs(const BatchShape& shape) {
  inputs_.reset();
  const int64_t t = shape.tokens(), layers = std::max(1, model_.moe_layers()), experts = model_.config().n_routed_experts;
  const auto i32 = [&](int64_t n) { return inputs_.alloc(DType::i32, {n}); };
  const auto full = [&](int64_t n) { return inputs_.alloc(ctx_.full(), {n}); };
  batch_ = {.ids = i32(t), .targets = i32(t), .mtp_ids = i32(t), .mtp_targets = i32(t), .mtp_valid = i32(t),
            .scale = full(1), .mtp_scale = full(1), .loss = full(t), .mtp_loss = full(t), .correct = i32(t),
            .mtp_correct = i32(t)};
  pass_.positions = i32(t);
  pass_.segments = i32(shape.segments + 1);
  pass_.sequences = i32(shape.rows + 1);
  pass_.all_rows = i32(2);
  pass_.aux_seq = options_.aux_seq;
  pass_.aux_global = options_.aux_global;
  pass_.aux_loss = inputs_.alloc(ctx_.full(), {layers, 2});
  pass_.aux_running = inputs_.alloc(DType::i64, {layers, experts + 1});
  pass_.aux_f_seq = inputs_.alloc(ctx_.full(), {layers, shape.rows, experts});
  pass_.aux_f_global = inputs_.alloc(ctx_.full(), {layers, 1, experts});
  pass_.aux_scale = full(1);
  pass_.keep_activations = options_.keep_activations;
  if (options_.route_tape) {
    pass_.route_scores = inputs_.alloc(ctx_.full(), {layers, t, experts});
    pass_.route_ids = inputs_.alloc(DType::i32, {layers, t, model_.config().num_experts_per_tok});
  }
  pass_.nonfinite = nonfinite_ = i32(1);
  load_ = inputs_.alloc(DType::i64, {layers, experts});
}

void TrainStep::set_scalar(const Tensor& t, double value) {
  const float f = static_cast<float>(value);
  const std::complex<double> z = value;
  const void* p = t.dtype == DType::f32 ? static_cast<const void*>(&f) : static_cast<const void*>(&z);  // z starts with value
  ctx_.device.upload(t.data, p, size_of(t.dtype));
  ctx_.device.synchronize();
}

double TrainStep::scalar_at(const Tensor& t, int64_t i) {
  if (t.dtype == DType::f32) {
    float f;
    ctx_.device.download(&f, static_cast<const float*>(t.data) + i, sizeof f);
    return f;
  }
  double d;
  ctx_.device.download(&d, static_cast<const char*>(t.data) + i * static_cast<int64_t>(size_of(t.dtype)), sizeof d);
  return d;
}

void TrainStep::begin() {
  if (model_.params().training()) model_.params().begin_gradients();
  begin_forward_only();
}

void TrainStep::begin_forward_only() {
  for (const Tensor& t : {load_, nonfinite_, pass_.aux_running}) ctx_.device.zero(t.data, static_cast<size_t>(t.bytes()));
}

void TrainStep::upload(const Batch& b, int64_t targets, int64_t mtp_targets, int64_t micro_batches) {
  const auto put = [&](const Tensor& t, const std::vector<int32_t>& v) {
    CHECK(t.size() == static_cast<int64_t>(v.size()));
    ctx_.device.upload(t.data, v.data(), v.size() * sizeof(int32_t));
  };
  std::vector<int32_t> valid(b.mtp_ids().size()), sequences(static_cast<size_t>(b.rows) + 1);
  for (size_t i = 0; i < valid.size(); ++i) valid[i] = b.mtp_ids()[i] >= 0;
  for (size_t r = 0; r < sequences.size(); ++r) sequences[r] = static_cast<int32_t>(static_cast<int64_t>(r) * b.seq_len);
  put(batch_.ids, b.ids);
  put(batch_.targets, b.targets);
  put(batch_.mtp_ids, b.mtp_ids());
  put(batch_.mtp_targets, b.mtp_targets);
  put(batch_.mtp_valid, valid);
  put(pass_.positions, b.positions);
  put(pass_.segments, b.segment_offsets);
  put(pass_.sequences, sequences);
  put(pass_.all_rows, {0, static_cast<int32_t>(b.tokens())});
  set_scalar(batch_.scale, targets ? 1.0 / static_cast<double>(targets) : 0);
  set_scalar(batch_.mtp_scale, mtp_targets ? options_.mtp_loss_weight / static_cast<double>(mtp_targets) : 0);
  set_scalar(pass_.aux_scale, 1.0 / static_cast<double>(micro_batches));
  ctx_.device.synchronize();
}

LossSums TrainStep::run(const Batch& batch, int64_t targets, int64_t mtp_targets, int64_t micro_batches, bool count,
                        Trace* trace) {
  upload(batch, targets, mtp_targets, micro_batches);
  pass_.load = count ? load_ : Tensor();
  model_.train_step(ctx_, pass_, batch_, options_.backward, trace);
  LossSums sums;
  const int64_t t = batch.tokens();
  std::vector<int32_t> correct(static_cast<size_t>(t));
  ctx_.device.download(correct.data(), batch_.correct.data, correct.size() * sizeof(int32_t));
  const auto add = [&](const Tensor& loss, const std::vector<int32_t>& target, double& sum, int64_t& n) {
    const auto values = floats_of(loss);
    for (int64_t i = 0; i < t; ++i) {
      if (target[i] < 0) continue;
      sum += values[i];
      ++n;
    }
  };
  add(batch_.loss, batch.targets, sums.loss, sums.targets);
  if (model_.config().num_nextn_predict_layers > 0)
    add(batch_.mtp_loss, batch.mtp_targets, sums.mtp_loss, sums.mtp_targets);
  for (int64_t i = 0; i < t; ++i) sums.correct += batch.targets[i] >= 0 && correct[i] != 0;
  return sums;
}

std::vector<double> TrainStep::floats_of(const Tensor& t) {
  const auto read = [&]<class T>() {
    std::vector<T> host(static_cast<size_t>(t.size()));
    ctx_.device.download(host.data(), t.data, host.size() * sizeof(T));
    std::vector<double> values(host.size());
    for (size_t i = 0; i < host.size(); ++i) {
      if constexpr (std::is_same_v<T, std::complex<double>>) values[i] = host[i].real();
      else values[i] = host[i];
    }
    return values;
  };
  if (t.dtype == DType::f64) return read.operator()<double>();
  if (t.dtype == DType::c128) return read.operator()<std::complex<double>>();
  return read.operator()<float>();
}

std::vector<double> TrainStep::token_losses() { return floats_of(batch_.loss); }

std::vector<std::vector<int64_t>> TrainStep::loads() {
  const int64_t layers = model_.moe_layers(), experts = model_.config().n_routed_experts;
  std::vector<int64_t> flat(static_cast<size_t>(layers * experts));
  ctx_.device.download(flat.data(), load_.data, flat.size() * sizeof(int64_t));
  std::vector<std::vector<int64_t>> loads;
  for (int64_t l = 0; l < layers; ++l)
    loads.emplace_back(flat.begin() + l * experts, flat.begin() + (l + 1) * experts);
  return loads;
}

std::pair<double, double> TrainStep::aux_losses() {
  std::pair<double, double> sum{0, 0};
  for (int l = 0; l < model_.moe_layers(); ++l) {
    if (options_.aux_seq > 0) sum.first += scalar_at(pass_.aux_loss, 2 * l);
    if (options_.aux_global > 0) sum.second += scalar_at(pass_.aux_loss, 2 * l + 1);
  }
  return sum;
}

}  // namespace ballast
