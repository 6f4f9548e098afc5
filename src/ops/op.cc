#include "ops/op.h"

namespace ballast::ops {

void expect_shape(const char* op, const char* argument, const Tensor& t, std::initializer_list<int64_t> shape) {
  bool ok = t.data && t.rank == static_cast<int>(shape.size());
  int axis = 0;
  std::string expected;
  for (const int64_t extent : shape) {
    ok = ok && (extent < 0 || t.dim[axis] == extent);
    expected += (axis++ ? ", " : "") + (extent < 0 ? std::string("?") : std::to_string(extent));
  }
  if (!t.data) fail(ErrorKind::shape, op, "{} is missing, expected ({})", argument, expected);
  if (!ok) fail(ErrorKind::shape, op, "{} is {}, expected ({})", argument, t.shape_string(), expected);
}

void expect_dtype(const char* op, const char* argument, const Tensor& t, DType dtype) {
  if (t.dtype != dtype) fail(ErrorKind::shape, op, "{} is {}, expected {}", argument, t.shape_string(), name_of(dtype));
}

void expect_same_dtype(const char* op, const char* argument, const Tensor& t, const Tensor& other) {
  expect_dtype(op, argument, t, other.dtype);
}

void expect_full(const char* op, const char* argument, const Tensor& t) {
  if (t.dtype == DType::bf16 || !is_floating(t.dtype))
    fail(ErrorKind::shape, op, "{} is {}, expected full precision", argument, t.shape_string());
}

void expect_rows_dense(const char* op, const char* argument, const Tensor& t) {
  if (t.rank == 0 || t.stride[t.rank - 1] != 1)
    fail(ErrorKind::shape, op, "{} is {}: its innermost axis is not dense", argument, t.shape_string());
}

void unsupported(const char* op, const Device& device) {
  fail(ErrorKind::unsupported, op, "has no {} backend", name_of(device.kind));
}

}  // namespace ballast::ops
