// Matrix products on one worker: a thin wrapper over oneDNN's matmul. The kernels of linear, grouped_linear and
// attention split their work over the workers themselves and call it from inside, so oneDNN always runs
// single-threaded. Primitives are kept per thread by shape and strides (creation takes 60-80 us, an execution of a kept
// one 0.3 us), so callers keep the number of different shapes small.
#pragma once

#include "core/device.h"

namespace ballast::ops::cpu {

// C (m, n) = op(A) (m, k) op(B) (k, n), all row-major; products are accumulated in f32.
struct Matmul {
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;  // elements between rows as stored
  bool a_transposed = false;          // A is stored (k, m)
  bool b_transposed = false;          // B is stored (n, k)
  DType in = DType::f32;              // of A and B: f32 or bf16
  DType out = DType::f32;             // of C: f32, or bf16 where A and B are
  bool accumulate = false;            // C += the product
  bool operator==(const Matmul&) const = default;
};

// Where the CPU has no bf16 products, A and B are widened to f32 first: call it on blocks there.
void matmul(const Matmul& s, const void* a, const void* b, void* c);

// Whether oneDNN multiplies bf16 natively here (AVX512-BF16 or AMX): then bf16 is the faster compute type, else f32 is.
bool has_bf16_products();

// The three products of a linear layer, y (T, N) = x (T, K) W (N, K)^T.
enum class Product { forward, dgrad, wgrad };

// Seconds that one product with T tokens takes, on all workers, with the blocking of ops/linear: the best of
// `repetitions`. bf16 wgrad writes f32, as training does.
double matmul_seconds(Device& device, Product product, int64_t tokens, int64_t n, int64_t k, DType dtype,
                      int repetitions);

}  // namespace ballast::ops::cpu
