#include "ops/sample/sample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ballast::ops {
namespace {

constexpr int64_t kDraws = 20000;

// One row of logits, drawn kDraws times with counters 0, 1, ...: how often each token came.
std::vector<int64_t> histogram(const std::vector<float>& logits, float temperature, float top_p) {
  auto device = Device::make(DeviceKind::cpu);
  const int64_t vocab = static_cast<int64_t>(logits.size());
  std::vector<float> rows, temperatures(kDraws, temperature), top_ps(kDraws, top_p);
  std::vector<int64_t> keys;
  for (int64_t i = 0; i < kDraws; ++i) {
    rows.insert(rows.end(), logits.begin(), logits.end());
    keys.insert(keys.end(), {11, 5, i});
  }
  std::vector<int32_t> tokens(kDraws, -1);
  sample(*device, {.logits = Tensor(rows.data(), DType::f32, {kDraws, vocab}),
                   .temperature = Tensor(temperatures.data(), DType::f32, {kDraws}),
                   .top_p = Tensor(top_ps.data(), DType::f32, {kDraws}),
                   .key = Tensor(keys.data(), DType::i64, {kDraws, 3}),
                   .token = Tensor(tokens.data(), DType::i32, {kDraws})});
  std::vector<int64_t> counts(vocab, 0);
  for (const int32_t t : tokens) ++counts.at(t);
  return counts;
}

// Pearson's statistic; tokens of probability 0 must not come.
double chi_square(const std::vector<int64_t>& counts, const std::vector<double>& probability) {
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probability[i] * kDraws;
    if (expected == 0) EXPECT_EQ(counts[i], 0) << "token " << i;
    else sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p;
  double sum = 0;
  for (const float z : logits) sum += p.emplace_back(std::exp(z / temperature));
  for (double& x : p) x /= sum;
  return p;
}

const std::vector<float> kLogits{0.3f, -1.0f, 2.0f, 1.1f, 0.0f, -0.5f, 1.9f, 0.7f, -2.0f, 0.9f, 1.5f};

TEST(Sample, FollowsTheSoftmax) {
  // 99.9 % of the chi-square distribution with 10 degrees of freedom.
  EXPECT_LT(chi_square(histogram(kLogits, 0.8f, 1.0f), softmax(kLogits, 0.8)), 29.6);
  EXPECT_GT(chi_square(histogram(kLogits, 0.9f, 1.0f), softmax(kLogits, 0.8)), 29.6) << "the test cannot tell";
}

TEST(Sample, NucleusIsTheSmallestThatReachesTopP) {
  auto p = softmax(kLogits, 1.0);
  const double four = p[2] + p[6] + p[10] + p[3];  // the most likely ones, in that order
  for (size_t i = 0; i < p.size(); ++i) p[i] = i == 2 || i == 6 || i == 10 || i == 3 ? p[i] / four : 0;
  EXPECT_LT(chi_square(histogram(kLogits, 1.0f, float(four - 0.01)), p), 16.3);  // 99.9 %, 3 degrees of freedom
}

TEST(Sample, TinyTopPIsGreedy) { EXPECT_EQ(histogram(kLogits, 1.0f, 1e-6f)[2], kDraws); }

TEST(Sample, ChecksItsArguments) {
  auto device = Device::make(DeviceKind::cpu, 1);
  float z[4] = {};
  int32_t token[1];
  const Tensor logits(z, DType::f32, {1, 4}), one(z, DType::f32, {1});
  EXPECT_THROW(
      sample(*device, {.logits = logits, .temperature = one, .top_p = one, .token = Tensor(token, DType::i32, {1})}),
      Error);
}

}  // namespace
}  // namespace ballast::ops
