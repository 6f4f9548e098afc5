// Axes: where ticks go, how numbers are written, and the map from data to pixels.
#pragma once

#include <string>
#include <vector>

namespace ballast::report {

// symlog is asinh(v / linear_below): linear near zero, logarithmic far from it, defined for both signs.
enum class Scale { linear, log, symlog };

struct Ticks {
  std::vector<double> at;
  std::vector<std::string> text;  // one per tick; within an axis all have the same number of decimals and one SI suffix
};

// The step of {1, 2, 2.5, 5} x 10^n whose number of intervals over `span` is nearest to `target`. span > 0.
double nice_step(double span, int target);

// Ticks inside [lo, hi]. lo == hi yields one tick. For log, lo > 0; decades, with 2 and 5 where fewer than two decades
// would otherwise show fewer than three ticks.
Ticks make_ticks(Scale scale, double lo, double hi, int target, double linear_below = 1);

// Widens [lo, hi] outward to multiples of the nice step (linear) or to decades (log).
void widen_to_ticks(Scale scale, double& lo, double& hi, int target);

// "1.57M", "320k", "42": three significant digits with an SI suffix from 10 000 on.
std::string si(double value);
// `digits` significant digits, no exponent, U+2212 for minus; "–" for a value that is not finite.
std::string significant(double value, int digits = 3);
// A count: grouped without decimals where it is whole, else with one decimal.
std::string count(double value);
std::string fixed(double value, int decimals);
// 1 572 864 with thin no-break spaces between groups of three.
std::string grouped(double integer);

// Data to pixels; `at_lo` may lie beyond `at_hi` (y grows downward).
class AxisMap {
 public:
  AxisMap(Scale scale, double lo, double hi, double at_lo, double at_hi, double linear_below = 1);
  double operator()(double value) const;

 private:
  double transform(double value) const;
  Scale scale_;
  double linear_below_, t_lo_, t_hi_, at_lo_, at_hi_;
};

}  // namespace ballast::report
