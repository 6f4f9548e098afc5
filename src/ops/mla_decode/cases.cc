#include <cmath>

#include "ops/case.h"
#include "ops/mla_decode/mla_decode.h"

namespace ballast::ops {
namespace {

struct Shape {
  int64_t heads, dn, dr, dv, rank, capacity;
  double spread = 1;  // scale of the queries: how peaked the softmax is
};

OpCase decode_case(std::string name, const std::vector<int>& lengths, Shape s) {
  OpCase c;
  c.op = "mla_decode";
  c.name = std::move(name);
  const int64_t rows = static_cast<int64_t>(lengths.size());
  c.arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "q", .shape = {rows, s.heads, s.dn + s.dr}, .fill = normal(s.spread)},
        {.name = "kv_b", .shape = {s.heads * (s.dn + s.dv), s.rank}, .fill = normal(1 / std::sqrt(double(s.rank)))},
        {.name = "cache", .shape = {rows, s.capacity, s.rank + s.dr}},
        {.name = "length", .kind = Kind::i32, .shape = {rows}, .fill = values(as_doubles(lengths))},
        {.name = "scratch", .kind = Kind::full, .role = Role::out, .shape = {rows, s.heads, 2 * s.rank + s.capacity},
         .compare = false},
        {.name = "o", .role = Role::out, .shape = {rows, s.heads, s.dv}}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    mla_decode(d, {.q = b.at("q"), .kv_b = b.at("kv_b"), .cache = b.at("cache"), .length = b.at("length"),
                   .scale = 1 / std::sqrt(double(s.dn + s.dr)), .scratch = b.at("scratch"), .o = b.at("o")});
  };
  c.tolerance = {3e-6, 5e-3, "f32 throughout; one rounding of o to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> mla_decode_cases() {
  return {
      decode_case("first token", {1}, {2, 16, 8, 16, 32, 4}),
      decode_case("rows of different length", {5, 0, 37, 1}, {3, 16, 8, 12, 40, 37}),
      decode_case("odd widths", {11, 9}, {2, 13, 5, 11, 37, 16}),
      decode_case("long cache", {700}, {2, 32, 16, 32, 64, 800}),
      decode_case("peaked", {100}, {2, 16, 8, 16, 32, 128, 30}),
  };
}

}  // namespace ballast::ops
