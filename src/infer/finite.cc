#include "infer/finite.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ballast {
namespace {

bool finite_values(std::span<const double> v) {
  return std::ranges::all_of(v, [](double x) { return std::isfinite(x); });
}

// Integers, so that the compiler may use vectors: the exponent of NaN and infinity is all ones.
bool finite_values(std::span<const float> v) {
  uint32_t largest = 0;
  for (const float x : v) largest = std::max(largest, std::bit_cast<uint32_t>(x) & 0x7FFFFFFFu);
  return largest < 0x7F800000u;
}

bool is_finite(const ParamStore& params, ParamId id, const HubTensor& tensor) {
  constexpr int64_t kPiece = 1 << 16;
  std::vector<double> piece;
  for (int64_t at = 0; at < tensor.size(); at += kPiece) {
    piece.resize(static_cast<size_t>(std::min(kPiece, tensor.size() - at)));
    params.read(id, tensor.offset + at, piece.data(), std::ssize(piece));
    if (!finite_values(piece)) return false;
  }
  return true;
}

struct Culprit {
  std::string tensor;
  bool router;
};

// The first of the weights in memory; `biases`: of the routers' biases alone.
std::optional<Culprit> first_not_finite(const ParamStore& params, bool biases) {
  const auto& list = params.table().list;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto id = static_cast<ParamId>(i);
    if (!params.weight(id) || (biases && list[i].kind != ParamKind::buffer)) continue;
    for (const HubTensor& t : list[i].hub)
      if (!is_finite(params, id, t))
        return Culprit{t.name, list[i].kind == ParamKind::gate || list[i].kind == ParamKind::buffer};
  }
  return {};
}

std::string place(const ParamStore& params) {
  return params.origin().empty() ? std::string("the model") : params.origin().string();
}

std::string doctor(const ParamStore& params) {
  return "`ballast doctor " + (params.origin().empty() ? "DIR" : params.origin().string()) + "` examines all routers";
}

[[noreturn]] void fail_of(const ParamStore& params, const Culprit& culprit) {
  fail(ErrorKind::format, place(params),
       "{} holds NaN or infinity: nothing that the model says would mean anything; take it from the checkpoint that "
       "this "
       "one was made of{}",
       culprit.tensor, culprit.router ? "; " + doctor(params) : "");
}

}  // namespace

bool all_finite(const Tensor& t) {
  CHECK(t.contiguous());
  const auto n = static_cast<size_t>(t.size());
  return t.dtype == DType::f64 ? finite_values(std::span<const double>(t.as<double>(), n))
                               : finite_values(std::span<const float>(t.as<float>(), n));
}

void check_router_biases(const ParamStore& params) {
  if (const auto culprit = first_not_finite(params, true)) fail_of(params, *culprit);
}

void fail_not_finite(const ParamStore& params, std::string_view what) {
  if (const auto culprit = first_not_finite(params, false)) fail_of(params, *culprit);
  fail(ErrorKind::format, place(params),
       "{} are NaN or infinite, though all weights in memory are finite: values overflow on their way, or an expert "
       "that "
       "stays in the files is damaged; {}",
       what, doctor(params));
}

}  // namespace ballast
