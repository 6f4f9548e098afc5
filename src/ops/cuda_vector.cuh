// Accesses of 16 bytes, for kernels that are bound by memory: N elements of a row at a time, N = 16 / sizeof(S), or 1
// where a view's address, stride or width does not allow more.
#pragma once

#include "ops/cuda_kernel.cuh"

namespace ballast::ops::cuda {

template <class S, int N>
using Vector = std::conditional_t<N == 1, S, uint4>;

template <class S, int N>
__device__ Vector<S, N> load_vector(const S* from) {
  static_assert(N == 1 || N * sizeof(S) == 16);
  return *reinterpret_cast<const Vector<S, N>*>(from);
}
template <int N, class S>
__device__ void store_vector(S* to, const Vector<S, N>& v) {
  *reinterpret_cast<Vector<S, N>*>(to) = v;
}

template <class S, int N>
__device__ void unpack(const Vector<S, N>& v, float (&to)[N]) {
  if constexpr (N == 1) {
    to[0] = to_float(v);
  } else {
    const unsigned word[4] = {v.x, v.y, v.z, v.w};
    for (int i = 0; i < 4; ++i) {
      if constexpr (N == 4) {
        to[i] = __uint_as_float(word[i]);
      } else {  // a bf16 is the upper half of its f32
        to[2 * i] = __uint_as_float(word[i] << 16);
        to[2 * i + 1] = __uint_as_float(word[i] & 0xffff0000u);
      }
    }
  }
}

template <class S, int N>
__device__ Vector<S, N> pack(const float (&from)[N]) {
  if constexpr (N == 1) {
    return from_float<S>(from[0]);
  } else {
    unsigned word[4];
    for (int i = 0; i < 4; ++i) {
      if constexpr (N == 4) {
        word[i] = __float_as_uint(from[i]);
      } else {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(from[2 * i], from[2 * i + 1]);
        word[i] = *reinterpret_cast<const unsigned*>(&pair);
      }
    }
    return make_uint4(word[0], word[1], word[2], word[3]);
  }
}

// N consecutive floats, read 16 bytes at a time where N allows.
template <int N>
__device__ void load_floats(const float* from, float (&to)[N]) {
  if constexpr (N == 1) {
    to[0] = *from;
  } else {
    for (int i = 0; i < N; i += 4) {
      const float4 v = *reinterpret_cast<const float4*>(from + i);
      to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
    }
  }
}

// Whether every row starts at a multiple of 16 bytes and holds a whole number of them; an absent view does.
inline bool takes_vectors(const Tensor& t) {
  if (!t) return true;
  const auto size = static_cast<int64_t>(size_of(t.dtype));
  return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.dim[t.rank - 1] * size % 16 == 0 &&
         (t.rank == 1 || t.stride[0] * size % 16 == 0);
}

// Calls f.operator()<N>() for the widest access that all views allow.
template <class S, class F>
void dispatch_vector(std::initializer_list<Tensor> views, F&& f) {
  for (const Tensor& t : views)
    if (!takes_vectors(t)) return f.template operator()<1>();
  f.template operator()<16 / sizeof(S)>();
}

}  // namespace ballast::ops::cuda
