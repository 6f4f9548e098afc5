// How the routers' biases are: their size and motion, and what they do to the choices of a held-out batch, the probe.
// Definitions: docs/metrics.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "ops/route/route.h"

namespace ballast {

// One layer's choices for the tokens of the probe: ids (T, K) row by row, -1 in a padding row.
using Choices = std::vector<int32_t>;

// One layer's bias as it stands.
struct BiasShape {
  double mean = 0, deviation = 0, low = 0, high = 0;
  int64_t bf16_distinct = 0;  // different values after rounding to bf16
  double spread() const { return high - low; }
  double saturation_margin() const { return 1 - spread(); }
};
BiasShape bias_shape(const std::vector<float>& bias);  // not empty

// Share of the tokens whose chosen set is another one when the bias is rounded to bf16. scores (T, E): unbiased.
double bf16_flip_share(const ops::RouteConfig& route, const std::vector<float>& scores, const std::vector<float>& bias,
                       const Choices& ids);
// Share of the slots that hold an expert which the token had not chosen before.
double switch_rate(const Choices& before, const Choices& now, int experts_per_token);

// Of one layer since its last report: the bias of every step, without its mean, to which routing is blind.
class BiasMotion {
 public:
  // After a step's update, and before it.
  void observe(const std::vector<float>& before, const std::vector<float>& after);
  double step_rms() const;  // root mean square of the updates, over steps and experts
  double jitter() const;    // standard deviation of a bias over the steps; root mean square over experts

 private:
  friend class BiasHealth;
  int64_t steps_ = 0;
  double update_squares_ = 0;                // summed over steps and experts
  std::vector<double> mean_, squares_;       // by expert: running mean, summed squares of what differs from it
};

class BiasHealth {
 public:
  // `names`: the MoE layers' suffixes in keys, as "layer_3".
  BiasHealth(const ops::RouteConfig& route, std::vector<std::string> names);

  void observe(size_t layer, const std::vector<float>& before, const std::vector<float>& after) {
    motion_[layer].observe(before, after);
  }
  // The probe's choices that the next report compares with.
  void remember(size_t layer, Choices ids) { ids_[layer] = std::move(ids); }
  // Adds a layer's figures to `metrics` and begins its motion anew. `bias` is empty where the router has none.
  void report(size_t layer, const std::vector<float>& bias, const std::vector<float>& scores, Choices ids, Json& metrics);

  // Between two reports, bit for bit. load() is false, and nothing has changed, where the file is absent or of a probe of
  // another shape.
  void save(const std::filesystem::path& file) const;
  bool load(const std::filesystem::path& file, int64_t tokens);

 private:
  ops::RouteConfig route_;
  std::vector<std::string> names_;
  std::vector<BiasMotion> motion_;
  std::vector<Choices> ids_;
};

}  // namespace ballast
