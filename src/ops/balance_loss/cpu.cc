// balance_loss on the CPU: fixed blocks of rows within a segment, each with its own sums, added in order.
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/balance_loss/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/balance_loss/backends.h"
#include "ops/balance_loss/ref.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

HWY_INLINE float RowSum(const float* s, size_t experts) {
  const F32 d;
  VF32 sum = hn::Zero(d);
  ForEachVector(d, experts, [&](auto load, auto) HWY_ATTR { sum = hn::Add(sum, load(s)); });
  return hn::GetLane(hn::SumOfLanes(d, sum)) + 1e-20f;
}

// mean[e] += s'[e] and chosen[e] += (e in the top K) of a row. best: scratch of K.
void AddRow(const BalanceLossForward& a, int64_t t, float* mean, int32_t* chosen, int32_t* best) {
  const F32 d;
  const size_t experts = static_cast<size_t>(a.scores[1]);
  const float* s = a.scores.as<float>() + t * a.scores.stride[0];
  const VF32 scale = hn::Set(d, a.score == Score::softmax ? 1.0f : 1.0f / RowSum(s, experts));
  ForEachVector(d, experts, [&](auto load, auto store) HWY_ATTR {
    store(hn::MulAdd(load(s), scale, load(static_cast<const float*>(mean))), mean);
  });
  int kept = 0;
  for (size_t e = 0; e < experts; ++e) {
    if (kept == a.experts_per_token && !(s[e] > s[best[kept - 1]])) continue;
    int at = kept == a.experts_per_token ? kept - 1 : kept++;
    for (; at > 0 && s[e] > s[best[at - 1]]; --at) best[at] = best[at - 1];
    best[at] = static_cast<int32_t>(e);
  }
  for (int k = 0; k < kept; ++k) ++chosen[best[k]];
}

// dscores (+)= g / sum(s) (f - sum over m of f_m s'_m) of a row; softmax: g f.
void BackwardRow(const BalanceLossBackward& a, int64_t t, const float* f, float g) {
  const F32 d;
  const size_t experts = static_cast<size_t>(a.scores[1]);
  const float* s = a.scores.as<float>() + t * a.scores.stride[0];
  float* ds = a.dscores.as<float>() + t * a.dscores.stride[0];
  float mean = 0, scale = g;
  if (a.score == Score::sigmoid) {
    VF32 dot = hn::Zero(d);
    ForEachVector(d, experts, [&](auto load, auto) HWY_ATTR { dot = hn::MulAdd(load(f), load(s), dot); });
    const float sum = RowSum(s, experts);
    mean = hn::GetLane(hn::SumOfLanes(d, dot)) / sum;
    scale = g / sum;
  }
  const VF32 center = hn::Set(d, mean), factor = hn::Set(d, scale);
  ForEachVector(d, experts, [&](auto load, auto store) HWY_ATTR {
    const VF32 x = hn::Mul(factor, hn::Sub(load(f), center));
    store(a.accumulate ? hn::Add(x, load(static_cast<const float*>(ds))) : x, ds);
  });
}

void AddRows(const BalanceLossForward& a, int64_t begin, int64_t end, float* mean, int32_t* chosen) {
  std::vector<int32_t> best(static_cast<size_t>(a.experts_per_token));
  for (int64_t t = begin; t < end; ++t)
    if (ref::row_counts(a.valid, t)) AddRow(a, t, mean, chosen, best.data());
}

void BackwardRows(const BalanceLossBackward& a, int64_t begin, int64_t end, const float* f, float g) {
  for (int64_t t = begin; t < end; ++t) {
    if (ref::row_counts(a.valid, t)) BackwardRow(a, t, f, g);
    else if (!a.accumulate)
      std::memset(&a.dscores.at<float>(t, 0), 0, static_cast<size_t>(a.scores[1]) * sizeof(float));
  }
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

namespace ballast::ops::cpu {
namespace {

HWY_EXPORT(AddRows);
HWY_EXPORT(BackwardRows);

struct Block {
  int64_t segment, begin, end;
};

struct Segments {
  std::vector<Block> blocks;   // in order
  std::vector<int64_t> rows;   // that count, per segment
  int64_t counted = 0;         // segments with a row that counts
};

Segments segments_of(const Tensor& offs, const Tensor& valid) {
  constexpr int64_t kBlock = 256;
  Segments s;
  for (int64_t i = 0; i + 1 < offs[0]; ++i) {
    const int64_t end = offs.at<int32_t>(i + 1);
    s.rows.push_back(valid ? ref::rows_that_count(offs, valid, i) : end - offs.at<int32_t>(i));
    s.counted += s.rows.back() > 0;
    for (int64_t t = offs.at<int32_t>(i); t < end; t += kBlock) s.blocks.push_back({i, t, std::min(t + kBlock, end)});
  }
  return s;
}

}  // namespace

void balance_loss_forward(Device& device, const BalanceLossForward& a) {
  const Segments segments = segments_of(a.offs, a.valid);
  const int64_t experts = a.scores[1], blocks = static_cast<int64_t>(segments.blocks.size());
  std::vector<float> mean(static_cast<size_t>(blocks * experts), 0.0f);
  std::vector<int32_t> chosen(static_cast<size_t>(blocks * experts), 0);
  device.pool().for_each(blocks, [&](int64_t i, int) {
    const Block& b = segments.blocks[i];
    HWY_DYNAMIC_DISPATCH(AddRows)(a, b.begin, b.end, mean.data() + i * experts, chosen.data() + i * experts);
  });
  double loss = 0;
  int64_t block = 0;
  for (int64_t s = 0; s < a.f[0]; ++s) {
    const int64_t first = block, rows = segments.rows[s];
    while (block < blocks && segments.blocks[block].segment == s) ++block;
    const int64_t tokens = a.running ? a.running.at<int64_t>(experts) += rows : rows;
    for (int64_t e = 0; e < experts; ++e) {
      double sum = 0;
      int64_t count = 0;
      for (int64_t i = first; i < block; ++i) {
        sum += mean[i * experts + e];
        count += chosen[i * experts + e];
      }
      if (a.running) count = a.running.at<int64_t>(e) += count;
      const double f =
          tokens == 0 ? 0 : double(experts) * double(count) / (double(a.experts_per_token) * double(tokens));
      a.f.at<float>(s, e) = static_cast<float>(f);
      if (rows > 0) loss += f * sum / double(rows);
    }
  }
  a.loss.at<float>(0) = segments.counted == 0 ? 0.0f : static_cast<float>(a.alpha * loss / double(segments.counted));
}

void balance_loss_backward(Device& device, const BalanceLossBackward& a) {
  const Segments segments = segments_of(a.offs, a.valid);
  const auto zero = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end && !a.accumulate; ++t) std::fill_n(&a.dscores.at<float>(t, 0), a.scores[1], 0.0f);
  };
  zero(0, a.offs.at<int32_t>(0));  // the rows of no segment
  zero(a.offs.at<int32_t>(a.offs[0] - 1), a.scores[0]);
  device.pool().for_each(static_cast<int64_t>(segments.blocks.size()), [&](int64_t i, int) {
    const Block& b = segments.blocks[i];
    const double share = double(segments.counted) * double(std::max<int64_t>(1, segments.rows[b.segment]));
    const float g = static_cast<float>(a.alpha * double(a.dloss.at<float>(0)) / share);
    HWY_DYNAMIC_DISPATCH(BackwardRows)(a, b.begin, b.end, &a.f.at<float>(b.segment, 0), g);
  });
}

}  // namespace ballast::ops::cpu
#endif
