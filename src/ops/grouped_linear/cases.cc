#include <numeric>

#include "ops/case.h"
#include "ops/grouped_linear/grouped_linear.h"

namespace ballast::ops {
namespace {

OpCase grouped_case(std::string name, std::vector<int> counts, int64_t width, int64_t outputs, bool accumulate) {
  OpCase c;
  c.op = "grouped_linear";
  c.name = std::move(name);
  const int64_t experts = static_cast<int64_t>(counts.size()), rows = std::accumulate(counts.begin(), counts.end(), 0);
  c.arguments = [=](int align) {
    return std::vector<Argument>{
        {.name = "x", .shape = {rows, width}, .group_counts = counts},
        {.name = "offs", .kind = Kind::i32, .shape = {experts + 1}, .fill = values(ragged_offsets(counts, align))},
        {.name = "count", .kind = Kind::i32, .shape = {experts}, .fill = values(as_doubles(counts))},
        {.name = "weight", .shape = {experts, outputs, width}},
        {.name = "y", .role = Role::out, .shape = {rows, outputs}, .group_counts = counts},
        {.name = "executed", .kind = Kind::i64, .role = Role::inout, .shape = {1}, .fill = constant(3)}};
  };
  const auto ragged = [](const Bindings& b, int align) {
    return Ragged{b.at("x"), b.at("offs"), b.at("count"), align};
  };
  c.forward = [=](Device& d, const Bindings& b, int align) {
    grouped_linear_forward(
        d, {.x = ragged(b, align), .weight = b.at("weight"), .y = b.at("y"), .executed = b.at("executed")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dy", .shape = {rows, outputs}, .group_counts = counts, .cotangent_of = "y"},
        {.name = "dx", .role = Role::out, .shape = {rows, width}, .group_counts = counts, .gradient_of = "x"},
        {.name = "dweight", .kind = Kind::full, .role = accumulate ? Role::inout : Role::out,
         .shape = {experts, outputs, width}, .gradient_of = "weight"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int align) {
    grouped_linear_backward(d, {.x = ragged(b, align), .dy = b.at("dy"), .weight = b.at("weight"), .dx = b.at("dx"),
                                .dweight = b.at("dweight"), .accumulate_dweight = accumulate});
  };
  c.tolerance = {1.5e-6, 4.2e-3, "f32 sums of up to 500 products; one rounding to bf16 is 2^-8 = 3.9e-3 at most"};
  c.vjp_tolerance = c.tolerance;
  return c;
}

// Experts of two matrices each, as a file holds gate and up. Codes and bf16 come as integers, since the runner's floats are
// of the run's type.
enum class Stored { bf16, e4m3 };

MappedExperts mapped_experts(const Bindings& b, Stored stored, int64_t experts, int64_t outputs, int64_t width,
                             std::vector<std::vector<uint8_t>>& bytes) {
  constexpr int64_t kParts = 2;
  const Tensor codes = b.at("codes"), scales = b.at("scales");
  MappedExperts m{.experts = experts, .rows = outputs, .cols = width, .parts = kParts};
  const int64_t size = outputs / kParts * width, blocks = scales.size() / (experts * kParts);
  for (int64_t i = 0; i < experts * kParts; ++i) {
    std::vector<uint8_t>& data = bytes.emplace_back();
    MappedMatrix matrix;
    for (int64_t j = 0; j < size; ++j) {
      const int32_t code = codes.as<int32_t>()[i * size + j];
      data.push_back(static_cast<uint8_t>(code));
      if (stored == Stored::bf16) data.push_back(static_cast<uint8_t>(code >> 8));
    }
    for (int64_t j = 0; j < blocks && stored == Stored::e4m3; ++j)
      matrix.scales.push_back(scales.dtype == DType::f64 ? static_cast<float>(scales.as<double>()[i * blocks + j])
                                                         : scales.as<float>()[i * blocks + j]);
    matrix.data = data.data();
    m.matrices.push_back(std::move(matrix));
  }
  return m;
}

OpCase mapped_case(std::string name, Stored stored, const std::vector<int>& counts, int64_t width, int64_t outputs, const Fill& codes) {
  OpCase c = grouped_case(std::move(name), counts, width, outputs, false);
  const int64_t experts = static_cast<int64_t>(counts.size());
  const auto blocks = [](int64_t n) { return (n + kFp8Block - 1) / kFp8Block; };
  c.arguments = [=, plain = c.arguments](int align) {
    auto list = plain(align);
    std::erase_if(list, [](const Argument& a) { return a.name == "weight"; });
    list.push_back({.name = "codes", .kind = Kind::i32, .shape = {experts * outputs * width}, .fill = codes});
    list.push_back({.name = "scales", .kind = Kind::full,
                    .shape = {experts * 2 * blocks(outputs / 2) * blocks(width)}, .fill = uniform(1e-3, 3e-3)});
    return list;
  };
  c.forward = [=](Device& d, const Bindings& b, int align) {
    std::vector<std::vector<uint8_t>> bytes;
    MappedExperts mapped{.experts = experts, .rows = outputs, .cols = width, .parts = 2};
    if (d.kind != DeviceKind::cuda) mapped = mapped_experts(b, stored, experts, outputs, width, bytes);
    grouped_linear_forward(d, {.x = {b.at("x"), b.at("offs"), b.at("count"), align}, .mapped = &mapped, .y = b.at("y"),
                               .executed = b.at("executed")});
  };
  c.backward = nullptr;
  return c;
}

// Any finite code, its sign included.
double finite_code(Rng& rng) {
  const int64_t code = static_cast<int64_t>(rng.below(254));
  return static_cast<double>(code < 127 ? code : code + 1);
}

std::vector<OpCase> mapped_cases() {
  const Fill codes = [](Rng& rng, int64_t) { return finite_code(rng); };
  const Fill halves = [](Rng& rng, int64_t) { return double(bf16(static_cast<float>(rng.normal())).bits); };
  // NaN of either sign, in a row of the first and of a later expert.
  const Fill nan = [](Rng& rng, int64_t i) {
    const double code = finite_code(rng);
    return i == 150 * 7 + 149 ? 127.0 : i == 150 * 70 + 3 ? 255.0 : code;
  };
  return {
      mapped_case("mapped FP8, a few rows", Stored::e4m3, {1, 0, 3, 8, 2, 0}, 256, 96, codes),
      mapped_case("mapped FP8, ragged blocks", Stored::e4m3, {4, 33, 0, 7, 9}, 203, 2 * 147, codes),
      mapped_case("mapped FP8, many rows", Stored::e4m3, {40, 0, 130, 1}, 320, 2 * 200, codes),
      mapped_case("mapped FP8, subnormal codes", Stored::e4m3, {3, 20}, 130, 30,
                  [](Rng& rng, int64_t) { return double(rng.below(9) + 128 * rng.below(2)); }),
      mapped_case("mapped FP8, NaN codes, a few rows", Stored::e4m3, {2, 5, 1}, 150, 60, nan),
      mapped_case("mapped FP8, NaN codes, many rows", Stored::e4m3, {20, 0, 9}, 150, 60, nan),
      mapped_case("mapped bf16, a few rows", Stored::bf16, {1, 0, 6, 8}, 131, 54, halves),
      mapped_case("mapped bf16, many rows", Stored::bf16, {9, 0, 200, 8}, 96, 2 * 150, halves),
  };
}

}  // namespace

std::vector<OpCase> grouped_linear_cases() {
  std::vector<OpCase> cases = {
      grouped_case("ragged", {3, 0, 40, 17, 64, 1}, 48, 40, false),
      grouped_case("odd sizes, accumulating", {5, 33, 0, 2}, 37, 29, true),
      grouped_case("one expert takes all", {0, 500, 0, 0}, 32, 96, false),
      grouped_case("one row each", {1, 1, 0, 1, 1, 1, 0, 1}, 96, 130, false),
      grouped_case("decode, one token", {0, 0, 1, 0, 1}, 64, 48, false),
      grouped_case("one expert", {50}, 32, 64, true),
  };
  for (OpCase& c : mapped_cases()) cases.push_back(std::move(c));
  return cases;
}

}  // namespace ballast::ops
