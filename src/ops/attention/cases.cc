#include <cmath>

#include "ops/attention/attention.h"
#include "ops/case.h"

namespace ballast::ops {
namespace {

struct Segments {
  std::vector<int> q, kv;
};

Segments square(const std::vector<int>& n) { return {n, n}; }

struct Shape {
  int64_t heads, dn, dr, dv;
  double spread = 1;     // scale of the queries: how peaked the softmax is
  bool strided = false;  // rows as slices of wider tensors
};

OpCase attention_case(std::string name, const Segments& segments, Shape s) {
  OpCase c;
  c.op = "attention";
  c.name = std::move(name);
  const auto q_offs = ragged_offsets(segments.q, 1), kv_offs = ragged_offsets(segments.kv, 1);
  const int64_t n_q = static_cast<int64_t>(q_offs.back()), n_kv = static_cast<int64_t>(kv_offs.back());
  const int64_t count = static_cast<int64_t>(q_offs.size()), h = s.heads, pad = s.strided ? 24 : 0;
  const double scale = 1 / std::sqrt(double(s.dn + s.dr));
  c.arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "q", .shape = {n_q, h, s.dn + s.dr}, .fill = normal(s.spread),
         .row_stride = h * (s.dn + s.dr) + pad},
        {.name = "k_nope", .shape = {n_kv, h, s.dn}, .row_stride = h * s.dn + pad},
        {.name = "k_rope", .shape = {n_kv, s.dr}, .row_stride = s.dr + pad},
        {.name = "v", .shape = {n_kv, h, s.dv}, .row_stride = h * s.dv + pad},
        {.name = "q_offs", .kind = Kind::i32, .shape = {count}, .fill = values(q_offs)},
        {.name = "kv_offs", .kind = Kind::i32, .shape = {count}, .fill = values(kv_offs)},
        {.name = "o", .role = Role::out, .shape = {n_q, h, s.dv}, .row_stride = h * s.dv + pad},
        {.name = "lse", .kind = Kind::full, .role = Role::out, .shape = {h, n_q}}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    attention_forward(d, {.q = b.at("q"), .k_nope = b.at("k_nope"), .k_rope = b.at("k_rope"), .v = b.at("v"),
                          .q_offs = b.at("q_offs"), .kv_offs = b.at("kv_offs"), .scale = scale, .o = b.at("o"),
                          .lse = b.at("lse")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "d_o", .shape = {n_q, h, s.dv}, .row_stride = h * s.dv + pad, .cotangent_of = "o"},
        {.name = "dq", .role = Role::out, .shape = {n_q, h, s.dn + s.dr}, .row_stride = h * (s.dn + s.dr) + pad,
         .gradient_of = "q"},
        {.name = "dk_nope", .role = Role::out, .shape = {n_kv, h, s.dn}, .row_stride = h * s.dn + pad,
         .gradient_of = "k_nope"},
        {.name = "dk_rope", .role = Role::out, .shape = {n_kv, s.dr}, .row_stride = s.dr + pad,
         .gradient_of = "k_rope"},
        {.name = "dv", .role = Role::out, .shape = {n_kv, h, s.dv}, .row_stride = h * s.dv + pad,
         .gradient_of = "v"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    attention_backward(d, {.q = b.at("q"), .k_nope = b.at("k_nope"), .k_rope = b.at("k_rope"), .v = b.at("v"),
                           .q_offs = b.at("q_offs"), .kv_offs = b.at("kv_offs"), .scale = scale, .o = b.at("o"),
                           .lse = b.at("lse"), .d_o = b.at("d_o"), .dq = b.at("dq"), .dk_nope = b.at("dk_nope"),
                           .dk_rope = b.at("dk_rope"), .dv = b.at("dv")});
  };
  c.tolerance = {3e-6, 5e-3, "scores of 30 are off by 2e-6 in f32; bf16: probabilities and o are rounded"};
  c.vjp_tolerance = {4e-6, 1.5e-2,
                     "the same; D is taken from the rounded o, and dS is rounded before it meets K and Q"};
  return c;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  return {
      attention_case("one segment", square({33}), {2, 16, 8, 16}),
      attention_case("odd widths", square({19, 7}), {3, 13, 5, 11}),
      attention_case("one token", square({1}), {2, 16, 8, 24}),
      attention_case("packed documents", square({5, 1, 40, 0, 9, 1, 3}), {2, 16, 8, 12}),
      attention_case("blocks of queries", square({300, 129}), {1, 8, 4, 8}),
      attention_case("chunked prefill", {{4, 0, 9, 130}, {20, 6, 9, 200}}, {2, 16, 8, 16}),
      attention_case("strided rows", square({21, 14}), {2, 16, 8, 16, 1, true}),
      attention_case("peaked", square({40}), {2, 16, 8, 16, 10}),
      attention_case("flat", square({40}), {2, 16, 8, 16, 1e-4}),
      attention_case("queries without keys", {{6}, {4}}, {1, 8, 4, 8}),
  };
}

}  // namespace ballast::ops
