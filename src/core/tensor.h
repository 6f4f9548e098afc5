// A view: pointer, dtype, shape, strides. Owns nothing. Up to four dimensions, row-major by default; the innermost
// stride is always 1. A null view (no data) stands for "absent" in the optional fields of op arguments.
// Names carry their shape: kv_TR is (tokens, rank).
#pragma once

#include <array>
#include <initializer_list>
#include <string>

#include "core/dtype.h"

namespace ballast {

struct Tensor {
  static constexpr int kMaxRank = 4;

  void* data = nullptr;
  DType dtype = DType::f32;
  int rank = 0;
  std::array<int64_t, kMaxRank> dim{};     // elements along each axis
  std::array<int64_t, kMaxRank> stride{};  // elements between neighbours along each axis

  Tensor() = default;
  Tensor(void* data, DType dtype, std::initializer_list<int64_t> shape);

  explicit operator bool() const { return data != nullptr; }
  int64_t operator[](int axis) const { return dim[axis]; }  // x[0]: rows
  int64_t size() const;                                     // number of elements
  int64_t bytes() const { return size() * static_cast<int64_t>(size_of(dtype)); }  // what a dense copy takes
  bool contiguous() const;
  std::string shape_string() const;  // "f32(4096, 256)"

  // Typed pointer; a dtype that differs is a bug of the caller.
  template <class T> T* as() const {
    CHECK(dtype == dtype_of<T>());
    return static_cast<T*>(data);
  }
  template <class T> T& at(int64_t i) const { return as<T>()[i * stride[0]]; }
  template <class T> T& at(int64_t i, int64_t j) const { return as<T>()[i * stride[0] + j * stride[1]]; }
  template <class T> T& at(int64_t i, int64_t j, int64_t k) const {
    return as<T>()[i * stride[0] + j * stride[1] + k * stride[2]];
  }

  Tensor slice(int axis, int64_t begin, int64_t end) const;   // [begin, end) of one axis, same rank
  Tensor rows(int64_t begin, int64_t end) const { return slice(0, begin, end); }
  Tensor cols(int64_t begin, int64_t end) const { return slice(rank - 1, begin, end); }
  Tensor index(int64_t i) const;                              // x[i]: one rank less
  // Another shape over the same elements. Splitting the last axis of a strided view is allowed ((T, H*D) -> (T, H, D));
  // everything else needs a contiguous view.
  Tensor view(std::initializer_list<int64_t> shape) const;
};

// Rows grouped by expert. `rows` is (capacity, D) with capacity = T*K + E*(align - 1); expert e's rows are
// [offs[e], offs[e] + count[e]), rows [offs[e] + count[e], offs[e + 1]) are zero, and what lies beyond offs[E] is
// undefined. offs and count live in device memory: routing never needs the host.
struct Ragged {
  Tensor rows;   // (capacity, D)
  Tensor offs;   // i32 (E + 1), multiples of align
  Tensor count;  // i32 (E)
  int align = 1;

  int64_t experts() const { return count.dim[0]; }
  static int64_t capacity(int64_t tokens, int64_t k, int64_t experts, int align) {
    return tokens * k + experts * (align - 1);
  }
};

}  // namespace ballast
