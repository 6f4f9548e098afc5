// Where the tests find reference data that is not part of the project.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace ballast {

inline std::filesystem::path shared_dir() {
  if (const char* set = std::getenv("BALLAST_SHARED")) return set;
  return std::filesystem::path(BALLAST_SOURCE_DIR).parent_path() / "shared";
}

}  // namespace ballast

#define SKIP_WITHOUT(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << (path).string() << " is not there"
