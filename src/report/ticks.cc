#include "report/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ballast::report {
namespace {

constexpr const char* kMinus = "\u2212";
constexpr const char* kThinSpace = "\u202f";

std::string with_minus(std::string text) {
  if (text.empty() || text[0] != '-') return text;
  if (text.find_first_of("123456789") == std::string::npos) return text.substr(1);  // "-0.00" is zero
  return kMinus + text.substr(1);
}

int decimals_of(double step) {
  for (int d = 0; d < 12; ++d) {
    const double scaled = step * std::pow(10.0, d);
    if (std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) return d;
  }
  return 12;
}

struct Suffix {
  double unit;
  const char* text;
};

Suffix suffix_for(double magnitude) {
  if (magnitude >= 1e12) return {1e12, "T"};
  if (magnitude >= 1e9) return {1e9, "G"};
  if (magnitude >= 1e6) return {1e6, "M"};
  if (magnitude >= 1e4) return {1e3, "k"};
  return {1, ""};
}

Ticks linear_ticks(double lo, double hi, int target) {
  Ticks ticks;
  if (!(hi > lo)) return {{lo}, {significant(lo)}};
  const double step = nice_step(hi - lo, target), slack = 1e-9 * (hi - lo);
  const Suffix suffix = suffix_for(std::max(std::abs(lo), std::abs(hi)));
  const int decimals = decimals_of(step / suffix.unit);
  for (double i = std::ceil((lo - slack) / step); i * step <= hi + slack; ++i) {
    const double v = i * step;
    ticks.at.push_back(v);
    ticks.text.push_back(v == 0 ? "0" : with_minus(fmt::format("{:.{}f}", v / suffix.unit, decimals)) + suffix.text);
  }
  return ticks;
}

Ticks log_ticks(double lo, double hi) {
  Ticks ticks;
  const auto fill = [&](std::initializer_list<double> digits) {
    ticks = {};
    for (double e = std::floor(std::log10(lo)); e <= std::ceil(std::log10(hi)); ++e) {
      for (const double digit : digits) {
        const double v = digit * std::pow(10.0, e);
        if (v < lo * (1 - 1e-9) || v > hi * (1 + 1e-9)) continue;
        ticks.at.push_back(v);
        ticks.text.push_back(v >= 1e4 ? si(v) : significant(v, 1));
      }
    }
  };
  fill({1});
  if (ticks.at.size() < 3) fill({1, 2, 5});
  return ticks;
}

Ticks symlog_ticks(double lo, double hi, double linear_below) {
  Ticks ticks;
  const double first = std::pow(10.0, std::ceil(std::log10(linear_below) - 1e-9));
  std::vector<double> at{0};
  for (double v = first; v <= std::max(std::abs(lo), std::abs(hi)) * (1 + 1e-9); v *= 10) {
    at.push_back(v);
    at.push_back(-v);
  }
  std::sort(at.begin(), at.end());
  for (const double v : at) {
    if (v < lo || v > hi * (1 + 1e-9)) continue;
    ticks.at.push_back(v);
    ticks.text.push_back(v == 0 ? "0" : significant(v, 1));
  }
  return ticks;
}

}  // namespace

double nice_step(double span, int target) {
  CHECK(span > 0 && target > 0);
  const double base = std::pow(10.0, std::floor(std::log10(span / target)));
  double best = base;
  for (const double factor : {1.0, 2.0, 2.5, 5.0, 10.0}) {
    if (std::abs(span / (factor * base) - target) < std::abs(span / best - target)) best = factor * base;
  }
  return best;
}

Ticks make_ticks(Scale scale, double lo, double hi, int target, double linear_below) {
  switch (scale) {
    case Scale::log:
      return log_ticks(lo, hi);
    case Scale::symlog:
      return symlog_ticks(lo, hi, linear_below);
    case Scale::linear:
      break;
  }
  return linear_ticks(lo, hi, target);
}

void widen_to_ticks(Scale scale, double& lo, double& hi, int target) {
  if (scale == Scale::log) {
    CHECK(lo > 0 && hi >= lo);
    lo = std::pow(10.0, std::floor(std::log10(lo) + 1e-9));
    hi = std::pow(10.0, std::ceil(std::log10(hi) - 1e-9));
    if (hi <= lo) hi = lo * 10;
    return;
  }
  if (!(hi > lo)) {
    const double half = lo == 0 ? 0.5 : 0.05 * std::abs(lo);
    lo -= half;
    hi += half;
  }
  const double step = nice_step(hi - lo, target);
  lo = std::floor(lo / step + 1e-9) * step;
  hi = std::ceil(hi / step - 1e-9) * step;
}

std::string si(double value) {
  const Suffix suffix = suffix_for(std::abs(value));
  return significant(value / suffix.unit, 3) + suffix.text;
}

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  if (value == 0) return "0";
  // Rounding may carry into a new digit (0.9996 at three digits is 1.00), so the exponent is read after rounding.
  const std::string rounded = fmt::format("{:.{}e}", value, digits - 1);
  const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
  return with_minus(fmt::format("{:.{}f}", value, std::max(0, digits - 1 - exponent)));
}

std::string fixed(double value, int decimals) {
  return std::isfinite(value) ? with_minus(fmt::format("{:.{}f}", value, decimals)) : "–";
}

std::string count(double value) { return value == std::round(value) ? grouped(value) : fixed(value, 1); }

std::string grouped(double integer) {
  if (!std::isfinite(integer)) return "–";
  const std::string digits = fmt::format("{:.0f}", std::abs(integer));
  std::string out = integer < 0 ? kMinus : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += kThinSpace;
    out += digits[i];
  }
  return out;
}

AxisMap::AxisMap(Scale scale, double lo, double hi, double at_lo, double at_hi, double linear_below)
    : scale_(scale), linear_below_(linear_below), at_lo_(at_lo), at_hi_(at_hi) {
  t_lo_ = transform(lo);
  t_hi_ = transform(hi);
}

double AxisMap::transform(double value) const {
  switch (scale_) {
    case Scale::log:
      return std::log10(value);
    case Scale::symlog:
      return std::asinh(value / linear_below_);
    case Scale::linear:
      break;
  }
  return value;
}

double AxisMap::operator()(double value) const {
  const double share = t_hi_ > t_lo_ ? (transform(value) - t_lo_) / (t_hi_ - t_lo_) : 0.5;
  return at_lo_ + share * (at_hi_ - at_lo_);
}

}  // namespace ballast::report
