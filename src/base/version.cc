#include "base/version.h"

namespace ballast {

std::string build_version() { return BALLAST_VERSION; }
std::string build_commit() { return BALLAST_COMMIT; }
std::string build_type() { return BALLAST_BUILD_TYPE; }

std::string build_compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

}  // namespace ballast
