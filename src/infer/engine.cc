#include "infer/engine.h"

#include <algorithm>

#include "infer/finite.h"

namespace ballast {

Engine::Engine(Model& model, const EngineOptions& options)
    : model_(model),
      options_(options),
      inputs_(model.params().device(), "engine inputs"),
      scratch_(model.params().device(), "engine scratch"),
      no_saved_(model.params().device(), "unused"),
      ctx_{model.params().device(), model.params(), no_saved_, scratch_},
      length_(static_cast<size_t>(options.slots), 0) {
  if (options_.slots < 1 || options_.context < 1)
    fail(ErrorKind::usage, "engine", "{} slots of {} positions", options_.slots, options_.context);
  options_.prefill_chunk = std::min(options_.prefill_chunk, options_.context);
  plan_memory();
}

void Engine::allocate_inputs() {
  inputs_.reset();
  const int64_t rows = std::max<int64_t>(options_.prefill_chunk, options_.slots), vocab = model_.config().vocab_size;
  const auto i32 = [&](int64_t n) { return inputs_.alloc(DType::i32, {n}); };
  ids_ = i32(rows);
  positions_ = i32(rows);
  segments_ = i32(2);
  kv_segments_ = i32(2);
  length_tensor_ = i32(options_.slots);
  valid_ = i32(options_.slots);
  nonfinite_ = i32(1);
  executed_ = inputs_.alloc(DType::i64, {std::max(1, model_.moe_layers())});
  logits_ = inputs_.alloc(ctx_.full(), {options_.slots, vocab});
  all_logits_ = inputs_.alloc(ctx_.full(), {options_.prefill_chunk, vocab});
  host_.reserve(static_cast<size_t>(rows));
}

void Engine::plan_memory() {
  const ModelConfig& c = model_.config();
  const int64_t width = c.kv_lora_rank + c.qk_rope_head_dim, per_layer = options_.slots * options_.context * width;
  const bool only_planning = ctx_.device.planning;
  sizes_.cache = static_cast<size_t>(per_layer * c.num_hidden_layers) * size_of(ctx_.storage());
  cache_ = Buffer(ctx_.device, only_planning ? 1 : sizes_.cache);
  for (int l = 0; l < c.num_hidden_layers; ++l) {
    char* at = static_cast<char*>(cache_.data()) + l * per_layer * static_cast<int64_t>(size_of(ctx_.storage()));
    layers_.push_back({Tensor(at, ctx_.storage(), {options_.slots, options_.context, width})});
  }
  // The largest prefill chunk with the longest past, and a full decode step: a dry run of each.
  Device& device = ctx_.device;
  device.planning = true;
  allocate_inputs();
  pass_ = {.cache = &layers_, .kv_segments = kv_segments_, .executed = executed_, .nonfinite = nonfinite_};
  const auto dry = [&](Pass::Mode mode, int64_t rows) {
    ArenaScope scope(scratch_);
    pass_.mode = mode;
    pass_.positions = positions_.rows(0, rows);
    pass_.segments = segments_;
    pass_.kv_segments = kv_segments_;
    pass_.length = length_tensor_;
    pass_.valid = mode == Pass::Mode::decode ? valid_ : Tensor();
    pass_.past = mode == Pass::Mode::prefill ? options_.context - rows : 0;
    model_.infer(ctx_, pass_, ids_.rows(0, rows));
  };
  dry(Pass::Mode::prefill, options_.prefill_chunk);
  // Fewer rows are not padded to the products' alignment, and may need more scratch per row: plan them, too.
  dry(Pass::Mode::prefill, std::min<int64_t>(63, options_.prefill_chunk));
  dry(Pass::Mode::decode, options_.slots);
  device.records.clear();
  sizes_.inputs = inputs_.high_water();
  sizes_.scratch = scratch_.high_water();
  device.planning = only_planning;
  if (only_planning) return;
  inputs_.reserve(sizes_.inputs);
  scratch_.reserve(sizes_.scratch);
  allocate_inputs();
  pass_.kv_segments = kv_segments_;
  pass_.executed = executed_;
  pass_.nonfinite = nonfinite_;
  pass_.segments = segments_;
  pass_.length = length_tensor_;
  reset_executed();
  device.zero(nonfinite_.data, 4);
}

void Engine::put(const Tensor& to, std::span<const int32_t> values) {
  ctx_.device.upload(to.data, values.data(), values.size() * sizeof(int32_t));
  ctx_.device.synchronize();
}

void Engine::check_ids(std::span<const int32_t> ids, int32_t lowest) const {
  for (const int32_t id : ids)
    if (id < lowest || id >= model_.config().vocab_size)
      fail(ErrorKind::usage, "token", "id {} is outside the model's vocabulary of {}", id, model_.config().vocab_size);
}

void Engine::start(int slot, std::span<const int32_t> ids) {
  CHECK(slot >= 0 && slot < options_.slots);
  if (ids.empty()) fail(ErrorKind::usage, "prompt", "is empty");
  if (static_cast<int64_t>(ids.size()) > options_.context)
    fail(ErrorKind::usage, "prompt", "{} tokens, but the context is {}", ids.size(), options_.context);
  check_ids(ids, 0);
  length_[slot] = 0;
}

void Engine::run_chunk(int slot, std::span<const int32_t> ids, bool all) {
  const int64_t n = static_cast<int64_t>(ids.size()), past = length_[slot];
  put(ids_, ids);
  host_.clear();
  for (int64_t i = 0; i < n; ++i) host_.push_back(static_cast<int32_t>(past + i));
  put(positions_, host_);
  const int32_t segments[2] = {0, static_cast<int32_t>(n)}, kv[2] = {0, static_cast<int32_t>(past + n)};
  put(segments_, segments);
  put(kv_segments_, kv);
  pass_.mode = Pass::Mode::prefill;
  pass_.valid = {};
  pass_.slot = slot;
  pass_.past = past;
  pass_.positions = positions_.rows(0, n);
  ArenaScope scope(scratch_);
  const Tensor hidden = model_.infer(ctx_, pass_, ids_.rows(0, n));
  const Tensor logits = all ? all_logits_.rows(0, n) : logits_.rows(0, 1);
  model_.logits(ctx_, all ? hidden : hidden.rows(n - 1, n), logits);
  length_[slot] += n;
  check_finite(logits, {});
}

// Rows of a token of -1 do not count. The router's flag covers what does not reach the logits: a row with NaN in its
// router's logits runs experts with weight 0, and looks whole afterwards.
void Engine::check_finite(const Tensor& logits, std::span<const int32_t> tokens) {
  int32_t flag = 0;
  ctx_.device.download(&flag, nonfinite_.data, sizeof flag);
  bool finite = flag == 0;
  if (ctx_.device.kind != DeviceKind::cuda)  // the host does not see the logits there
    for (int64_t i = 0; finite && i < logits[0]; ++i)
      finite = (!tokens.empty() && tokens[i] < 0) || all_finite(logits.rows(i, i + 1));
  if (finite) return;
  ctx_.device.zero(nonfinite_.data, sizeof flag);
  fail_not_finite(model_.params(), flag != 0 ? "a router's logits" : "the logits");
}

void Engine::prefill(int slot, std::span<const int32_t> ids) {
  start(slot, ids);
  for (size_t at = 0; at < ids.size();) {
    const size_t n = chunk(ids.size() - at);
    run_chunk(slot, ids.subspan(at, n), false);
    at += n;
  }
}

void Engine::decode(std::span<const int32_t> tokens) {
  const int64_t n = static_cast<int64_t>(tokens.size());
  CHECK(n >= 1 && n <= options_.slots);
  check_ids(tokens, -1);
  for (int64_t i = 0; i < n; ++i)
    if (tokens[i] >= 0 && length_[i] >= options_.context)
      fail(ErrorKind::usage, "context", "slot {} is full: {} positions", i, options_.context);
  host_.clear();
  for (int64_t i = 0; i < n; ++i) host_.push_back(tokens[i] >= 0);
  put(valid_, host_);
  for (int64_t i = 0; i < n; ++i) host_[i] = tokens[i] >= 0 ? static_cast<int32_t>(++length_[i]) : 0;
  put(length_tensor_, host_);
  for (int32_t& p : host_) p = std::max(0, p - 1);
  put(positions_, host_);
  put(ids_, tokens);
  pass_.mode = Pass::Mode::decode;
  pass_.positions = positions_.rows(0, n);
  pass_.length = length_tensor_.rows(0, n);
  pass_.valid = valid_.rows(0, n);
  ArenaScope scope(scratch_);
  const Tensor hidden = model_.infer(ctx_, pass_, ids_.rows(0, n));
  model_.logits(ctx_, hidden, logits_.rows(0, n));
  check_finite(logits_.rows(0, n), tokens);
}

int32_t Engine::argmax(int row) const {
  const int64_t vocab = logits_[1];
  const auto best = [&]<class T>() {
    const T* p = static_cast<const T*>(logits_.data) + row * vocab;
    return static_cast<int32_t>(std::max_element(p, p + vocab) - p);
  };
  CHECK(ctx_.device.kind != DeviceKind::cuda);
  return logits_.dtype == DType::f64 ? best.operator()<double>() : best.operator()<float>();
}

int32_t Engine::prefill_argmax(int slot, std::span<const int32_t> ids) {
  prefill(slot, ids);
  return argmax(0);
}

int32_t Engine::decode_argmax(int slot, int32_t token) {
  CHECK(slot == 0);
  decode(std::span<const int32_t>(&token, 1));
  return argmax(0);
}

std::vector<int64_t> Engine::executed() {
  std::vector<int64_t> counts(static_cast<size_t>(executed_[0]));
  ctx_.device.download(counts.data(), executed_.data, counts.size() * sizeof(int64_t));
  return counts;
}

void Engine::reset_executed() { ctx_.device.zero(executed_.data, static_cast<size_t>(executed_.bytes())); }

}  // namespace ballast
