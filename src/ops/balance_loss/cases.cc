#include "ops/balance_loss/balance_loss.h"
#include "ops/case.h"

namespace ballast::ops {
namespace {

struct Setting {
  int64_t experts;
  int k;
  std::vector<int> offs;
  Score score = Score::sigmoid;
  Fill valid = nullptr;
  bool running = false;
  bool accumulate = false;
  int64_t rows_after = 0;  // rows that no segment holds
};

OpCase balance_loss_case(std::string name, Setting s, const Fill& scores) {
  OpCase c;
  c.op = "balance_loss";
  c.name = std::move(name);
  const int64_t rows = s.offs.back() + s.rows_after, segments = static_cast<int64_t>(s.offs.size()) - 1;
  c.arguments = [=](int) {
    std::vector<Argument> list{
        {.name = "scores", .kind = Kind::full, .shape = {rows, s.experts}, .fill = scores},
        {.name = "offs", .kind = Kind::i32, .shape = {segments + 1}, .fill = values(as_doubles(s.offs))},
        {.name = "f", .kind = Kind::full, .role = Role::out, .shape = {segments, s.experts}},
        {.name = "loss", .kind = Kind::full, .role = Role::out, .shape = {1}}};
    if (s.valid) list.push_back({.name = "valid", .kind = Kind::i32, .shape = {rows}, .fill = s.valid});
    if (s.running) {  // any counts will do
      list.push_back({.name = "running", .kind = Kind::i64, .role = Role::inout, .shape = {s.experts + 1},
                      .fill = integers(20, 60)});
    }
    return list;
  };
  const auto optional = [](const Bindings& b, const char* name) { return b.count(name) ? b.at(name) : Tensor(); };
  c.forward = [=](Device& d, const Bindings& b, int) {
    balance_loss_forward(d, {.score = s.score, .experts_per_token = s.k, .alpha = 0.3, .scores = b.at("scores"),
                             .offs = b.at("offs"), .valid = optional(b, "valid"), .running = optional(b, "running"),
                             .f = b.at("f"), .loss = b.at("loss")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dloss", .kind = Kind::full, .shape = {1}, .cotangent_of = "loss"},
        {.name = "dscores", .kind = Kind::full, .role = s.accumulate ? Role::inout : Role::out,
         .shape = {rows, s.experts}, .gradient_of = "scores"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    balance_loss_backward(d, {.score = s.score, .alpha = 0.3, .scores = b.at("scores"), .offs = b.at("offs"),
                              .valid = optional(b, "valid"), .f = b.at("f"), .dloss = b.at("dloss"),
                              .dscores = b.at("dscores"), .accumulate = s.accumulate});
  };
  c.tolerance = {5e-7, 5e-7, "f32 sums over blocks of 256 rows, added in double; scores are f32 in both builds"};
  c.vjp_tolerance = {3e-6, 3e-6, "f32, through the difference f - mean"};
  return c;
}

}  // namespace

std::vector<OpCase> balance_loss_cases() {
  const Fill score = uniform(0.01, 0.99), half_valid = integers(0, 2);
  return {
      balance_loss_case("odd number of experts", {.experts = 7, .k = 2, .offs = {0, 5, 21}}, score),
      balance_loss_case("one row", {.experts = 16, .k = 4, .offs = {0, 1}}, score),
      balance_loss_case("softmax", {.experts = 16, .k = 3, .offs = {0, 30, 60}, .score = Score::softmax}, score),
      balance_loss_case("several blocks", {.experts = 40, .k = 6, .offs = {0, 300, 1000}}, score),
      balance_loss_case("padding rows", {.experts = 8, .k = 2, .offs = {0, 20, 50}, .valid = half_valid}, score),
      balance_loss_case("empty segments", {.experts = 8, .k = 2, .offs = {0, 0, 12, 12}, .rows_after = 3}, score),
      balance_loss_case("no valid row", {.experts = 8, .k = 2, .offs = {0, 9}, .valid = constant(0)}, score),
      balance_loss_case("running counts", {.experts = 8, .k = 2, .offs = {0, 40}, .valid = half_valid, .running = true},
                        score),
      balance_loss_case("accumulated", {.experts = 12, .k = 1, .offs = {0, 25}, .accumulate = true}, score),
      balance_loss_case("ties", {.experts = 9, .k = 3, .offs = {0, 40}}, integers(1, 3)),
      balance_loss_case("every expert chosen", {.experts = 4, .k = 4, .offs = {0, 10}, .score = Score::softmax}, score),
      balance_loss_case("one expert takes all", {.experts = 8, .k = 1, .offs = {0, 33}},
                        [](Rng& rng, int64_t i) { return i % 8 == 5 ? 0.99 : 0.2 * rng.uniform(); }),
  };
}

}  // namespace ballast::ops
