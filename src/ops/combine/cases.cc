#include "ops/case.h"
#include "ops/combine/combine.h"

namespace ballast::ops {
namespace {

// Which expert takes slot (t, k), -1 for none: the layout that permute would give is built from it.
using Choice = std::function<int(int64_t t, int64_t k)>;

struct Layout {
  std::vector<int> counts;
  std::vector<double> offs, row_of, slot_of;
};

Layout layout(int64_t tokens, int64_t slots, int experts, const Choice& choice, int align) {
  Layout l;
  l.counts.assign(experts, 0);
  const auto each_slot = [&](auto&& f) {
    for (int64_t i = 0; i < tokens * slots; ++i) f(i, choice(i / slots, i % slots));
  };
  each_slot([&](int64_t, int e) { if (e >= 0) ++l.counts[e]; });
  l.offs = ragged_offsets(l.counts, align);
  int64_t rows = 0;
  for (const int n : l.counts) rows += n;
  l.slot_of.assign(std::max<int64_t>(1, rows + experts * (align - 1)), -7);  // beyond the groups: never to be read
  std::fill(l.slot_of.begin(), l.slot_of.begin() + static_cast<int64_t>(l.offs.back()), -1);
  std::vector<double> next(l.offs.begin(), l.offs.end() - 1);
  each_slot([&](int64_t i, int e) {
    l.row_of.push_back(e < 0 ? -1 : next[e]++);
    if (e >= 0) l.slot_of[static_cast<size_t>(l.row_of.back())] = double(i);
  });
  return l;
}

OpCase combine_case(std::string name, int64_t tokens, int64_t slots, int experts, int64_t width, bool base,
                    const Choice& choice) {
  OpCase c;
  c.op = "combine";
  c.name = std::move(name);
  const std::vector<int> counts = layout(tokens, slots, experts, choice, 1).counts;
  int64_t rows = 0;
  for (const int n : counts) rows += n;
  c.arguments = [=](int align) {
    const Layout l = layout(tokens, slots, experts, choice, align);
    std::vector<Argument> list{
        {.name = "rows", .shape = {rows, width}, .group_counts = counts},
        {.name = "row_of", .kind = Kind::i32, .shape = {tokens, slots}, .fill = values(l.row_of)},
        {.name = "weights", .kind = Kind::full, .shape = {tokens, slots}},
        {.name = "y", .role = Role::out, .shape = {tokens, width}}};
    if (base) list.push_back({.name = "base", .shape = {tokens, width}});
    return list;
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    combine_forward(d, {.rows = b.at("rows"), .row_of = b.at("row_of"), .weights = b.at("weights"),
                        .base = base ? b.at("base") : Tensor(), .y = b.at("y")});
  };
  c.vjp_arguments = [=](int align) {
    const Layout l = layout(tokens, slots, experts, choice, align);
    return std::vector<Argument>{
        {.name = "dy", .shape = {tokens, width}, .cotangent_of = "y"},
        {.name = "slot_of", .kind = Kind::i32, .shape = {int64_t(l.slot_of.size())}, .fill = values(l.slot_of)},
        {.name = "offs", .kind = Kind::i32, .shape = {experts + 1}, .fill = values(l.offs)},
        {.name = "drows", .role = Role::out, .shape = {rows, width}, .group_counts = counts, .gradient_of = "rows"},
        {.name = "dweights",
         .kind = Kind::full,
         .role = Role::out,
         .shape = {tokens, slots},
         .gradient_of = "weights"}};
  };
  c.backward = [](Device& d, const Bindings& b, int) {
    combine_backward(d, {.dy = b.at("dy"), .rows = b.at("rows"), .row_of = b.at("row_of"), .slot_of = b.at("slot_of"),
                         .offs = b.at("offs"), .weights = b.at("weights"), .drows = b.at("drows"),
                         .dweights = b.at("dweights")});
  };
  c.tolerance = {1e-6, 4e-3, "f32 sums of K products; one rounding to bf16"};
  c.vjp_tolerance = {1e-6, 4e-3, "f32 dot products over the width; one rounding to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> combine_cases() {
  const auto spread = [](int experts) {
    return [experts](int64_t t, int64_t k) { return int((t * 7 + k * 3 + t / 5) % experts); };
  };
  const auto skipped = [](int64_t t, int64_t k) { return (t + k) % 3 == 0 ? -1 : int((t + 2 * k) % 6); };
  return {
      combine_case("odd width", 9, 2, 5, 37, true, spread(5)),
      combine_case("one token", 1, 4, 8, 64, true, spread(8)),
      combine_case("without a base", 50, 3, 4, 48, false, spread(4)),
      combine_case("skipped slots", 41, 4, 6, 24, true, skipped),
      combine_case("every slot skipped", 5, 2, 3, 16, true, [](int64_t, int64_t) { return -1; }),
      combine_case("one expert takes all", 70, 1, 6, 32, true, [](int64_t, int64_t) { return 4; }),
      combine_case("empty experts", 33, 2, 9, 20, false, [](int64_t t, int64_t k) { return int(k * 5 + t % 2 * 2); }),
      combine_case("wide", 12, 8, 16, 512, true, spread(16)),
  };
}

}  // namespace ballast::ops
