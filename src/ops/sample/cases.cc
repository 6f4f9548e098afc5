#include <cmath>
#include <limits>

#include "ops/case.h"
#include "ops/sample/sample.h"

namespace ballast::ops {
namespace {

OpCase sample_case(std::string name, int64_t rows, int64_t vocab, const Fill& logits, const Fill& temperature, const Fill& top_p) {
  OpCase c;
  c.op = "sample";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{{.name = "logits", .kind = Kind::full, .shape = {rows, vocab}, .fill = logits},
                                 {.name = "temperature", .kind = Kind::full, .shape = {rows}, .fill = temperature},
                                 {.name = "top_p", .kind = Kind::full, .shape = {rows}, .fill = top_p},
                                 {.name = "key", .kind = Kind::i64, .shape = {rows, 3}, .fill = integers(0, 1 << 30)},
                                 {.name = "token", .kind = Kind::i32, .role = Role::out, .shape = {rows}}};
  };
  c.forward = [](Device& d, const Bindings& b, int) {
    sample(d, {.logits = b.at("logits"), .temperature = b.at("temperature"), .top_p = b.at("top_p"), .key = b.at("key"),
               .token = b.at("token")});
  };
  c.tolerance = {0, 0, "an integer: the draw would have to fall within 1e-7 of a boundary"};
  return c;
}

// Every `every`-th logit is `value`.
Fill with(double value, int64_t every) {
  return [=](Rng& rng, int64_t i) { return i % every == 0 ? value : 2 * rng.normal(); };
}

}  // namespace

std::vector<OpCase> sample_cases() {
  const double infinity = std::numeric_limits<double>::infinity();
  return {
      sample_case("odd vocabulary", 64, 37, normal(2), uniform(0.5, 1.5), constant(1)),
      sample_case("one token", 3, 1, normal(), constant(1), constant(0.5)),
      sample_case("greedy", 20, 101, normal(), constant(0), constant(1)),
      sample_case("greedy ties", 20, 33, integers(0, 3), constant(0), constant(1)),
      sample_case("top_p", 64, 500, normal(2), uniform(0.5, 1.5), uniform(0.05, 0.99)),
      sample_case("tiny top_p", 32, 60, normal(), constant(1), constant(1e-6)),
      sample_case("equal logits", 32, 64, constant(1), constant(1), constant(0.5)),
      sample_case("large vocabulary", 4, 8191, normal(3), constant(0.8), constant(0.95)),
      sample_case("tiny temperature", 16, 50, normal(), constant(1e-30), constant(1)),
      sample_case("masked logits", 32, 40, with(-infinity, 3), constant(1), constant(0.9)),
      sample_case("NaN logits", 32, 40, with(std::nan(""), 7), constant(1), constant(1)),
      sample_case("only NaN", 2, 40, constant(std::nan("")), constant(1), constant(0.9)),
      sample_case("only minus infinity", 2, 40, constant(-infinity), constant(1), constant(1)),
      sample_case("plus infinity", 4, 40, with(infinity, 11), constant(1), constant(0.9)),
  };
}

}  // namespace ballast::ops
