#include "inspect/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "formats/safetensors.h"
#include "infer/engine.h"
#include "model/moe/balance_rule.h"
#include "model/weights.h"
#include "train/optimizer.h"
#include "train/step.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

// How close is close enough, by kind of quantity: torch in f32 is at 1.5e-6 (logits), 3.5e-6 (gradients), 8e-7 (losses)
// and 7e-6 (gradient norms) from torch in f64 on these models; a latent norm with the wrong epsilon is at 3e-5.
// A weight after ten Adam steps: where a gradient is near zero, Adam divides rounding by itself. The references' own f32
// is at 7e-5 from this model in f64.
constexpr double kTrainedWeights = 2e-4;
constexpr double kActivations = 1e-5, kGradients = 3e-5, kLosses = 1e-5, kNorms = 5e-5, kWeights = 1e-5, kBias = 1e-6;
constexpr double kMtpWeight = 0.3;

class Verifier {
 public:
  Verifier(const fs::path& folder, Device& device, DType storage)
      : device_(device), storage_(storage), weights_(Checkpoint::open(folder)),
        reference_(Checkpoint::open(reference_file(folder))), config_(read_model_config(folder, weights_)),
        table_(make_param_table(config_)) {
    if (!reference_.contains("input_ids"))
      fail(ErrorKind::format, reference_.path().string(), "has no input_ids: not a reference file");
    check_tokens("input_ids", 2);
    check_tokens("train_ids", 3);
    check_tokens("greedy", 2);
    check_biases();
  }

  Verification run() {
    forward_and_gradients();
    greedy();
    if (reference_.contains("train_ids")) {
      training("none");
      training("sign");
    }
    return std::move(result_);
  }

 private:
  // Token ids of the model in so many axes, the last of which holds a sequence; or absent.
  void check_tokens(const std::string& name, size_t axes) const {
    const FileTensor* t = reference_.find(name);
    if (!t) return;
    const std::string where = reference_.path().string() + ": " + name;
    if (t->shape.size() != axes || t->elements() == 0 || t->shape.back() < 2)
      fail(ErrorKind::format, where, "{}, not {} axes with sequences of two tokens at least", shape_text(t->shape),
           axes);
    for (const int64_t id : integers(name))
      if (id < 0 || id >= config_.vocab_size)
        fail(ErrorKind::format, where, "id {} is outside the model's vocabulary of {}", id, config_.vocab_size);
  }

  // The reference has no bias that the model lacks.
  void check_biases() const {
    for (const int layer : config_.moe_layers()) {
      const std::string name = "train.sign.bias." + std::to_string(layer);
      if (reference_.contains(name) && bias_id(layer) == kNoParam)
        fail(ErrorKind::format, reference_.path().string() + ": " + name,
             "the reference's router has a bias, but config.json's ({}, {}) has none: they do not belong together",
             config_.scoring_func, config_.topk_method);
    }
  }

  static fs::path reference_file(const fs::path& folder) {
    const fs::path file = folder / "reference.safetensors";
    if (!fs::exists(file))
      fail(ErrorKind::file, folder.string(), "no reference.safetensors: verify needs a folder with reference results");
    return file;
  }

  std::vector<double> floats(const std::string& name) const {
    const FileTensor& t = reference_.at(name);
    std::vector<double> v(static_cast<size_t>(t.elements()));
    reference_.read(name, t.shape, std::span<double>(v));
    return v;
  }
  std::vector<int64_t> integers(const std::string& name) const {
    const FileTensor& t = reference_.at(name);
    std::vector<int64_t> v(static_cast<size_t>(t.elements()));
    reference_.read(name, t.shape, std::span<int64_t>(v));
    return v;
  }

  std::vector<double> host(const Tensor& t) const {
    std::vector<double> v(static_cast<size_t>(t.size()));
    CHECK(t.contiguous());
    if (t.dtype == DType::f64) {
      device_.download(v.data(), t.data, v.size() * 8);
    } else {
      std::vector<float> f(v.size());
      device_.download(f.data(), t.data, f.size() * 4);
      std::copy(f.begin(), f.end(), v.begin());
    }
    return v;
  }

