#include "base/human.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <ctime>

namespace ballast {
namespace {

// Three digits: 1.25, 12.5, 125. The next unit is due from 999.5, which would print as 1000.
std::string three_digits(double v) {
  const double size = std::abs(v);
  return fmt::format("{:.{}f}", v, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

}  // namespace

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 0) seconds = 0;
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const int64_t s = std::llround(std::min(seconds, 1e12));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h {:02}m", s / 3600, s % 3600 / 60);
  return fmt::format("{}d {:02}h", s / 86400, s % 86400 / 3600);
}

std::string format_si(double value) {
  if (!std::isfinite(value)) return "?";
  constexpr const char* kSuffix[] = {"", "k", "M", "G", "T", "P"};
  int unit = 0;
  for (; std::abs(value) >= 999.5 && unit < 5; ++unit) value /= 1000;
  if (unit == 0 && value == std::trunc(value)) return fmt::format("{:.0f}", value);
  if (unit == 0 && std::abs(value) < 0.995) return fmt::format("{:.3g}", value);
  return three_digits(value) + kSuffix[unit];
}

std::string format_bytes(double bytes) {
  if (!std::isfinite(bytes)) return "?";
  constexpr const char* kSuffix[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int unit = 0;
  for (; std::abs(bytes) >= 999.5 && unit < 5; ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : three_digits(bytes) + " " + kSuffix[unit];
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string utc_timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts;
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace ballast
