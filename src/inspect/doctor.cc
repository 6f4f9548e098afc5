#include "inspect/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/utf8.h"
#include "inspect/router_probe.h"
#include "inspect/run_health.h"
#include "inspect/weight_statistics.h"
#include "model/moe/moe.h"
#include "model/weights.h"
#include "train/bias_health.h"
#include "train/checkpoint.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr double kLeastMargin = 0.1;  // of sigmoid scores' range, 1
constexpr double kDrift = 1;          // ... which a mean bias should not exceed
constexpr double kBf16Flip = 0.01;    // share of rows
constexpr double kNormRatio = 10;     // largest over smallest row of a gate

const char* name_of(Health h) {
  switch (h) {
    case Health::good:
      return "good";
    case Health::note:
      return "note";
    case Health::ill:
      return "ill";
    case Health::unknown:
      break;
  }
  return "unknown";
}

bool finite(const std::vector<float>& v) {
  return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
}

class Examination {
 public:
  Examination(const fs::path& checkpoint, const DoctorOptions& options)
      : options_(options),
        weights_(Checkpoint::open(checkpoint)),
        config_(read_model_config(checkpoint, weights_)),
        table_(make_param_table(config_)),
        route_(route_config(config_)),
        device_(Device::make(DeviceKind::cpu, options.threads)) {
    for (const int layer : config_.moe_layers()) look_at(read_router(weights_, table_, layer));
  }

  std::vector<Finding> findings() {
    std::vector<Finding> list;
    if (const Fp8Statistics fp8 = fp8_statistics(weights_); fp8.tensors > 0) list.push_back(scales(fp8));
    if (config_.moe_layers().empty()) {
      list.push_back({.check = "router", .figure = "no MoE layers: nothing to examine"});
      return list;
    }
    for (Finding f : {gates(), rows(), foreign_biases()}) list.push_back(std::move(f));
    const bool biased = config_.topk_method == "noaux_tc";
    list.push_back(biased ? presence()
                          : Finding{.check = "bias",
                                    .figure = fmt::format("{} router ({}): it has no bias", config_.scoring_func,
                                                          config_.topk_method)});
    if (!biased || shapes_.empty()) return list;
    for (Finding f : {constant(), drift(), saturation(), bf16(), zero_mask(), biased_weights()})
      list.push_back(std::move(f));
    return list;
  }
  const ModelConfig& config() const { return config_; }

 private:
  void look_at(const Router& r) {
    const bool whole = !r.gate.empty() && finite(r.gate);
    if (r.gate.empty())
      bad_gates_.push_back(lost(r.gate_name, r.gate_dtype));
    else if (!whole)
      bad_gates_.push_back(r.gate_name + " has values that are not finite");
    else if (*r.gate_dtype == FileDType::f8_e4m3)
      bad_gates_.push_back(r.gate_name + " is stored in FP8");
    if (whole) norms_[r.layer] = row_norms(r);
    if (!r.has_bias) return;
    if (r.bias.empty())
      bad_biases_.push_back(lost(r.bias_name, r.bias_dtype));
    else if (!finite(r.bias))
      bad_biases_.push_back(r.bias_name + " has values that are not finite");
    else if (*r.bias_dtype != FileDType::f32 && *r.bias_dtype != FileDType::f64)
      bad_biases_.push_back(fmt::format("{} is stored in {}", r.bias_name, ballast::name_of(*r.bias_dtype)));
    if (r.bias.empty() || !finite(r.bias)) return;
    shapes_[r.layer] = bias_shape(r.bias);
    if (whole) probes_[r.layer] = probe_router(*device_, route_, r, norm_before(r.layer), options_.probe_rows);
  }

  static std::string lost(const std::string& name, const std::optional<FileDType>& dtype) {
    return name +
           (dtype ? fmt::format(" is stored as {} and cannot be decoded", ballast::name_of(*dtype)) : " is not there");
  }