  void compare(const std::string& name, const std::vector<double>& got, const std::vector<double>& want, double limit,
               bool absolute = false) {
    if (got.size() != want.size())
      fail(ErrorKind::shape, name, "the reference has {} values, the model {}", want.size(), got.size());
    double difference = 0, scale = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      difference = std::max(difference, std::isfinite(got[i]) ? std::abs(got[i] - want[i]) : INFINITY);
      scale = std::max(scale, std::abs(want[i]));
    }
    // An all-zero reference must be met exactly.
    const double error = absolute ? difference : scale > 0 ? difference / scale : difference > 0 ? INFINITY : 0;
    result_.quantities.push_back({name, error, limit});
  }

  Batch batch_of(const std::vector<int64_t>& ids, int64_t rows, int64_t length) const {
    Batch b(rows, length, rows);
    std::vector<int32_t> tokens(static_cast<size_t>(length));
    const std::vector<int64_t> documents(static_cast<size_t>(length), 0);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < length; ++i) tokens[i] = static_cast<int32_t>(ids[r * length + i]);
      set_row(b, r, tokens, documents, true);
    }
    return b;
  }

  void forward_and_gradients() {
    const auto& shape = reference_.at("input_ids").shape;
    const Batch batch = batch_of(integers("input_ids"), shape[0], shape[1]);
    ParamStore params(device_, table_, {.storage = storage_, .training = true});
    load_weights(params, weights_);
    Model model(config_, params);
    TrainStep step(model, batch, {.mtp_loss_weight = kMtpWeight});
    step.begin();
    Trace trace;
    const LossSums losses = step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true, &trace);
    for (size_t i = 0; i < trace.hidden.size(); ++i)
      compare("hidden." + std::to_string(i), host(trace.hidden[i]), floats("hidden." + std::to_string(i)), kActivations);
    routing(trace);
    logits(model, step, trace, batch);
    compare("loss_main", {losses.mean()}, floats("loss_main"), kLosses);
    const bool mtp = reference_.contains("loss_mtp");
    if (mtp) compare("loss_mtp", {losses.mtp_mean()}, floats("loss_mtp"), kLosses);
    compare("loss", {losses.mean() + (mtp ? kMtpWeight * losses.mtp_mean() : 0)}, floats("loss"), kLosses);
    gradients(params);
  }

  void routing(const Trace& trace) {
    const auto layers = config_.moe_layers();
    for (size_t l = 0; l < layers.size(); ++l) {
      const std::string name = "router." + std::to_string(layers[l]) + ".";
      if (!reference_.contains(name + "experts")) continue;
      const MoeLayer::Saved& s = trace.routing[l];
      const int64_t rows = s.ids[0], k = s.ids[1], experts = s.logits[1];
      std::vector<int32_t> ids(static_cast<size_t>(rows * k));
      device_.download(ids.data(), s.ids.data, ids.size() * 4);
      const auto logits = host(s.logits), weights = host(s.weights);
      std::vector<double> got_logits, got_weights;
      std::vector<int64_t> got_ids;
      for (int64_t t = 0; t < rows; ++t) {
        if (ids[t * k] < 0) continue;  // the MTP layer's last row of a sequence
        got_logits.insert(got_logits.end(), logits.begin() + t * experts, logits.begin() + (t + 1) * experts);
        std::vector<std::pair<int32_t, double>> row;  // experts in ascending order
        for (int64_t j = 0; j < k; ++j) row.emplace_back(ids[t * k + j], weights[t * k + j]);
        std::sort(row.begin(), row.end());
        for (const auto& [id, w] : row) {
          got_ids.push_back(id);
          got_weights.push_back(w);
        }
      }
      compare(name + "logits", got_logits, floats(name + "logits"), kActivations);
      compare(name + "weights", got_weights, floats(name + "weights"), kWeights);
      choices(name + "experts", got_ids);
    }
  }

  void choices(const std::string& name, const std::vector<int64_t>& got) {
    const auto want = integers(name);
    if (got.size() != want.size()) fail(ErrorKind::shape, name, "the reference has {} values, the model {}", want.size(), got.size());
    double differences = 0;
    for (size_t i = 0; i < want.size(); ++i) differences += got[i] != want[i];
    result_.quantities.push_back({name, differences, 0});
  }

  void logits(Model& model, TrainStep& step, const Trace& trace, const Batch& batch) {
    const int64_t t = batch.tokens(), vocab = config_.vocab_size;
    Buffer memory(device_, static_cast<size_t>(t * vocab) * size_of(step.context().full()));
    const Tensor out(memory.data(), step.context().full(), {t, vocab});
    model.logits(step.context(), trace.hidden.back(), out);
    compare("logits", host(out), floats("logits"), kActivations);
    if (!trace.mtp_hidden || !reference_.contains("mtp_logits")) return;
    model.logits(step.context(), trace.mtp_hidden, out);
    const auto all = host(out);
    std::vector<double> got;
    for (int64_t i = 0; i < t; ++i)
      if (batch.mtp_ids()[i] >= 0) got.insert(got.end(), all.begin() + i * vocab, all.begin() + (i + 1) * vocab);
    compare("mtp_logits", got, floats("mtp_logits"), kActivations);
  }

  void gradients(ParamStore& params) {
    params.finish_gradients();
    for (size_t id = 0; id < table_.list.size(); ++id) {
      if (table_.list[id].kind == ParamKind::buffer) continue;
      const auto all = host(params.grad(static_cast<ParamId>(id)));
      for (const HubTensor& t : table_.list[id].hub) {
        const std::string name = "grad." + t.name;
        if (reference_.contains(name))
          compare(name, {all.begin() + t.offset, all.begin() + t.offset + t.size()}, floats(name), kGradients);
      }
    }
  }

  void greedy() {
    if (!reference_.contains("greedy")) return;
    const auto want = integers("greedy");
    ParamStore params(device_, table_, {.storage = storage_});
    load_weights(params, weights_);
    Model model(config_, params);
    const int64_t total = static_cast<int64_t>(want.size()), prompt = greedy_prompt(want);
    Engine engine(model, {.slots = 1, .context = total, .prefill_chunk = 7});  // an odd chunk: chunked prefill is tested, too
    std::vector<int32_t> ids(want.begin(), want.begin() + prompt);
    std::vector<int64_t> got(want.begin(), want.begin() + prompt);
    int32_t token = engine.prefill_argmax(0, ids);
    while (static_cast<int64_t>(got.size()) < total) {
      got.push_back(token);
      if (static_cast<int64_t>(got.size()) < total) token = engine.decode_argmax(0, token);
    }
    choices("greedy", got);
  }

  // The prompt is as much of input_ids' first row as `greedy` begins with.
  int64_t greedy_prompt(const std::vector<int64_t>& greedy) const {
    const auto ids = integers("input_ids");
    const int64_t length = reference_.at("input_ids").shape[1];
    int64_t n = 0;
    while (n < length && n < static_cast<int64_t>(greedy.size()) && ids[n] == greedy[n]) ++n;
    return std::min<int64_t>(n, 16);
  }

  // Ten AdamW steps, with the bias fixed or following the sign rule.
  void training(const std::string& rule) {
    const std::string prefix = "train." + rule + ".";
    if (!reference_.contains(prefix + "losses")) return;
    const auto& shape = reference_.at("train_ids").shape;
    const auto ids = integers("train_ids");
    ParamStore params(device_, table_, {.storage = storage_, .training = true});
    load_weights(params, weights_);
    Model model(config_, params);
    const int64_t rows = shape[1], length = shape[2];
    TrainStep step(model, batch_of({ids.begin(), ids.begin() + rows * length}, rows, length), {.mtp_loss_weight = kMtpWeight});
    Optimizer optimizer(params, {.learning_rate = 1e-3, .weight_decay = 0.1, .clip_norm = 1});
    std::vector<double> losses, norms;
    for (int64_t s = 0; s < shape[0]; ++s) {
      const auto first = ids.begin() + s * rows * length;
      const Batch batch = batch_of({first, first + rows * length}, rows, length);
      step.begin();
      const LossSums sums = step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true);
      losses.push_back(sums.mean() + kMtpWeight * sums.mtp_mean());
      norms.push_back(optimizer.step(1e-3, step.nonfinite()).grad_norm);
      if (rule == "sign") update_biases(params, step.loads());
    }
    compare(prefix + "losses", losses, floats(prefix + "losses"), kLosses);
    compare(prefix + "grad_norms", norms, floats(prefix + "grad_norms"), kNorms);
    if (reference_.contains(prefix + "lm_head"))
      compare(prefix + "lm_head", host(params.master(table_.model.head)), floats(prefix + "lm_head"), kTrainedWeights);
    for (const int layer : config_.moe_layers()) {
      const std::string name = prefix + "bias." + std::to_string(layer);
      if (reference_.contains(name)) compare(name, bias(params, layer), floats(name), kBias, true);
    }
  }

  ParamId bias_id(int layer) const {
    const auto& m = table_.model;
    return layer < config_.num_hidden_layers ? m.blocks[layer].moe.bias : m.mtp[layer - config_.num_hidden_layers].block.moe.bias;
  }
  std::vector<double> bias(const ParamStore& params, int layer) const {
    std::vector<double> v(static_cast<size_t>(config_.n_routed_experts));
    params.read(bias_id(layer), 0, v.data(), config_.n_routed_experts);
    return v;
  }
  void update_biases(ParamStore& params, const std::vector<std::vector<int64_t>>& loads) const {
    const auto layers = config_.moe_layers();
    BalanceConfig rule;
    rule.rule = "sign";
    for (size_t l = 0; l < layers.size(); ++l) {
      if (bias_id(layers[l]) == kNoParam) continue;
      const auto before = bias(params, layers[l]);
      std::vector<float> values(before.begin(), before.end());
      update_bias(rule, 0.01, loads[l], values);
      const std::vector<double> after(values.begin(), values.end());
      params.write(bias_id(layers[l]), 0, after.data(), config_.n_routed_experts);
    }
  }

  Device& device_;
  DType storage_;
  Checkpoint weights_, reference_;
  ModelConfig config_;
  ParamTable table_;
  Verification result_;
};

}  // namespace

