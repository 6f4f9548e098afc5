#include "ops/case.h"
#include "ops/embed/embed.h"

namespace ballast::ops {
namespace {

OpCase embed_case(std::string name, int64_t tokens, int64_t vocab, int64_t width, const Fill& ids, bool accumulate = false,
                  int64_t stride = 0) {
  OpCase c;
  c.op = "embed";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{{.name = "ids", .kind = Kind::i32, .shape = {tokens}, .fill = ids},
                                 {.name = "table", .shape = {vocab, width}, .row_stride = stride},
                                 {.name = "y", .role = Role::out, .shape = {tokens, width}, .row_stride = stride}};
  };
  c.forward = [](Device& d, const Bindings& b, int) {
    embed_forward(d, {.ids = b.at("ids"), .table = b.at("table"), .y = b.at("y")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dy", .shape = {tokens, width}, .row_stride = stride, .cotangent_of = "y"},
        {.name = "dtable", .kind = Kind::full, .role = accumulate ? Role::inout : Role::out, .shape = {vocab, width},
         .gradient_of = "table"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    embed_backward(d, {.ids = b.at("ids"), .dy = b.at("dy"), .dtable = b.at("dtable"), .accumulate = accumulate});
  };
  c.tolerance = {0, 0, "a copy"};
  c.vjp_tolerance = {1e-6, 1e-6, "f32 sums in token order, up to some hundred terms, of exactly the same inputs"};
  return c;
}

}  // namespace

std::vector<OpCase> embed_cases() {
  return {
      embed_case("odd width", 9, 11, 37, integers(-1, 11)),
      embed_case("one token", 1, 50, 64, constant(49)),
      embed_case("all rows absent", 4, 3, 8, constant(-1)),
      embed_case("repeated ids", 400, 5, 48, integers(-1, 5)),
      embed_case("accumulated", 60, 40, 33, integers(0, 40), true),
      embed_case("strided rows", 7, 9, 20, integers(-1, 9), false, 35),
  };
}

}  // namespace ballast::ops