  // The weight of the norm that the gate's input comes from; ones where it is missing, which `inspect` says.
  std::vector<float> norm_before(int layer) const {
    const HubTensor& t = table_.list[table_.model.block(layer).post_norm].hub.front();
    std::vector<float> norm(static_cast<size_t>(config_.hidden_size), 1.0f);
    if (weights_.contains(t.name)) read_weight(weights_, t.name, t.shape, std::span<float>(norm));
    return norm;
  }

  // A figure per layer, the largest (or, `least`, the smallest) of which decides.
  template <class F>
  static int collect(Finding& f, const auto& layers, F&& value, bool least = false) {
    for (const auto& [layer, x] : layers) f.layers[layer] = value(x);
    const auto before = [&](const auto& a, const auto& b) { return least ? a.second > b.second : a.second < b.second; };
    const auto worst = std::max_element(f.layers.begin(), f.layers.end(), before);
    if (worst == f.layers.end()) return -1;
    f.value = worst->second;
    return worst->first;
  }

  static Finding listed(const char* check, const std::vector<std::string>& bad, std::string good) {
    Finding f{.check = check, .value = static_cast<double>(bad.size()), .threshold = 0};
    f.health = bad.empty() ? Health::good : Health::ill;
    f.figure = bad.empty() ? std::move(good)
                           : printable(bad.front()) +
                                 (bad.size() > 1 ? fmt::format(" (and {} more like it)", bad.size() - 1) : "");
    return f;
  }

  static Finding scales(const Fp8Statistics& fp8) {
    Finding f =
        listed("FP8 scales", fp8.lost.empty() ? fp8.bad : fp8.lost,
               fmt::format("{} FP8 tensors, each with scales that are positive, finite and normal", fp8.tensors));
    if (fp8.lost.empty() && !fp8.bad.empty()) f.health = Health::note;  // a block of zeros, or next to it
    f.meaning = "an FP8 matrix is codes times scales: without them, or with one that is no number, its values are lost";
    f.advice = "take the tensor and its scales from the checkpoint this one was made of";
    return f;
  }

  Finding gates() const {
    Finding f =
        listed("gate", bad_gates_, fmt::format("{} gates, finite, in a type that keeps their digits", norms_.size()));
    f.meaning = "the router's logits decide which experts run; they are computed in f32 from a gate in f32 or bf16";
    f.advice = "take the gate from the checkpoint this one was made of";
    return f;
  }

  Finding rows() const {
    Finding f{.check = "gate rows", .threshold = kNormRatio};
    const int worst = collect(f, norms_, [](const std::vector<double>& n) {
      const auto [low, high] = std::minmax_element(n.begin(), n.end());
      return *low > 0 ? *high / *low : INFINITY;
    });
    if (worst < 0) return unknown(f);
    f.health = f.value <= f.threshold ? Health::good : std::isfinite(f.value) ? Health::note : Health::ill;
    f.figure = fmt::format("the longest row of a gate is {:.2f} times the shortest (layer {}); {:g} is much", f.value,
                           worst, f.threshold);
    f.meaning = "an expert with a short row is chosen alike for every token, one with a row of zeros by its bias alone";
    f.advice = "look at that layer's loads; an expert that never differs is a candidate for skipping";
    return f;
  }

  Finding foreign_biases() const {
    std::vector<std::string> found;
    for (const std::string& name : weights_.names())
      if (name.ends_with(".gate.bias")) found.push_back(name + " would be added to the logits");
    Finding f = listed("gate bias", found, "no bias on the logits");
    f.meaning = "no model of the family has one: with it, gate weights are made of biased scores";
    f.advice = "if it is the balancing bias, store it as mlp.gate.e_score_correction_bias, which only selects";
    return f;
  }

  Finding presence() const {
    Finding f =
        listed("bias", bad_biases_, fmt::format("a bias in each of {} MoE layers, finite, in f32", shapes_.size()));
    f.meaning = "without its bias a router overloads the experts that it was kept from; in bf16 its small steps vanish";
    f.advice = "take the biases from the checkpoint this one was made of, in f32";
    return f;
  }

