// Scalar formulas shared by the references and the CUDA kernels.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>

#ifdef __CUDACC__
#define BALLAST_HD __host__ __device__
#else
#define BALLAST_HD
#endif

namespace ballast::ops {

// Decisions (comparisons, top-k, "is finite") are taken on the real part, so that a complex step perturbs the function
// and not the branch.
template <class T> inline double real_part(T x) { return static_cast<double>(x); }
template <> inline double real_part(std::complex<double> x) { return x.real(); }

template <class T> BALLAST_HD inline T sigmoid(T x) {
  using std::exp;
  return T(1) / (T(1) + exp(-x));
}
template <class T> BALLAST_HD inline T silu(T x) { return x * sigmoid(x); }
template <class T> BALLAST_HD inline T silu_derivative(T x) {
  const T s = sigmoid(x);
  return s * (T(1) + x * (T(1) - s));
}

BALLAST_HD inline int count_bits(unsigned v) {
#ifdef __CUDA_ARCH__
  return __popc(v);
#else
  return __builtin_popcount(v);
#endif
}

}  // namespace ballast::ops
