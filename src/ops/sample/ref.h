// The definition of sample. The kept tokens are walked in the order of their ids, so the draw is an inverse of the
// distribution function over ids. NaN logits count as minus infinity; a row without any finite logit gives token 0.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "ops/math.h"
#include "ops/sample/sample.h"

namespace ballast::ops::ref {

struct Candidate {
  double mass;
  int32_t id;
  bool operator<(const Candidate& o) const { return mass > o.mass || (mass == o.mass && id < o.id); }  // best first
};

// Sets `kept` to the smallest set of most likely tokens whose mass reaches top_p of the total, in the order of ids.
// mass(v) >= 0 for v < vocab. A token below (1 - top_p) / vocab of the total cannot be in it: all of those together
// weigh less than 1 - top_p. So only the others are sorted.
template <class Mass>
void keep_nucleus(int32_t vocab, Mass&& mass, double total, double top_p, std::vector<Candidate>& kept) {
  const double floor = (1 - top_p) / vocab * total;
  kept.clear();
  for (int32_t v = 0; v < vocab; ++v)
    if (mass(v) >= floor && mass(v) > 0) kept.push_back({mass(v), v});
  std::sort(kept.begin(), kept.end());
  double sum = 0;
  size_t n = 0;
  while (n < kept.size() && (n == 0 || sum < top_p * total)) sum += kept[n++].mass;
  kept.resize(n);
  std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
}

// Draws from unnormalized masses; u in [0, 1). best is the token of the largest mass.
template <class Mass>
int32_t draw(int32_t vocab, Mass&& mass, double top_p, double u, int32_t best, std::vector<Candidate>& kept) {
  double total = 0;
  for (int32_t v = 0; v < vocab; ++v) total += mass(v);
  if (top_p < 1) {
    keep_nucleus(vocab, mass, total, top_p, kept);
    total = 0;
    for (const Candidate& c : kept) total += c.mass;
    double rest = u * total;
    for (const Candidate& c : kept) {
      rest -= c.mass;
      if (rest < 0) return c.id;
    }
  } else {
    double rest = u * total;
    for (int32_t v = 0; v < vocab; ++v) {
      rest -= mass(v);
      if (rest < 0) return v;
    }
  }
  return best;  // rounding left a rest
}

// In [0, 1), with 53 bits.
inline double uniform_draw(const Tensor& key, int64_t row) {
  const auto part = [&](int64_t i) { return static_cast<uint64_t>(key.at<int64_t>(row, i)); };
  return Rng(part(0), part(1), part(2)).uniform();
}

template <class T>
void sample(const Sample& a) {
  const int32_t vocab = static_cast<int32_t>(a.logits[1]);
  std::vector<Candidate> kept;
  std::vector<double> mass(vocab);
  for (int64_t b = 0; b < a.logits[0]; ++b) {
    double largest = -std::numeric_limits<double>::infinity();
    int32_t best = 0;
    for (int32_t v = 0; v < vocab; ++v)
      if (const double z = real_part(a.logits.at<T>(b, v)); z > largest) largest = z, best = v;
    a.token.at<int32_t>(b) = best;
    const double temperature = real_part(a.temperature.at<T>(b));
    if (!(temperature > 0) || !std::isfinite(largest)) continue;
    for (int32_t v = 0; v < vocab; ++v) {
      const double z = real_part(a.logits.at<T>(b, v));
      mass[v] = std::isnan(z) ? 0 : std::exp((z - largest) / temperature);
    }
    a.token.at<int32_t>(b) = draw(
        vocab, [&](int32_t v) { return mass[v]; }, real_part(a.top_p.at<T>(b)), uniform_draw(a.key, b), best, kept);
  }
}

}  // namespace ballast::ops::ref