  Finding constant() const {
    Finding f{.check = "frozen", .threshold = 0};
    for (const auto& [layer, b] : shapes_) f.layers[layer] = b.spread() == 0;
    f.value =
        std::accumulate(f.layers.begin(), f.layers.end(), 0.0, [](double n, const auto& l) { return n + l.second; });
    f.health = f.value > 0 ? Health::note : Health::good;
    f.figure = fmt::format("{:.0f} of {} layers have all biases equal", f.value, f.layers.size());
    f.meaning = "the bias was never updated, or was lost on the way and filled in";
    f.advice = "right for balance.rule none, auxiliary losses and a fresh model; else look where it was lost";
    return f;
  }

  Finding drift() const {
    Finding f{.check = "drift", .threshold = kDrift};
    const int worst = collect(f, shapes_, [](const BiasShape& b) { return std::abs(b.mean); });
    const double mean = shapes_.at(worst).mean;
    f.health = f.value > f.threshold ? Health::note : Health::good;
    f.figure = fmt::format("mean bias {:.4g} (layer {}); scores are below 1", mean, worst);
    f.meaning =
        "routing is blind to a common offset, but digits are spent on it: choices in f32 get coarser, in bf16 wrong";
    f.advice = "`ballast convert DIR --center-bias --out DIR2`, and a rule that centers (sign_centered) in training";
    return f;
  }

  Finding saturation() const {
    Finding f{.check = "saturation", .threshold = kLeastMargin};
    const int worst = collect(
        f, shapes_, [](const BiasShape& b) { return b.saturation_margin(); }, true);
    f.health = f.value <= 0 ? Health::ill : f.value < f.threshold ? Health::note : Health::good;
    f.figure = fmt::format("1 - (largest - smallest bias) is {:.3f} (layer {}); {:g} is asked for", f.value, worst,
                           f.threshold);
    f.meaning = "scores lie between 0 and 1: at 0 and below, some expert goes before another whatever the token says";
    f.advice = "lower balance.bias_update_rate, or keep balance with a loss (aux.global) so that the bias need not";
    return f;
  }

  Finding bf16() const {
    Finding f{.check = "bf16", .threshold = kBf16Flip};
    const int worst = collect(f, probes_, [](const RouterProbe& p) { return p.bf16_flip; });
    if (worst < 0) return unknown(f);
    f.health = f.value > f.threshold ? Health::note : Health::good;
    f.figure = fmt::format(
        "rounded to bf16, {} of {} biases differ and {:.1f} % of random rows change experts (layer {}); "
        "centered first {:.1f} %; {:.0f} % is much",
        shapes_.at(worst).bf16_distinct, config_.n_routed_experts, 100 * f.value, worst,
        100 * probes_.at(worst).centered_bf16_flip, 100 * f.threshold);
    f.meaning = "a program that casts the bias to bf16 with the model routes otherwise than this model was trained";
    f.advice = "keep e_score_correction_bias in f32; `ballast convert --center-bias` makes bf16 harm it less";
    return f;
  }

  Finding zero_mask() const {
    Finding f{.check = "zero mask", .threshold = 0};
    if (route_.groups == 1) {
      f.figure = "no groups: nothing is masked";
      return f;
    }
    const int worst = collect(
        f, probes_, [](const RouterProbe& p) { return p.lowest_choice; }, true);
    if (worst < 0) return unknown(f);
    double flips = 0;
    for (const auto& [layer, p] : probes_) flips = std::max(flips, p.zero_mask_flip);
    f.health = f.value < 0 ? Health::note : Health::good;
    f.figure = fmt::format(
        "the smallest score + bias is {:.3g} (layer {}); with excluded groups at 0 instead of -inf {:.1f} % of "
        "random rows would choose otherwise",
        f.value, worst, 100 * flips);
    f.meaning =
        "below 0, programs that mask with 0.0 let excluded experts in: transformers before PR 45441, early vLLM, "
        "SGLang";
    f.advice = "serve it with a program that masks with -inf, as this one does; check with `ballast verify`";
    return f;
  }

