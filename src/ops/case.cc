#include "ops/case.h"

#include <utility>

namespace ballast::ops {

Fill normal(double scale) {
  return [scale](Rng& rng, int64_t) { return scale * rng.normal(); };
}
Fill uniform(double low, double high) {
  return [=](Rng& rng, int64_t) { return low + (high - low) * rng.uniform(); };
}
Fill integers(int64_t low, int64_t high) {
  return [=](Rng& rng, int64_t) { return static_cast<double>(low + static_cast<int64_t>(rng.below(high - low))); };
}
Fill constant(double value) {
  return [value](Rng&, int64_t) { return value; };
}
Fill values(std::vector<double> list) {
  return [list = std::move(list)](Rng&, int64_t i) { return list.at(i); };
}

int ragged_alignment(DeviceKind kind) { return kind == DeviceKind::ref ? 1 : kind == DeviceKind::cpu ? 32 : 128; }

std::vector<double> ragged_offsets(const std::vector<int>& counts, int align) {
  std::vector<double> offs{0};
  for (const int n : counts) {
    const int padded = (n + align - 1) / align * align;
    offs.push_back(offs.back() + padded);
  }
  return offs;
}

std::vector<double> as_doubles(const std::vector<int>& values) { return {values.begin(), values.end()}; }

}  // namespace ballast::ops
