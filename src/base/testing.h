// For the tests of every module: a folder that goes away, the reference data beside the project, and Python as an
// oracle.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"

namespace ballast {

// Two programs or two tests at once never get the same one.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ballast-test-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()));
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A test with a folder of its own.
class FolderTest : public ::testing::Test {
 private:
  const TemporaryFolder owner_;

 protected:
  const std::filesystem::path& folder = owner_.path();
};

// Reference data that is not part of the project: ../shared, or $BALLAST_SHARED.
inline std::filesystem::path shared_dir() {
  if (const char* set = std::getenv("BALLAST_SHARED")) return set;
  return std::filesystem::path(BALLAST_SOURCE_DIR).parent_path() / "shared";
}

#define SKIP_WITHOUT(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << (path).string() << " is not there"

// python3, or $BALLAST_PYTHON, which may have the packages that the distribution's lacks.
inline std::string python_program() {
  const char* set = std::getenv("BALLAST_PYTHON");
  return set ? set : "python3";
}

// The exit code of Python with these arguments; 127 when there is no such program. What it prints is dropped.
inline int run_python(const std::vector<std::string>& arguments) {
  std::string command;
  const auto add = [&](const std::string& word) {
    command += '\'';
    for (const char c : word) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
    command += "' ";
  };
  add(python_program());
  for (const std::string& argument : arguments) add(argument);
  return WEXITSTATUS(std::system((command + ">/dev/null 2>&1").c_str()));
}

// Whether Python code runs to its end, with one argument.
inline bool python_accepts(const std::string& code, const std::filesystem::path& argument = {}) {
  return run_python({"-c", code, argument.string()}) == 0;
}

}  // namespace ballast
