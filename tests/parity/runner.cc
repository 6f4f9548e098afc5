#include "parity/runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace ballast::ops {
namespace {

using Complex = std::complex<double>;
constexpr size_t kGuard = 256;
constexpr uint8_t kGuardByte = 0xA5;

int64_t count(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

void store(void* base, int64_t i, DType t, Complex v) {
  switch (t) {
    case DType::f32: static_cast<float*>(base)[i] = static_cast<float>(v.real()); break;
    case DType::bf16: static_cast<bf16*>(base)[i] = bf16(static_cast<float>(v.real())); break;
    case DType::f64: static_cast<double*>(base)[i] = v.real(); break;
    case DType::c128: static_cast<Complex*>(base)[i] = v; break;
    case DType::i32: static_cast<int32_t*>(base)[i] = static_cast<int32_t>(v.real()); break;
    case DType::i64: static_cast<int64_t*>(base)[i] = static_cast<int64_t>(v.real()); break;
  }
}

Complex load(const void* base, int64_t i, DType t) {
  switch (t) {
    case DType::f32: return static_cast<const float*>(base)[i];
    case DType::bf16: return static_cast<float>(static_cast<const bf16*>(base)[i]);
    case DType::f64: return static_cast<const double*>(base)[i];
    case DType::c128: return static_cast<const Complex*>(base)[i];
    case DType::i32: return static_cast<const int32_t*>(base)[i];
    case DType::i64: return static_cast<double>(static_cast<const int64_t*>(base)[i]);
  }
  return 0;
}

double round_to(double v, DType t) {
  if (t == DType::bf16) return static_cast<float>(bf16(static_cast<float>(v)));
  if (t == DType::f32) return static_cast<float>(v);
  return v;
}

int64_t row_width(const Argument& a) { return a.shape.empty() ? 1 : count(a.shape) / std::max<int64_t>(1, a.shape[0]); }
int64_t row_stride(const Argument& a) { return a.row_stride ? a.row_stride : row_width(a); }

struct Comparison {
  double worst = 0;
  std::string message;
};

// Integers must be equal; floats within tolerance of the largest reference value; a non-finite reference must be met.
void compare(const Argument& a, const std::vector<Complex>& got, const std::vector<Complex>& want, double tolerance,
             Comparison& result) {
  double scale = 0;
  for (const Complex& w : want) {
    if (std::isfinite(w.real())) scale = std::max(scale, std::abs(w.real()));
  }
  const bool exact = a.kind == Kind::i32 || a.kind == Kind::i64;
  for (size_t i = 0; i < want.size(); ++i) {
    const double g = got[i].real(), w = want[i].real();
    if (g == w || (std::isnan(w) && std::isnan(g))) continue;
    double error = std::abs(g - w) / (scale > 0 ? scale : 1);
    if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
    result.worst = std::max(result.worst, error);
    if ((exact || !(error <= tolerance)) && result.message.empty())
      result.message = fmt::format("{}[{}] is {}, reference {}: error {:.3g} of the largest value, allowed {:.3g}",
                                   a.name, i, g, w, error, exact ? 0 : tolerance);
  }
}

std::vector<Argument> all_arguments(const OpCase& c, int align, bool backward) {
  auto list = c.arguments(align);
  if (backward)
    for (auto& a : c.vjp_arguments(align)) list.push_back(std::move(a));
  return list;
}

}  // namespace

std::vector<double> draw(const Argument& a, Rng& rng) {
  std::vector<double> v(count(a.shape));
  for (size_t i = 0; i < v.size(); ++i) v[i] = a.fill(rng, static_cast<int64_t>(i));
  return v;
}

DType Bound::dtype_for(Kind kind) const {
  if (kind == Kind::i32) return DType::i32;
  if (kind == Kind::i64) return DType::i64;
  return kind == Kind::full && storage_ == DType::bf16 ? DType::f32 : storage_;
}

std::vector<int64_t> Bound::physical_rows(const Argument& a) const {
  std::vector<int64_t> rows;
  if (a.group_counts.empty()) {
    for (int64_t r = 0; r < (a.shape.empty() ? 1 : a.shape[0]); ++r) rows.push_back(r);
    return rows;
  }
  const auto offs = ragged_offsets(a.group_counts, align_);
  for (size_t e = 0; e < a.group_counts.size(); ++e)
    for (int i = 0; i < a.group_counts[e]; ++i) rows.push_back(static_cast<int64_t>(offs[e]) + i);
  return rows;
}

int64_t Bound::physical_row_count(const Argument& a) const {
  if (a.group_counts.empty()) return a.shape.empty() ? 1 : a.shape[0];
  const int64_t n = a.shape[0];
  return std::max<int64_t>(1, n + static_cast<int64_t>(a.group_counts.size()) * (align_ - 1));
}

void Bound::add(const Argument& a, const std::vector<double>& values) {
  const DType t = dtype_for(a.kind);
  const int64_t rows = physical_row_count(a), stride = row_stride(a);
  const size_t element = size_of(t), bytes = static_cast<size_t>(rows * stride) * element;
  std::vector<uint8_t> host(bytes + 2 * kGuard, kGuardByte);
  uint8_t* base = host.data() + kGuard;
  const bool floating = is_floating(t);
  for (int64_t i = 0; i < rows * stride; ++i)
    store(base, i, t, floating ? Complex(std::nan(""), std::nan("")) : Complex(-123456));
  if (a.role != Role::out) {
    const int64_t width = row_width(a);
    if (!a.group_counts.empty()) {  // padding rows inside the groups are zero; rows beyond them stay poisoned
      const auto offs = ragged_offsets(a.group_counts, align_);
      for (int64_t i = 0; i < static_cast<int64_t>(offs.back()) * stride; ++i) store(base, i, t, 0);
    }
    const auto place = physical_rows(a);
    for (size_t r = 0; r < place.size(); ++r)
      for (int64_t j = 0; j < width; ++j) store(base, place[r] * stride + j, t, values[r * width + j]);
  }
  Slot slot{Buffer(device_, host.size()), bytes};
  device_.upload(slot.buffer.data(), host.data(), host.size());
  device_.synchronize();
  Tensor tensor(static_cast<uint8_t*>(slot.buffer.data()) + kGuard, t, {});
  tensor.rank = static_cast<int>(a.shape.size());
  int64_t step = 1;
  for (int axis = tensor.rank - 1; axis >= 0; --axis) {
    tensor.dim[axis] = axis == 0 ? rows : a.shape[axis];
    tensor.stride[axis] = axis == 0 && tensor.rank > 1 ? stride : step;
    step *= tensor.dim[axis];
  }
  bindings_[a.name] = tensor;
  slots_[a.name] = std::move(slot);
}

std::vector<Complex> Bound::read(const Argument& a) const {
  const Slot& slot = slots_.at(a.name);
  std::vector<uint8_t> host(slot.buffer.bytes());
  device_.download(host.data(), slot.buffer.data(), host.size());
  const uint8_t* base = host.data() + kGuard;
  const DType t = dtype_for(a.kind);
  const int64_t width = row_width(a), stride = row_stride(a);
  std::vector<Complex> out;
  if (!a.row_of.empty()) {  // rows in (token, slot) order
    const Slot& index = slots_.at(a.row_of);
    std::vector<uint8_t> ids(index.buffer.bytes());
    device_.download(ids.data(), index.buffer.data(), ids.size());
    const auto* row_of = reinterpret_cast<const int32_t*>(ids.data() + kGuard);
    for (int64_t i = 0; i < bindings_.at(a.row_of).size(); ++i)
      for (int64_t j = 0; j < width && row_of[i] >= 0; ++j) out.push_back(load(base, row_of[i] * stride + j, t));
    return out;
  }
  for (const int64_t r : physical_rows(a))
    for (int64_t j = 0; j < width; ++j) out.push_back(load(base, r * stride + j, t));
  return out;
}

void Bound::write(const Argument& a, const std::vector<Complex>& values) {
  Slot& slot = slots_.at(a.name);
  std::vector<uint8_t> host(slot.buffer.bytes());
  device_.download(host.data(), slot.buffer.data(), host.size());
  const DType t = dtype_for(a.kind);
  const int64_t width = row_width(a), stride = row_stride(a);
  const auto place = physical_rows(a);
  for (size_t r = 0; r < place.size(); ++r)
    for (int64_t j = 0; j < width; ++j) store(host.data() + kGuard, place[r] * stride + j, t, values[r * width + j]);
  device_.upload(slot.buffer.data(), host.data(), host.size());
  device_.synchronize();
}

std::string Bound::broken_guard() const {
  for (const auto& [name, slot] : slots_) {
    std::vector<uint8_t> host(slot.buffer.bytes());
    device_.download(host.data(), slot.buffer.data(), host.size());
    const auto intact = [](uint8_t b) { return b == kGuardByte; };
    if (!std::all_of(host.begin(), host.begin() + kGuard, intact) ||
        !std::all_of(host.begin() + static_cast<int64_t>(kGuard + slot.bytes), host.end(), intact))
      return name;
  }
  return "";
}

std::string Bound::broken_padding(const Argument& a) const {
  if (a.group_counts.empty() || a.role == Role::in) return "";
  const Slot& slot = slots_.at(a.name);
  std::vector<uint8_t> host(slot.buffer.bytes());
  device_.download(host.data(), slot.buffer.data(), host.size());
  const DType t = dtype_for(a.kind);
  const auto offs = ragged_offsets(a.group_counts, align_);
  for (size_t e = 0; e < a.group_counts.size(); ++e)
    for (int64_t r = static_cast<int64_t>(offs[e]) + a.group_counts[e]; r < static_cast<int64_t>(offs[e + 1]); ++r)
      for (int64_t j = 0; j < row_width(a); ++j)
        if (load(host.data() + kGuard, r * row_stride(a) + j, t) != 0.0)
          return fmt::format("{}: padding row {} of group {} is not zero", a.name, r, e);
  return "";
}

Verdict check_parity(const OpCase& c, Device& device, DType storage, bool backward, uint64_t seed) {
  auto reference = Device::make(DeviceKind::ref);
  const int align = ragged_alignment(device.kind);
  Bound want(*reference, DType::f64, 1), got(device, storage, align);
  const auto reference_arguments = all_arguments(c, 1, backward), device_arguments = all_arguments(c, align, backward);
  for (size_t i = 0; i < device_arguments.size(); ++i) {
    Rng rng(seed, i);  // per argument: a layout that depends on the alignment must not shift the others' draws
    Rng again(seed, i);
    auto value = draw(device_arguments[i], rng);
    auto reference_value = draw(reference_arguments[i], again);
    for (double& v : value) v = round_to(v, got.dtype_for(device_arguments[i].kind));
    for (double& v : reference_value) v = round_to(v, got.dtype_for(device_arguments[i].kind));
    got.add(device_arguments[i], value);
    want.add(reference_arguments[i], reference_value);
  }
  try {
    c.forward(device, got.bindings(), align);
    if (backward) c.backward(device, got.bindings(), align);
    device.synchronize();
  } catch (const Error& e) {
    if (e.kind == ErrorKind::unsupported) return {Outcome::unsupported, e.what()};
    throw;
  }
  c.forward(*reference, want.bindings(), 1);
  if (backward) c.backward(*reference, want.bindings(), 1);

  const Tolerance& tolerance = backward ? c.vjp_tolerance : c.tolerance;
  const double limit = storage == DType::bf16 ? tolerance.bf16 : tolerance.f32;
  Comparison result;
  const size_t forward_count = c.arguments(1).size();
  for (size_t i = 0; i < device_arguments.size(); ++i) {
    const Argument& a = device_arguments[i];
    if (a.role == Role::in || !a.compare || (backward && i < forward_count)) continue;
    compare(a, got.read(a), want.read(reference_arguments[i]), limit, result);
    if (const auto bad = got.broken_padding(a); !bad.empty() && result.message.empty()) result.message = bad;
  }
  if (const auto name = got.broken_guard(); !name.empty()) result.message = "wrote outside of " + name;
  return {result.message.empty() ? Outcome::passed : Outcome::failed, result.message, result.worst};
}

Verdict check_gradient(const OpCase& c, uint64_t seed, int samples) {
  constexpr double h = 1e-50;
  auto device = Device::make(DeviceKind::ref);
  const auto forward_arguments = c.arguments(1), vjp_arguments = c.vjp_arguments(1);
  Bound real(*device, DType::f64, 1), complex(*device, DType::c128, 1);
  std::map<std::string, std::vector<double>> start;
  for (size_t i = 0; i < forward_arguments.size(); ++i) {
    Rng rng(seed, i);
    start[forward_arguments[i].name] = draw(forward_arguments[i], rng);
    real.add(forward_arguments[i], start[forward_arguments[i].name]);
  }
  for (size_t i = 0; i < vjp_arguments.size(); ++i) {
    Rng rng(seed, forward_arguments.size() + i);
    start["vjp " + vjp_arguments[i].name] = draw(vjp_arguments[i], rng);
    real.add(vjp_arguments[i], start["vjp " + vjp_arguments[i].name]);
  }
  c.forward(*device, real.bindings(), 1);
  c.backward(*device, real.bindings(), 1);

  const auto find = [&](const std::string& name) -> const Argument& {
    for (const auto& a : forward_arguments)
      if (a.name == name) return a;
    fail(ErrorKind::usage, c.op, "case {}: no forward argument {}", c.name, name);
  };
  Verdict verdict;
  int compared = 0;
  for (const Argument& gradient : vjp_arguments) {
    if (gradient.gradient_of.empty()) continue;
    const Argument& input = find(gradient.gradient_of);
    const auto analytic = real.read(gradient);
    const auto& before = start["vjp " + gradient.name];
    const bool added = gradient.role == Role::inout && gradient.cotangent_of.empty();
    const int64_t n = static_cast<int64_t>(analytic.size());
    double scale = 1e-30;
    for (int64_t i = 0; i < n; ++i) scale = std::max(scale, std::abs(analytic[i].real() - (added ? before[i] : 0)));
    Rng pick(seed, 999);
    for (int64_t s = 0; s < std::min<int64_t>(n, samples); ++s) {
      const int64_t i = n <= samples ? s : static_cast<int64_t>(pick.below(n));
      for (const auto& a : forward_arguments) complex.add(a, start[a.name]);
      std::vector<Complex> nudged(start[input.name].begin(), start[input.name].end());
      nudged[i] += Complex(0, h);
      complex.write(input, nudged);
      c.forward(*device, complex.bindings(), 1);
      double step = 0;
      for (const Argument& cotangent : vjp_arguments) {
        if (cotangent.cotangent_of.empty()) continue;
        const auto y = complex.read(find(cotangent.cotangent_of));
        const auto& dy = start["vjp " + cotangent.name];
        for (size_t j = 0; j < y.size(); ++j) step += dy[dy.size() == 1 ? 0 : j] * y[j].imag() / h;
      }
      const double got = analytic[i].real() - (added ? before[i] : 0), error = std::abs(got - step) / scale;
      verdict.worst = std::max(verdict.worst, error);
      ++compared;
      if (!(error <= 1e-10) && verdict.outcome == Outcome::passed)
        verdict = {Outcome::failed,
                   fmt::format("d{}[{}] is {}, complex step says {}", input.name, i, got, step), error};
    }
  }
  if (compared == 0) verdict = {Outcome::failed, "no gradient was compared"};
  return verdict;
}

}  // namespace ballast::ops
