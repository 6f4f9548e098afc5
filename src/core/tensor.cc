#include "core/tensor.h"

#include <algorithm>

namespace ballast {

Tensor::Tensor(void* data, DType dtype, std::initializer_list<int64_t> shape)
    : data(data), dtype(dtype), rank(static_cast<int>(shape.size())) {
  CHECK(rank <= kMaxRank);
  std::copy(shape.begin(), shape.end(), dim.begin());
  int64_t step = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    CHECK(dim[axis] >= 0);
    stride[axis] = step;
    step *= dim[axis];
  }
}

int64_t Tensor::size() const {
  int64_t n = 1;
  for (int axis = 0; axis < rank; ++axis) n *= dim[axis];
  return n;
}

bool Tensor::contiguous() const {
  int64_t step = 1;
  for (int axis = rank - 1; axis >= 0; --axis) {
    if (dim[axis] != 1 && stride[axis] != step) return false;
    step *= dim[axis];
  }
  return true;
}

std::string Tensor::shape_string() const {
  std::string s = std::string(name_of(dtype)) + "(";
  for (int axis = 0; axis < rank; ++axis) s += (axis ? ", " : "") + std::to_string(dim[axis]);
  return s + ")";
}

Tensor Tensor::slice(int axis, int64_t begin, int64_t end) const {
  CHECK(axis < rank && 0 <= begin && begin <= end && end <= dim[axis]);
  Tensor t = *this;
  if (data) t.data = static_cast<char*>(data) + begin * stride[axis] * static_cast<int64_t>(size_of(dtype));
  t.dim[axis] = end - begin;
  return t;
}

Tensor Tensor::index(int64_t i) const {
  Tensor t = slice(0, i, i + 1);
  for (int axis = 1; axis < rank; ++axis) {
    t.dim[axis - 1] = t.dim[axis];
    t.stride[axis - 1] = t.stride[axis];
  }
  --t.rank;
  return t;
}

Tensor Tensor::view(std::initializer_list<int64_t> shape) const {
  Tensor t(data, dtype, shape);
  CHECK(t.size() == size());
  if (contiguous()) return t;
  // (T, H*D) strided -> (T, H, D): the rows keep their stride.
  CHECK(rank == 2 && t.rank >= 2 && t.dim[0] == dim[0]);
  t.stride[0] = stride[0];
  return t;
}

}  // namespace ballast
