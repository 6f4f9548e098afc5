// add_bias on the CPU: bound by memory, so plain loops. Sums go down the rows in order, whoever has the columns.
#include <algorithm>

#include "ops/add_bias/backends.h"

namespace ballast::ops::cpu {
namespace {

constexpr int64_t kColumns = 64;  // summed side by side, in double: a bias's gradient has as many terms as tokens

}  // namespace

void add_bias_forward(Device& device, const AddBiasForward& a) {
  dispatch_storage("add_bias.forward", a.x.dtype, [&]<class S>() {
    const float* bias = a.bias.as<float>();
    device.pool().split(a.x[0], 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; ++t) {
        const S* x = a.x.as<S>() + t * a.x.stride[0];
        S* y = a.y.as<S>() + t * a.y.stride[0];
        for (int64_t n = 0; n < a.x[1]; ++n) y[n] = S(static_cast<float>(x[n]) + bias[n]);
      }
    });
  });
}

void add_bias_backward(Device& device, const AddBiasBackward& a) {
  dispatch_storage("add_bias.backward", a.dy.dtype, [&]<class S>() {
    device.pool().for_each((a.dy[1] + kColumns - 1) / kColumns, [&](int64_t block, int) {
      const int64_t begin = block * kColumns, n = std::min(kColumns, a.dy[1] - begin);
      float* to = a.dbias.as<float>() + begin;
      double sum[kColumns] = {};
      for (int64_t t = 0; t < a.dy[0]; ++t) {
        const S* dy = a.dy.as<S>() + t * a.dy.stride[0] + begin;
        for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>(static_cast<float>(dy[i]));
      }
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(sum[i] + (a.accumulate ? double(to[i]) : 0.0));
    });
  });
}

}  // namespace ballast::ops::cpu
