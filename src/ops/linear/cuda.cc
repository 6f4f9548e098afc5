// linear on CUDA: three products through cuBLASLt (gemm_cuda.h).
#include "ops/gemm_cuda.h"
#include "ops/linear/backends.h"
#include "ops/linear/products.h"

namespace ballast::ops::cuda {

void linear_forward(Device& device, const LinearForward& a) { device.state<LtGemm>().run(output_product(a)); }

void linear_backward(Device& device, const LinearBackward& a) {
  LtGemm& gemm = device.state<LtGemm>();
  if (a.dx) gemm.run(input_product(a));
  if (a.dweight) gemm.run(weight_product(a));
}

}  // namespace ballast::ops::cuda
