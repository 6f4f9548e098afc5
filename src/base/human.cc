#include "base/human.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include "base/error.h"

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

uint64_t parse_bytes(std::string_view text, std::string_view where) {
  struct Unit {
    const char* name;
    double bytes;
  };
  constexpr Unit kUnits[] = {{"", 1},      {"B", 1},      {"KB", 1e3},    {"MB", 1e6},   {"GB", 1e9},
                             {"TB", 1e12}, {"KIB", 0x1p10}, {"MIB", 0x1p20}, {"GIB", 0x1p30}, {"TIB", 0x1p40}};
  const std::string copy(text);
  char* rest = nullptr;
  const double number = std::strtod(copy.c_str(), &rest);
  std::string unit;
  for (; *rest; ++rest)
    if (*rest != ' ') unit += static_cast<char>(std::toupper(static_cast<unsigned char>(*rest)));
  for (const Unit& u : kUnits)
    if (unit == u.name && rest != copy.c_str() && number * u.bytes >= 1 && number * u.bytes <= 0x1p62)
      return static_cast<uint64_t>(number * u.bytes);
  fail(ErrorKind::usage, std::string(where), "'{}' is not a size; one is written as 5GB, 500MB or 2GiB", text);
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