bool Verification::okay() const {
  return std::all_of(quantities.begin(), quantities.end(), [](const Quantity& q) { return q.ok(); });
}

Json Verification::to_json() const {
  Json json = Json::object();
  json["okay"] = okay();
  Json& list = json["quantities"] = Json::array();
  for (const Quantity& q : quantities) {
    Json one = Json::object();
    one["name"] = q.name;
    one["error"] = q.error;
    one["limit"] = q.limit;
    one["ok"] = q.ok();
    list.push_back(std::move(one));
  }
  return json;
}

std::string Verification::worst_by_group() const {
  std::vector<std::pair<std::string, std::vector<const Quantity*>>> groups;
  for (const Quantity& q : quantities) {
    const auto group = [&] {
      if (q.name.starts_with("router.")) return "router " + q.name.substr(q.name.rfind('.') + 1);
      if (q.name.starts_with("train.")) return "train " + q.name.substr(6, q.name.find('.', 6) - 6) + " " +
                                               q.name.substr(q.name.find('.', 6) + 1, q.name.find('.', q.name.find('.', 6) + 1) - q.name.find('.', 6) - 1);
      return q.name.substr(0, q.name.find('.'));
    }();
    if (groups.empty() || groups.back().first != group) {
      const auto it = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == group; });
      if (it == groups.end()) groups.push_back({group, {&q}});
      else it->second.push_back(&q);
    } else {
      groups.back().second.push_back(&q);
    }
  }
  std::string text;
  for (const auto& [name, list] : groups) {
    const Quantity* worst = *std::max_element(list.begin(), list.end(), [](const Quantity* a, const Quantity* b) {
      return a->error / std::max(a->limit, 1e-300) < b->error / std::max(b->limit, 1e-300);
    });
    text += fmt::format("{:<21} {:>4} tensor{}  worst {:.2e}  allowed {:.0e}  {:<6}  {}\n", name, list.size(),
                        list.size() == 1 ? " " : "s", worst->error, worst->limit, worst->ok() ? "ok" : "FAILED",
                        list.size() == 1 && worst->name == name ? "" : worst->name);
  }
  return text;
}

Verification verify(const fs::path& folder, Device& device, DType storage) {
  if (!fs::is_directory(folder)) fail(ErrorKind::file, folder.string(), "no such folder");
  return Verifier(folder, device, storage).run();
}

}  // namespace ballast
