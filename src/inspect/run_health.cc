#include "inspect/run_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/jsonl.h"
#include "formats/npy.h"
#include "train/checkpoint.h"
#include "train/load_statistics.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kWindow = 100;   // steps
constexpr double kBalanced = 0.5;  // MaxVio: what training calls balanced
constexpr double kOfNoise = 2;     // ... and this often what equal experts would show by chance
constexpr double kJitterOfSpread = 0.5;
constexpr double kSwitching = 0.5;
constexpr double kBf16Flip = 0.01;
constexpr double kStarved = 0.01;  // of the mean load

class RunRecords {
 public:
  RunRecords(const fs::path& run, const fs::path& checkpoint, const ModelConfig& config)
      : config_(config), layers_(config.moe_layers()) {
    int64_t last = std::numeric_limits<int64_t>::max(), rows = last;
    if (fs::exists(checkpoint / "trainer" / "state.json")) {
      const Json state = read_checkpoint_state(checkpoint);
      last = state.at("step", "state.json").as_int("state.json: step");
      rows = state.at("loads_rows", "state.json").as_int("state.json: loads_rows");
    }
    JsonlReader reader(run / "metrics.jsonl", TornLine::skip);
    for (Json line; reader.next(line);) {
      const Json* step = line.find("step");
      if (step && step->as_int("metrics.jsonl: step") > last) break;
      for (const auto& [key, value] : line.as_object("metrics.jsonl"))
        if (value.is_number()) metrics_[key] = value.as_double();
    }
    if (const fs::path file = run / "loads.npy"; fs::exists(file)) read_loads(file, rows);
  }

  std::vector<Finding> findings() const {
    std::vector<Finding> list;
    if (steps_ > 0) list = {balance(), dead(), starved()};
    for (auto found : {updates(), jitter(), switching(), bf16()})
      if (found) list.push_back(std::move(*found));
    return list;
  }

 private:
  void read_loads(const fs::path& file, int64_t rows) {
    NpyArray array = read_npy(file);
    const auto layers = std::ssize(layers_);
    if (array.shape.size() != 3 || array.shape[1] != layers || array.shape[2] != config_.n_routed_experts)
      fail(ErrorKind::shape, file.string(), "is of {}, not of (steps, {} MoE layers, {} experts)",
           shape_of(array.shape), layers, config_.n_routed_experts);
    steps_ = std::min(array.shape[0], rows);
    loads_ = std::move(array.values);
  }

