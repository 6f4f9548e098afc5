// Numbers as people read them, and the two clocks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ballast {

std::string format_duration(double seconds);  // "0.4 s", "12 s", "2m 03s", "1h 05m", "2d 03h"
std::string format_si(double value);          // three digits and a decimal suffix: "0.123", "42.0", "1.25k", "8.30M"
std::string format_bytes(double bytes);       // "512 B", "1.50 MiB"

// "5GB", "500 MB", "2GiB", "1048576": decimal and binary units as they are written. Throws Error{usage} naming `where`.
uint64_t parse_bytes(std::string_view text, std::string_view where);

double steady_seconds();      // from an arbitrary start; never goes back
std::string utc_timestamp();  // "2024-05-06T07:08:09Z"

}  // namespace ballast
