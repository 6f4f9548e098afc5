#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace ballast {

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "CHECK failed: %s\n  at %s:%d\nThis is a bug in Ballast.\n", expression, file, line);
  std::abort();
}

}  // namespace ballast
