#include "ops/case.h"
#include "ops/cross_entropy/cross_entropy.h"

namespace ballast::ops {
namespace {

OpCase cross_entropy_case(std::string name, int64_t rows, int64_t vocab, const Fill& logits, const Fill& targets, int64_t stride = 0,
                          bool fused = false) {
  OpCase c;
  c.op = "cross_entropy";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "logits", .kind = Kind::full, .shape = {rows, vocab}, .fill = logits, .row_stride = stride},
        {.name = "targets", .kind = Kind::i32, .shape = {rows}, .fill = targets},
        {.name = "loss", .kind = Kind::full, .role = Role::out, .shape = {rows}},
        {.name = "lse", .kind = Kind::full, .role = Role::out, .shape = {rows}},
        {.name = "correct", .kind = Kind::i32, .role = Role::out, .shape = {rows}}};
  };
  c.forward = [](Device& d, const Bindings& b, int) {
    cross_entropy_forward(d, {.logits = b.at("logits"), .targets = b.at("targets"), .loss = b.at("loss"),
                              .lse = b.at("lse"), .correct = b.at("correct")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "scale", .kind = Kind::full, .shape = {1}, .fill = constant(1 / 3.0), .cotangent_of = "loss"},
        {.name = "dlogits", .role = Role::out, .shape = {rows, vocab}, .row_stride = stride, .gradient_of = "logits"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    if (fused)
      cross_entropy_forward(d, {.logits = b.at("logits"), .targets = b.at("targets"), .loss = b.at("loss"),
                                .lse = b.at("lse"), .scale = b.at("scale"), .dlogits = b.at("dlogits")});
    else
      cross_entropy_backward(d, {.logits = b.at("logits"), .targets = b.at("targets"), .lse = b.at("lse"),
                                 .scale = b.at("scale"), .dlogits = b.at("dlogits")});
  };
  // The logits are f32 in both builds; only dlogits is rounded to bf16. lse is rounded to f32 before it is subtracted.
  c.tolerance = {1e-6, 1e-6, "f32 sum of exponentials, whatever the storage"};
  c.vjp_tolerance = {5e-6, 4e-3, "exp of a difference to an lse rounded to f32; one rounding to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  return {
      cross_entropy_case("odd vocabulary", 7, 37, normal(2), integers(-1, 37)),
      cross_entropy_case("one row", 1, 300, normal(), constant(299)),
      cross_entropy_case("one token", 3, 1, normal(), constant(0)),
      cross_entropy_case("no targets", 4, 50, normal(), constant(-1)),
      cross_entropy_case("large vocabulary", 5, 8191, normal(3), integers(0, 8191)),
      cross_entropy_case("equal logits", 20, 19, constant(0.25), integers(-1, 4)),
      cross_entropy_case("ties", 60, 5, integers(0, 3), integers(0, 5)),
      cross_entropy_case("strided rows", 6, 40, normal(), integers(0, 40), 67),
      cross_entropy_case("width of eights", 9, 2048, normal(3), integers(-1, 2048)),
      cross_entropy_case("in one pass", 6, 1000, normal(3), integers(-1, 1000), 0, true),
      cross_entropy_case("in one pass, odd", 6, 41, normal(3), integers(-1, 41), 67, true),
      cross_entropy_case("large logits", 16, 64, normal(30), integers(-1, 64)),
      cross_entropy_case("far from zero", 8, 33, uniform(-105, -100), integers(0, 33)),
  };
}

}  // namespace ballast::ops
