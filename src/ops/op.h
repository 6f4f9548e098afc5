// What every op shares: argument checks, dispatch over element types, and the device-scalar convention.
//
// An op is an argument struct of views with check() and cost(), and one free function that validates, then switches on
// the device; it is the only caller of the backends. Conventions:
//  - "storage" tensors (activations, matrices) are f32 or bf16; "full" tensors (norm weights, router, statistics,
//    gradients of weights) are always f32. On Device::ref both are the same type: f32, f64 or c128.
//  - T tokens, D width, E experts, K slots per token, V vocabulary, H heads. A name carries its shape where it helps.
//  - What changes from step to step is a one-element tensor in device memory (a "device scalar"), never a value.
//  - Integer -1 means "no such row, token, slot or expert" and is skipped everywhere.
#pragma once

#include <initializer_list>

#include "core/device.h"

namespace ballast::ops {

// Throws Error{shape} "rmsnorm.forward: weight is f32(7), expected (8)". An extent of -1 matches anything.
void expect_shape(const char* op, const char* argument, const Tensor& t, std::initializer_list<int64_t> shape);
void expect_dtype(const char* op, const char* argument, const Tensor& t, DType dtype);
void expect_same_dtype(const char* op, const char* argument, const Tensor& t, const Tensor& other);
void expect_full(const char* op, const char* argument, const Tensor& t);        // not bf16, not an integer
void expect_rows_dense(const char* op, const char* argument, const Tensor& t);  // innermost stride 1
[[noreturn]] void unsupported(const char* op, const Device& device);

// Calls f.operator()<T>() for the type of Device::ref.
template <class F>
void dispatch_ref(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
    case DType::c128: return f.template operator()<std::complex<double>>();
    default: fail(ErrorKind::unsupported, op, "no reference for dtype {}", name_of(t));
  }
}

// The same for a vjp: complex step needs only the forward.
template <class F>
void dispatch_ref_real(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
    default: fail(ErrorKind::unsupported, op, "no reference for dtype {}", name_of(t));
  }
}

// Calls f.operator()<T>() for the storage types of CPU and GPU.
template <class F>
void dispatch_storage(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::f32: return f.template operator()<float>();
    case DType::bf16: return f.template operator()<bf16>();
    default: fail(ErrorKind::unsupported, op, "no kernel for dtype {}", name_of(t));
  }
}

}  // namespace ballast::ops
