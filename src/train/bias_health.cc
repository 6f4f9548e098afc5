#include "train/bias_health.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "core/dtype.h"
#include "formats/safetensors_writer.h"
#include "ops/route/ref.h"

namespace ballast {
namespace {

double mean_of(const std::vector<float>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size()); }

float rounded(float x) { return static_cast<float>(bf16(x)); }

// Slots of b that a has not; both of k.
int new_slots(const int32_t* a, const int32_t* b, int k) {
  int n = 0;
  for (int j = 0; j < k; ++j) n += std::find(a, a + k, b[j]) == a + k;
  return n;
}

}  // namespace

BiasShape bias_shape(const std::vector<float>& bias) {
  const auto [low, high] = std::minmax_element(bias.begin(), bias.end());
  BiasShape shape{.mean = mean_of(bias), .low = *low, .high = *high};
  std::set<float> distinct;
  double squares = 0;
  for (const float b : bias) {
    distinct.insert(rounded(b));
    squares += (b - shape.mean) * (b - shape.mean);
  }
  shape.deviation = std::sqrt(squares / static_cast<double>(bias.size()));
  shape.bf16_distinct = std::ssize(distinct);
  return shape;
}

double bf16_flip_share(const ops::RouteConfig& route, const std::vector<float>& scores, const std::vector<float>& bias,
                       const Choices& ids) {
  const auto experts = static_cast<int64_t>(bias.size());
  const int k = route.experts_per_token;
  ops::ref::Selection selection;
  selection.c.resize(bias.size());
  std::vector<int32_t> chosen(static_cast<size_t>(k));
  int64_t tokens = 0, flips = 0;
  for (size_t t = 0; t * static_cast<size_t>(k) < ids.size(); ++t) {
    const int32_t* had = ids.data() + t * static_cast<size_t>(k);
    if (had[0] < 0) continue;
    for (size_t e = 0; e < bias.size(); ++e) selection.c[e] = scores[t * bias.size() + e] + rounded(bias[e]);
    selection.select(route, experts, chosen.data());
    ++tokens;
    flips += new_slots(had, chosen.data(), k) > 0;
  }
  return tokens ? static_cast<double>(flips) / static_cast<double>(tokens) : 0;
}

double switch_rate(const Choices& before, const Choices& now, int experts_per_token) {
  CHECK(before.size() == now.size());
  int64_t slots = 0, switched = 0;
  for (size_t i = 0; i < now.size(); i += static_cast<size_t>(experts_per_token)) {
    if (now[i] < 0) continue;
    slots += experts_per_token;
    switched += new_slots(&before[i], &now[i], experts_per_token);
  }
  return slots ? static_cast<double>(switched) / static_cast<double>(slots) : 0;
}

void BiasMotion::observe(const std::vector<float>& before, const std::vector<float>& after) {
  mean_.resize(after.size());
  squares_.resize(after.size());
  ++steps_;
  const double center = mean_of(after);
  for (size_t k = 0; k < after.size(); ++k) {
    const double step = static_cast<double>(after[k]) - before[k], b = after[k] - center, off = b - mean_[k];
    update_squares_ += step * step;
    mean_[k] += off / static_cast<double>(steps_);
    squares_[k] += off * (b - mean_[k]);
  }
}

double BiasMotion::step_rms() const {
  const double n = static_cast<double>(steps_) * static_cast<double>(mean_.size());
  return n > 0 ? std::sqrt(update_squares_ / n) : 0;
}

double BiasMotion::jitter() const {
  const double n = static_cast<double>(steps_) * static_cast<double>(mean_.size());
  return n > 0 ? std::sqrt(std::accumulate(squares_.begin(), squares_.end(), 0.0) / n) : 0;
}

BiasHealth::BiasHealth(const ops::RouteConfig& route, std::vector<std::string> names)
    : route_(route), names_(std::move(names)), motion_(names_.size()), ids_(names_.size()) {}

void BiasHealth::report(size_t layer, const std::vector<float>& bias, const std::vector<float>& scores, Choices ids,
                        Json& metrics) {
  const auto put = [&](const char* key, double value) { metrics[key + ("/" + names_[layer])] = value; };
  if (!bias.empty()) {
    const BiasShape shape = bias_shape(bias);
    put("b_mean", shape.mean);
    put("b_spread", shape.spread());
    put("sat_margin", shape.saturation_margin());
    put("b_step_rms", motion_[layer].step_rms());
    put("b_jitter", motion_[layer].jitter());
    put("bf16_distinct", static_cast<double>(shape.bf16_distinct));
    put("bf16_flip", bf16_flip_share(route_, scores, bias, ids));
  }
  put("switch_rate", switch_rate(ids_[layer], ids, route_.experts_per_token));
  motion_[layer] = {};
  remember(layer, std::move(ids));
}

void BiasHealth::save(const std::filesystem::path& file) const {
  const auto layers = static_cast<int64_t>(names_.size()), n = static_cast<int64_t>(ids_.front().size());
  const size_t experts = motion_.front().mean_.size();  // 0 before the first step
  const auto rows = static_cast<int64_t>(experts);
  const std::vector<TensorSpec> specs{{"steps", FileDType::i64, {layers}},
                                      {"update_squares", FileDType::f64, {layers}},
                                      {"mean", FileDType::f64, {layers, rows}},
                                      {"squares", FileDType::f64, {layers, rows}},
                                      {"choices", FileDType::i32, {layers, n}}};
  write_safetensors(file, specs, [&](size_t index, const TensorSink& sink) {
    for (size_t l = 0; l < names_.size(); ++l) {
      const BiasMotion& m = motion_[l];
      if (index == 0) sink(std::as_bytes(std::span(&m.steps_, 1)));
      else if (index == 1) sink(std::as_bytes(std::span(&m.update_squares_, 1)));
      else if (index < 4) sink(std::as_bytes(std::span(index == 2 ? m.mean_ : m.squares_)));
      else sink(std::as_bytes(std::span(ids_[l])));
    }
  });
}

bool BiasHealth::load(const std::filesystem::path& file, int64_t tokens) {
  if (!std::filesystem::exists(file)) return false;
  const Checkpoint saved = Checkpoint::open(file);
  const auto layers = static_cast<int64_t>(names_.size());
  if (saved.at("choices").shape != std::vector<int64_t>{layers, tokens * route_.experts_per_token}) return false;
  const auto read = [&]<class T>(const char* name, std::vector<T> values) {
    values.resize(static_cast<size_t>(saved.at(name).elements()));
    saved.read(name, saved.at(name).shape, std::span<T>(values));
    return values;
  };
  const auto steps = read("steps", std::vector<int64_t>()), choices = read("choices", std::vector<int64_t>());
  const auto updates = read("update_squares", std::vector<double>()), mean = read("mean", std::vector<double>()),
             squares = read("squares", std::vector<double>());
  const auto row = [&](const auto& all, size_t l, auto& out) {  // a layer's share
    const size_t width = all.size() / names_.size();
    out.assign(all.begin() + static_cast<int64_t>(l * width), all.begin() + static_cast<int64_t>((l + 1) * width));
  };
  for (size_t l = 0; l < names_.size(); ++l) {
    motion_[l].steps_ = steps.at(l);
    motion_[l].update_squares_ = updates.at(l);
    row(mean, l, motion_[l].mean_);
    row(squares, l, motion_[l].squares_);
    row(choices, l, ids_[l]);
  }
  return true;
}

}  // namespace ballast
