// The small reference checkpoint, loaded for the tests of this module, and what they need to look inside a step.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "formats/safetensors.h"
#include "infer/engine.h"
#include "infer/load.h"
#include "model/moe/skip.h"
#include "model/weights.h"

namespace ballast {

struct Golden {
  explicit Golden(DeviceKind kind, DType storage = DType::f32, int threads = 2)
      : device(Device::make(kind, threads)), loaded(load_model(folder(), *device, storage)) {}
  static std::filesystem::path folder() { return std::filesystem::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny"; }

  Model& model() { return *loaded.model; }
  int slots() const { return loaded.config.num_experts_per_tok; }

  // Of the reference's input.
  static std::vector<int32_t> ids(size_t n) {
    const Checkpoint file = Checkpoint::open(folder() / "reference.safetensors");
    const FileTensor& t = file.at("input_ids");
    std::vector<int64_t> wide(static_cast<size_t>(t.elements()));
    file.read("input_ids", t.shape, std::span<int64_t>(wide));
    CHECK(n <= wide.size());
    return {wide.begin(), wide.begin() + static_cast<int64_t>(n)};
  }

  std::unique_ptr<Device> device;
  LoadedModel loaded;
};

inline std::vector<double> values(const Tensor& t) {
  std::vector<double> v(static_cast<size_t>(t.size()));
  CHECK(t.contiguous());
  for (size_t i = 0; i < v.size(); ++i)
    v[i] = t.dtype == DType::f64 ? t.as<double>()[i] : static_cast<double>(t.as<float>()[i]);
  return v;
}

inline std::vector<double> row(const Tensor& t, int64_t i) { return values(t.rows(i, i + 1)); }

// max|a - b| / max|b|; infinite where something is not finite.
inline double error(const std::vector<double>& a, const std::vector<double>& b) {
  CHECK(a.size() == b.size());
  double difference = 0, scale = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    difference = std::max(difference, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return difference / scale;
}

inline SkipConfig policy(const std::string& name, int top_k = 0, double min_p = 0, double renorm = 0) {
  SkipConfig c;
  c.policy = name;
  c.top_k = top_k;
  c.renorm = renorm;
  Json fields = Json::object();
  fields["min_p"] = min_p;
  read_config(c, fields, "test");
  return c;
}

// Applies another plan, or none, and keeps what came out of it.
class RecordingPlan : public GatePlan {
 public:
  explicit RecordingPlan(const GatePlan* inner) : inner_(inner) {}
  void apply(Device& device, const Arguments& a) const override {
    if (inner_) inner_->apply(device, a);
    if (device.planning) return;
    std::set<int32_t> distinct;
    const int32_t* ids = a.ids.as<int32_t>();
    for (int64_t i = 0; i < a.ids.size(); ++i) {
      (ids[i] < 0 ? skipped : executed_slots) += 1;
      if (ids[i] >= 0) distinct.insert(ids[i]);
      if (ids[i] < 0 && a.weights.as<float>()[i] != 0) ++nonzero_weights_of_skipped;
    }
    experts[a.layer].insert(distinct.begin(), distinct.end());
    reads[a.layer] += static_cast<int64_t>(distinct.size());
  }
  std::string description() const override { return "recording"; }

  mutable std::map<int, std::set<int32_t>> experts;  // by MoE layer: all that ever ran
  mutable std::map<int, int64_t> reads;              // distinct ones per call, summed
  mutable int64_t skipped = 0, executed_slots = 0, nonzero_weights_of_skipped = 0;

 private:
  const GatePlan* inner_;
};

}  // namespace ballast