  static std::string shape_of(const std::vector<int64_t>& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

  std::vector<int64_t> load(int64_t step, size_t layer) const {
    const int64_t experts = config_.n_routed_experts;
    const auto at = loads_.begin() + (step * std::ssize(layers_) + static_cast<int64_t>(layer)) * experts;
    return {at, at + experts};
  }
  int64_t window() const { return std::min(steps_, kWindow); }

  // What chance alone gives a balanced router (balance telemetry's floor; Poisson-like loads of mean L).
  double noise_floor() const {
    const double experts = config_.n_routed_experts, k = config_.num_experts_per_tok;
    const auto last = load(steps_ - 1, 0);
    const double mean = static_cast<double>(std::accumulate(last.begin(), last.end(), int64_t{0})) / experts;
    return mean > 0 ? 0.83 * std::sqrt(2 * std::log(experts) * (1 - k / experts) / mean) : 0;
  }

  Finding balance() const {
    Finding f{.check = "balance", .threshold = std::max(kBalanced, kOfNoise * noise_floor())};
    for (size_t l = 0; l < layers_.size(); ++l) {
      double& mean = f.layers[layers_[l]] = 0;
      for (int64_t s = steps_ - window(); s < steps_; ++s) mean += max_vio(load(s, l)) / static_cast<double>(window());
    }
    const auto worst = worst_of(f);
    const double collapsed = (config_.n_routed_experts / static_cast<double>(config_.num_experts_per_tok) - 1) / 2;
    f.health = f.value <= f.threshold ? Health::good : f.value < collapsed ? Health::note : Health::ill;
    f.figure = fmt::format(
        "MaxVio {:.2f} in the mean of the last {} steps (layer {}); {:.2f} is balanced, chance alone gives {:.2f}",
        f.value, window(), worst, f.threshold, noise_floor());
    f.meaning =
        "the busiest expert gets that many times the mean load on top of it: ranks wait for it, others learn little";
    f.advice = "train on with a larger balance.bias_update_rate or aux.global, or with another balance.rule";
    return f;
  }

  Finding dead() const {
    Finding f{.check = "dead", .threshold = 0};
    const int64_t steps = std::min<int64_t>(steps_, DeadExperts::kDeadSteps);
    for (size_t l = 0; l < layers_.size(); ++l) {
      DeadExperts dead;
      for (int64_t s = steps_ - steps; s < steps_; ++s) dead.observe({load(s, l)});
      f.layers[layers_[l]] = static_cast<double>(dead.count());
    }
    const auto worst = worst_of(f);
    f.health = f.value > 0 ? Health::ill : Health::good;
    f.figure = fmt::format("{:.0f} experts of a layer without a token in the last {} steps (layer {}); none may be",
                           f.value, DeadExperts::kDeadSteps, worst);
    f.meaning = "a dead expert gets no gradient: its parameters are lost to the model";
    f.advice = "look at its row of the gate and at its bias; raise the bias's rate until it is chosen again";
    return f;
  }

  Finding starved() const {
    Finding f{.check = "starved", .threshold = 0};
    for (size_t l = 0; l < layers_.size(); ++l) {
      std::vector<int64_t> sum(static_cast<size_t>(config_.n_routed_experts));
      for (int64_t s = steps_ - window(); s < steps_; ++s) {
        const auto one = load(s, l);
        std::transform(sum.begin(), sum.end(), one.begin(), sum.begin(), std::plus<>());
      }
      const double mean =
          static_cast<double>(std::accumulate(sum.begin(), sum.end(), int64_t{0})) / static_cast<double>(sum.size());
      f.layers[layers_[l]] = static_cast<double>(
          std::count_if(sum.begin(), sum.end(), [&](int64_t a) { return static_cast<double>(a) < kStarved * mean; }));
    }
    const auto worst = worst_of(f);
    f.health = f.value > 0 ? Health::note : Health::good;
    f.figure = fmt::format("{:.0f} experts of a layer below 1 % of the mean load in the last {} steps (layer {})",
                           f.value, window(), worst);
    f.meaning = "they learn next to nothing";
    f.advice = "as for balance";
    return f;
  }

  // The last value of a key in each layer; empty where it was not recorded.
  std::map<int, double> recorded(const char* key) const {
    std::map<int, double> values;
    for (const int layer : layers_)
      if (const auto found = metrics_.find(fmt::format("{}/layer_{}", key, layer)); found != metrics_.end())
        values[layer] = found->second;
    return values;
  }

  std::optional<Finding> updates() const {
    Finding f{.check = "updates", .threshold = 0, .layers = recorded("b_step_rms")};
    const auto rate = metrics_.find("bias_rate");
    if (f.layers.empty() || rate == metrics_.end()) return {};
    const auto least = std::min_element(f.layers.begin(), f.layers.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    f.value = least->second;
    const bool frozen = f.value == 0;
    f.health = !frozen ? Health::good : rate->second > 0 ? Health::ill : Health::note;
    f.figure = fmt::format("bias updates of {:.2g} rms at least (layer {}), at a rate of {:g}", f.value, least->first,
                           rate->second);
    f.meaning = rate->second > 0 ? "the bias does not move although its rate is not 0: balance is not being kept"
                                 : "the bias is frozen; balance drifts if the router still learns";
    f.advice = "check balance.rule, and that no copy of the bias in a narrower type swallows the steps";
    return f;
  }

  std::optional<Finding> jitter() const {
    const auto jitters = recorded("b_jitter"), spreads = recorded("b_spread");
    Finding f{.check = "jitter", .threshold = kJitterOfSpread};
    for (const auto& [layer, j] : jitters)
      if (const auto s = spreads.find(layer); s != spreads.end() && s->second > 0) f.layers[layer] = j / s->second;
    if (f.layers.empty()) return {};
    const auto worst = worst_of(f);
    f.health = f.value > f.threshold ? Health::note : Health::good;
    f.figure = fmt::format("biases wander by {:.3g} of their spread between two probes (layer {}); {:g} is much",
                           f.value, worst, f.threshold);
    f.meaning = "the rule's step is so large that the bias follows the noise of single batches";
    f.advice = "lower balance.bias_update_rate, or let it fall (balance.rate_drop_at)";
    return f;
  }

  std::optional<Finding> switching() const {
    Finding f{.check = "switching", .threshold = kSwitching, .layers = recorded("switch_rate")};
    if (f.layers.empty()) return {};
    const auto worst = worst_of(f);
    f.health = f.value > f.threshold ? Health::note : Health::good;
    f.figure = fmt::format(
        "{:.1f} % of the held-out slots changed their expert between two probes (layer {}); {:.0f} % is much",
        100 * f.value, worst, 100 * f.threshold);
    f.meaning = "the router has not settled: experts cannot specialize on what keeps moving";
    f.advice = "usual early in training; later lower the learning rate or the bias's rate";
    return f;
  }

  std::optional<Finding> bf16() const {
    Finding f{.check = "bf16 on text", .threshold = kBf16Flip, .layers = recorded("bf16_flip")};
    if (f.layers.empty()) return {};
    const auto worst = worst_of(f);
    f.health = f.value > f.threshold ? Health::note : Health::good;
    f.figure =
        fmt::format("{:.2f} % of held-out tokens change experts when b is rounded to bf16 (layer {}); {:.0f} % is much",
                    100 * f.value, worst, 100 * f.threshold);
    f.meaning = "a program that keeps the bias in bf16 routes otherwise than this model was trained";
    f.advice = "keep e_score_correction_bias in f32; `ballast convert --center-bias` makes bf16 harm it less";
    return f;
  }

  // Sets `value` to the largest; its layer.
  static int worst_of(Finding& f) {
    const auto worst = std::max_element(f.layers.begin(), f.layers.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
    f.value = worst->second;
    return worst->first;
  }

  const ModelConfig& config_;
  std::vector<int> layers_;
  std::map<std::string, double> metrics_;  // the last value of every key
  std::vector<int64_t> loads_;             // (steps, layers, experts)
  int64_t steps_ = 0;                      // those up to the checkpoint
};

}  // namespace

std::optional<fs::path> run_of(const fs::path& checkpoint) {
  std::error_code error;
  const fs::path folder = fs::canonical(checkpoint, error).parent_path();
  if (error || folder.filename() != "checkpoints" || !fs::exists(folder.parent_path() / "metrics.jsonl")) return {};
  return folder.parent_path();
}

std::vector<Finding> run_findings(const fs::path& run, const fs::path& checkpoint, const ModelConfig& config) {
  return RunRecords(run, checkpoint, config).findings();
}

}  // namespace ballast
