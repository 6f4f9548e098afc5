// Which Ballast this is.
#pragma once

#include <string>

namespace ballast {

std::string build_version();  // "0.1.0"
std::string build_commit();   // short hash when configured, "+" after it where files had changed; "unknown" outside git
std::string build_type();      // "Release"; "RelWithDebInfo, -fsanitize=thread"
std::string build_compiler();  // "GCC 12.2.0"

}  // namespace ballast
