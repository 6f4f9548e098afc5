// Which Ballast this is.
#pragma once

#include <string>

namespace ballast {

std::string build_version();  // "0.1.0"
std::string build_commit();   // short hash when configured, "+" after it where files had changed; "unknown" outside git

}  // namespace ballast
