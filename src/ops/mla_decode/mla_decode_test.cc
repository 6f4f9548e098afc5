// The absorbed step equals the expanded form over the same cache: k_nope and v from linear, one query through
// attention.
#include "ops/mla_decode/mla_decode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "ops/attention/attention.h"
#include "ops/linear/linear.h"

namespace ballast::ops {
namespace {

constexpr int64_t kHeads = 4, kDn = 64, kDr = 32, kDv = 64, kRank = 64, kPositions = 173, kCapacity = 200;

struct Values {
  std::vector<float> v;
  explicit Values(int64_t n, double scale = 0, uint64_t seed = 0) : v(static_cast<size_t>(n)) {
    Rng rng(seed);
    for (float& f : v) f = static_cast<float>(scale * rng.normal());
  }
  Tensor view(std::initializer_list<int64_t> shape) { return {v.data(), DType::f32, shape}; }
};

void expect_absorbed_equals_expanded(DeviceKind kind) {
  auto device = Device::make(kind);
  Values q(kHeads * (kDn + kDr), 1, 1), kv_b(kHeads * (kDn + kDv) * kRank, 0.125, 2);
  Values cache(kCapacity * (kRank + kDr), 1, 3), scratch(kHeads * (2 * kRank + kCapacity));
  Values absorbed(kHeads * kDv), expanded(kHeads * kDv), lse(kHeads), kv(kPositions * kHeads * (kDn + kDv));
  int32_t length = kPositions, q_offs[] = {0, 1}, kv_offs[] = {0, kPositions};
  const double scale = 1 / std::sqrt(double(kDn + kDr));
  const Tensor entries = cache.view({1, kCapacity, kRank + kDr});
  mla_decode(*device, {.q = q.view({1, kHeads, kDn + kDr}), .kv_b = kv_b.view({kHeads * (kDn + kDv), kRank}),
                       .cache = entries, .length = {&length, DType::i32, {1}}, .scale = scale,
                       .scratch = scratch.view({1, kHeads, 2 * kRank + kCapacity}),
                       .o = absorbed.view({1, kHeads, kDv})});
  const Tensor rows = entries.index(0).rows(0, kPositions);
  linear_forward(*device, {.x = rows.cols(0, kRank), .weight = kv_b.view({kHeads * (kDn + kDv), kRank}),
                           .y = kv.view({kPositions, kHeads * (kDn + kDv)})});
  const Tensor k_and_v = kv.view({kPositions, kHeads, kDn + kDv});
  attention_forward(*device, {.q = q.view({1, kHeads, kDn + kDr}), .k_nope = k_and_v.cols(0, kDn),
                              .k_rope = rows.cols(kRank, kRank + kDr), .v = k_and_v.cols(kDn, kDn + kDv),
                              .q_offs = {q_offs, DType::i32, {2}}, .kv_offs = {kv_offs, DType::i32, {2}},
                              .scale = scale, .o = expanded.view({1, kHeads, kDv}), .lse = lse.view({kHeads, 1})});
  float largest = 0, difference = 0;
  for (size_t i = 0; i < expanded.v.size(); ++i) {
    largest = std::max(largest, std::abs(expanded.v[i]));
    difference = std::max(difference, std::abs(expanded.v[i] - absorbed.v[i]));
  }
  EXPECT_GT(largest, 0.1);
  EXPECT_LE(difference, 1e-5 * largest);
}

TEST(MlaDecode, EqualsExpandedAttentionOnRef) { expect_absorbed_equals_expanded(DeviceKind::ref); }
TEST(MlaDecode, EqualsExpandedAttentionOnCpu) { expect_absorbed_equals_expanded(DeviceKind::cpu); }

}  // namespace
}  // namespace ballast::ops
