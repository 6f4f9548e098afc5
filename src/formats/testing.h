// For tests, of this module and those above: a folder that goes away, and other programs' view of our files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace ballast::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ballast-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Runs Python code (without double quotes) with one argument; true when it exits 0. The interpreter is python3, or
// $BALLAST_PYTHON, which may have the packages that the distribution's lacks.
inline bool python(const std::string& code, const std::filesystem::path& argument = {}) {
  const char* interpreter = std::getenv("BALLAST_PYTHON");
  const std::string command = std::string(interpreter ? interpreter : "python3") + " -c \"" + code + "\" '" +
                              argument.string() + "' 2>/dev/null";
  return std::system(command.c_str()) == 0;
}

}  // namespace ballast::testing
