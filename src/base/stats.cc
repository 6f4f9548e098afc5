#include "base/stats.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace ballast {
namespace {

// statistic(draw) with draw() an index below n; the same draws for every statistic of one seed and n.
template <class F>
Interval bootstrap(size_t n, uint64_t seed, int resamples, double level, F&& statistic) {
  CHECK(n > 0 && resamples > 0 && level > 0 && level < 1);
  std::vector<double> values(resamples);
  for (int r = 0; r < resamples; ++r) {
    Rng rng(seed, static_cast<uint64_t>(r));
    values[r] = statistic([&] { return static_cast<size_t>(rng.below(n)); });
  }
  std::sort(values.begin(), values.end());
  const double tail = (1 - level) / 2;
  return {quantile(values, tail), quantile(values, 1 - tail)};
}

// One row per cluster, in the order of first appearance.
struct Sums {
  double numerator = 0, denominator = 0;
};

std::vector<Sums> sum_by_cluster(const RatioOfSums& ratio, std::span<const int64_t> cluster) {
  CHECK(ratio.numerators.size() == cluster.size() && ratio.denominators.size() == cluster.size());
  std::unordered_map<int64_t, size_t> row_of;
  std::vector<Sums> rows;
  for (size_t i = 0; i < cluster.size(); ++i) {
    const auto [it, is_new] = row_of.try_emplace(cluster[i], rows.size());
    if (is_new) rows.emplace_back();
    rows[it->second].numerator += ratio.numerators[i];
    rows[it->second].denominator += ratio.denominators[i];
  }
  return rows;
}

void add(Sums& total, const Sums& row) {
  total.numerator += row.numerator;
  total.denominator += row.denominator;
}

double divide(const Sums& total) {
  CHECK(total.denominator != 0);
  return total.numerator / total.denominator;
}

}  // namespace

double mean(std::span<const double> values) {
  CHECK(!values.empty());
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double sample_stddev(std::span<const double> values) {
  if (values.size() == 1) return 0;
  const double center = mean(values);
  double squares = 0;
  for (const double v : values) squares += (v - center) * (v - center);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double quantile(std::span<const double> values, double q) {
  CHECK(!values.empty() && q >= 0 && q <= 1);
  std::vector<double> sorted(values.begin(), values.end());
  if (!std::is_sorted(sorted.begin(), sorted.end())) std::sort(sorted.begin(), sorted.end());
  const double at = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval bootstrap_mean(std::span<const double> values, uint64_t seed, int resamples, double level) {
  return bootstrap(values.size(), seed, resamples, level, [&](auto&& draw) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[draw()];
    return sum / static_cast<double>(values.size());
  });
}

Interval bootstrap_mean_difference(std::span<const double> a, std::span<const double> b, uint64_t seed, int resamples,
                                   double level) {
  CHECK(a.size() == b.size());
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  return bootstrap_mean(differences, seed, resamples, level);
}

double RatioOfSums::value() const {
  Sums total;
  for (size_t i = 0; i < numerators.size(); ++i) add(total, {numerators[i], denominators[i]});
  return divide(total);
}

Interval bootstrap_ratio(const RatioOfSums& ratio, std::span<const int64_t> cluster, uint64_t seed, int resamples,
                         double level) {
  const std::vector<Sums> rows = sum_by_cluster(ratio, cluster);
  return bootstrap(rows.size(), seed, resamples, level, [&](auto&& draw) {
    Sums total;
    for (size_t i = 0; i < rows.size(); ++i) add(total, rows[draw()]);
    return divide(total);
  });
}

Interval bootstrap_ratio_difference(const RatioOfSums& a, const RatioOfSums& b, std::span<const int64_t> cluster,
                                    uint64_t seed, int resamples, double level) {
  const std::vector<Sums> rows_a = sum_by_cluster(a, cluster), rows_b = sum_by_cluster(b, cluster);
  return bootstrap(rows_a.size(), seed, resamples, level, [&](auto&& draw) {
    Sums total_a, total_b;
    for (size_t i = 0; i < rows_a.size(); ++i) {
      const size_t row = draw();
      add(total_a, rows_a[row]);
      add(total_b, rows_b[row]);
    }
    return divide(total_a) - divide(total_b);
  });
}

}  // namespace ballast
