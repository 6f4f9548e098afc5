// Summary statistics and percentile bootstrap intervals (Efron & Tibshirani 1993, chapters 13 and 16). An interval
// depends only on its arguments: resample r draws from Philox stream r of the seed.
#pragma once

#include <cstdint>
#include <span>

namespace ballast {

double mean(std::span<const double> values);           // of at least one value
double sample_stddev(std::span<const double> values);  // divides by n - 1; 0 for one value

// The q-quantile, 0 <= q <= 1, linear between order statistics (Hyndman & Fan's type 7, numpy's default).
double quantile(std::span<const double> values, double q);

struct Interval {
  double lo, hi;
};

// Of the mean, resampling values.
Interval bootstrap_mean(std::span<const double> values, uint64_t seed, int resamples = 10000, double level = 0.95);

// The mean of a[i] - b[i] over pairs, resampling pairs.
Interval bootstrap_mean_difference(std::span<const double> a, std::span<const double> b, uint64_t seed,
                                   int resamples = 10000, double level = 0.95);

// A ratio of sums over items: nats over bytes, hits over tries. Both spans are as long as the list of clusters.
struct RatioOfSums {
  std::span<const double> numerators, denominators;
  double value() const;
};

// Items of one cluster (tokens of one file, tasks of one repository) are not independent: whole clusters are
// resampled. cluster[i] is item i's cluster, any number. A resample whose denominators sum to 0 is a bug of the caller.
Interval bootstrap_ratio(const RatioOfSums& ratio, std::span<const int64_t> cluster, uint64_t seed,
                         int resamples = 10000, double level = 0.95);

// a.value() - b.value(), where both measured the same clusters and each resample takes the same ones for both.
Interval bootstrap_ratio_difference(const RatioOfSums& a, const RatioOfSums& b, std::span<const int64_t> cluster,
                                    uint64_t seed, int resamples = 10000, double level = 0.95);

}  // namespace ballast