  Finding biased_weights() const {
    Finding f{.check = "gate weights"};
    const int worst = collect(f, probes_, [](const RouterProbe& p) { return p.biased_weight_error; });
    if (worst < 0) return unknown(f);
    f.figure = fmt::format(
        "made of biased scores, a known mistake, gate weights would be off by {:.1f} % (layer {}); ours are not",
        100 * f.value, worst);
    return f;
  }

  static Finding unknown(Finding f) {
    f.health = Health::unknown;
    f.figure = "not known: no layer has a whole router";
    return f;
  }

  DoctorOptions options_;
  Checkpoint weights_;
  ModelConfig config_;
  ParamTable table_;
  ops::RouteConfig route_;
  std::unique_ptr<Device> device_;
  std::vector<std::string> bad_gates_, bad_biases_;
  std::map<int, std::vector<double>> norms_;  // by layer, as all below
  std::map<int, BiasShape> shapes_;
  std::map<int, RouterProbe> probes_;
};

fs::path checkpoint_of(const fs::path& folder) {
  if (fs::exists(folder / "config.json") || !fs::exists(folder / "metrics.jsonl")) return folder;
  const auto latest = latest_checkpoint(folder / "checkpoints");
  if (!latest) fail(ErrorKind::file, folder.string(), "a run without a checkpoint yet");
  return *latest;
}

}  // namespace

Diagnosis examine(const fs::path& folder, const DoctorOptions& options) {
  const fs::path checkpoint = checkpoint_of(folder);
  Examination examination(checkpoint, options);
  Diagnosis d{.checkpoint = checkpoint.string(), .run = {}, .findings = examination.findings()};
  if (const auto run = run_of(checkpoint)) {
    d.run = run->string();
    for (Finding& f : run_findings(*run, checkpoint, examination.config())) d.findings.push_back(std::move(f));
  } else {
    d.findings.push_back({.check = "run",
                          .health = Health::unknown,
                          .figure = "no run folder: loads and the bias's motion are not known"});
  }
  return d;
}

bool Diagnosis::healthy() const {
  return std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.health == Health::ill; });
}

Json Diagnosis::to_json() const {
  Json json = Json::object();
  json["checkpoint"] = checkpoint;
  json["run"] = run.empty() ? Json() : Json(run);
  json["healthy"] = healthy();
  Json& list = json["findings"] = Json::array();
  for (const Finding& f : findings) {
    Json one = Json::object();
    one["check"] = f.check;
    one["health"] = name_of(f.health);
    one["figure"] = f.figure;
    one["value"] = f.value;
    one["threshold"] = f.threshold;
    one["meaning"] = f.meaning;
    one["advice"] = f.advice;
    Json& layers = one["layers"] = Json::object();
    for (const auto& [layer, value] : f.layers) layers[std::to_string(layer)] = value;
    list.push_back(std::move(one));
  }
  return json;
}

std::string Diagnosis::to_text(bool all) const {
  std::string text = printable(checkpoint) + (run.empty() ? "" : ", of the run " + run) + "\n";
  int64_t notes = 0, ills = 0;
  for (const Finding& f : findings) {
    notes += f.health == Health::note;
    ills += f.health == Health::ill;
    text += fmt::format("{:<7} {:<13} {}\n", name_of(f.health), f.check, f.figure);
    const bool explained = all || f.health == Health::note || f.health == Health::ill;
    if (explained && !f.meaning.empty()) text += fmt::format("{:<21} {}\n", "", f.meaning);
    if (explained && !f.advice.empty()) text += fmt::format("{:<21} -> {}\n", "", f.advice);
  }
  if (ills) return text + fmt::format("{} of {} figures ill\n", ills, findings.size());
  return text + (notes ? fmt::format("healthy, with {} note{}\n", notes, notes == 1 ? "" : "s") : "healthy\n");
}

}  // namespace ballast
