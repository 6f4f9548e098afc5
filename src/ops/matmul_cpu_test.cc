#include "ops/matmul_cpu.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace ballast::ops::cpu {
namespace {

std::vector<float> random_values(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& f : v) f = static_cast<float>(rng.normal());
  return v;
}

// Every worker runs the same products at the same time, each into its own C: all must be what one worker alone gets.
TEST(Matmul, AllWorkersInOnePrimitive) {
  constexpr int kWorkers = 4, kRounds = 200;
  ThreadPool pool(kWorkers);
  for (const Matmul s : {Matmul{.m = 64, .n = 96, .k = 128, .lda = 128, .ldb = 128, .ldc = 96, .b_transposed = true},
                         Matmul{.m = 96, .n = 64, .k = 128, .lda = 96, .ldb = 64, .ldc = 64, .a_transposed = true}}) {
    const auto a = random_values(s.m * s.k, 1), b = random_values(s.n * s.k, 2);
    std::vector<float> alone(static_cast<size_t>(s.m * s.n));
    matmul(s, a.data(), b.data(), alone.data());
    std::atomic<int> different{0};
    pool.run([&](int) {
      std::vector<float> c(alone.size());
      for (int i = 0; i < kRounds; ++i) {
        matmul(s, a.data(), b.data(), c.data());
        different += c != alone;
      }
    });
    EXPECT_EQ(different, 0);
  }
}

TEST(Matmul, EqualsPlainLoopsInBf16) {
  for (const bool accumulate : {false, true}) {
    const int64_t m = 33, n = 20, k = 50;
    const Matmul s{.m = m, .n = n, .k = k, .lda = m, .ldb = k, .ldc = n, .a_transposed = true, .b_transposed = true,
                   .in = DType::bf16, .out = DType::bf16, .accumulate = accumulate};
    std::vector<bf16> a, b, c;
    for (const float f : random_values(m * k, 1)) a.emplace_back(f);
    for (const float f : random_values(n * k, 2)) b.emplace_back(f);
    for (const float f : random_values(m * n, 3)) c.emplace_back(f);
    std::vector<double> want;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = accumulate ? float(c[i * n + j]) : 0;
        for (int64_t l = 0; l < k; ++l) sum += double(float(a[l * m + i])) * float(b[j * k + l]);
        want.push_back(sum);
      }
    }
    matmul(s, a.data(), b.data(), c.data());
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(float(c[i]), want[i], 0.004 * std::abs(want[i]) + 1e-4) << i;
  }
}

TEST(Matmul, TimesItsProducts) {
  auto device = Device::make(DeviceKind::cpu);
  for (const Product p : {Product::forward, Product::dgrad, Product::wgrad})
    EXPECT_GT(matmul_seconds(*device, p, 64, 32, 32, DType::f32, 2), 0);
}

}  // namespace
}  // namespace ballast::ops::cpu
