#include <chrono>

#include "ops/linear/linear.h"
#include "ops/matmul_cpu.h"

namespace ballast::ops::cpu {

double matmul_seconds(Device& device, Product product, int64_t tokens, int64_t n, int64_t k, DType dtype,
                      int repetitions) {
  const auto bytes = [](int64_t elements, DType t) { return static_cast<size_t>(elements) * size_of(t); };
  Buffer x_memory(device, bytes(tokens * k, dtype)), y_memory(device, bytes(tokens * n, dtype));
  Buffer w_memory(device, bytes(n * k, dtype)), dw_memory(device, bytes(n * k, DType::f32));
  const Tensor x(x_memory.data(), dtype, {tokens, k}), y(y_memory.data(), dtype, {tokens, n});
  const Tensor weight(w_memory.data(), dtype, {n, k}), dweight(dw_memory.data(), DType::f32, {n, k});
  double best = 1e300;
  for (int i = 0; i <= repetitions; ++i) {  // the first makes the primitives
    const auto start = std::chrono::steady_clock::now();
    switch (product) {
      case Product::forward: linear_forward(device, {.x = x, .weight = weight, .y = y}); break;
      case Product::dgrad: linear_backward(device, {.dy = y, .weight = weight, .dx = x}); break;
      case Product::wgrad: linear_backward(device, {.dy = y, .x = x, .dweight = dweight}); break;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i > 0 && seconds < best) best = seconds;
  }
  return best;
}

}  // namespace ballast::ops::cpu
