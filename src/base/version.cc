#include "base/version.h"

namespace ballast {

std::string build_version() { return BALLAST_VERSION; }
std::string build_commit() { return BALLAST_COMMIT; }

}  // namespace ballast
