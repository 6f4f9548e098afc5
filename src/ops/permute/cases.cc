#include "ops/case.h"
#include "ops/permute/permute.h"

namespace ballast::ops {
namespace {

OpCase permute_case(std::string name, int64_t tokens, int64_t k, int64_t width, int begin, int end, const Fill& ids) {
  OpCase c;
  c.op = "permute";
  c.name = std::move(name);
  const int64_t local = end - begin;
  c.arguments = [=](int align) {
    const int64_t capacity = Ragged::capacity(tokens, k, local, align);
    return std::vector<Argument>{
        {.name = "x", .shape = {tokens, width}},
        {.name = "ids", .kind = Kind::i32, .shape = {tokens, k}, .fill = ids},
        {.name = "rows", .role = Role::out, .shape = {capacity, width}, .row_of = "row_of"},
        {.name = "offs", .kind = Kind::i32, .role = Role::out, .shape = {local + 1}, .compare = false},
        {.name = "count", .kind = Kind::i32, .role = Role::out, .shape = {local}},
        {.name = "row_of", .kind = Kind::i32, .role = Role::out, .shape = {tokens, k}, .compare = false},
        {.name = "slot_of", .kind = Kind::i32, .role = Role::out, .shape = {capacity}, .row_of = "row_of"}};
  };
  c.forward = [=](Device& d, const Bindings& b, int align) {
    permute_forward(d, {.x = b.at("x"), .ids = b.at("ids"), .expert_begin = begin, .expert_end = end,
                        .out = {b.at("rows"), b.at("offs"), b.at("count"), align}, .row_of = b.at("row_of"),
                        .slot_of = b.at("slot_of")});
  };
  c.vjp_arguments = [=](int align) {
    // The gradient of a row is a function of its slot, so that layouts of every alignment agree.
    return std::vector<Argument>{{.name = "drows", .shape = {Ragged::capacity(tokens, k, local, align), width},
                                  .fill = constant(0.75), .cotangent_of = "rows"},
                                 {.name = "dx", .role = Role::out, .shape = {tokens, width}, .gradient_of = "x"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    permute_backward(d, {.drows = b.at("drows"), .row_of = b.at("row_of"), .dx = b.at("dx")});
  };
  c.tolerance = {0, 0, "rows are copied"};
  c.vjp_tolerance = {1e-6, 4e-3, "a sum of K values"};
  return c;
}

}  // namespace

std::vector<OpCase> permute_cases() {
  // Distinct ids in each row, as the router gives them.
  const auto spread = [](int64_t k, int experts) {
    return [=](Rng&, int64_t i) { return double((i / k * 7 + i % k * 3) % experts); };
  };
  return {
      permute_case("even", 64, 4, 48, 0, 16, spread(4, 16)),
      permute_case("odd sizes", 37, 3, 19, 0, 11, spread(3, 11)),
      permute_case("one token", 1, 2, 8, 0, 4, spread(2, 4)),
      permute_case("one expert takes all", 90, 1, 16, 0, 5, constant(2)),
      permute_case("skipped slots", 50, 4, 16, 0, 8, [](Rng& rng, int64_t i) {
        return rng.uniform() < 0.4 ? -1.0 : double((i * 5 + i / 4) % 8);
      }),
      permute_case("nothing", 6, 2, 8, 0, 4, constant(-1)),
      permute_case("expert range", 70, 4, 16, 4, 9, spread(4, 16)),
      permute_case("many slots", 1500, 6, 32, 0, 64, spread(6, 64)),
  };
}

}  // namespace ballast::ops
