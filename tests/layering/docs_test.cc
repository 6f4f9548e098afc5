// The documentation names files and what stands in them; both must exist.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "base/file.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = BALLAST_SOURCE_DIR;

// Every match of the pattern's groups 1 and 2 in `text` that does not hold in the tree under `root`.
std::vector<std::string> broken_names(const std::string& text, const fs::path& root) {
  const std::regex stop(R"(`((?:src|tests)/[^`: ]+): ([^`]+)`)");
  std::vector<std::string> broken;
  for (std::sregex_iterator it(text.begin(), text.end(), stop), end; it != end; ++it) {
    const fs::path file = root / (*it)[1].str();
    if (!fs::exists(file) || read_file(file.string()).find((*it)[2].str()) == std::string::npos)
      broken.push_back((*it)[0]);
  }
  return broken;
}

std::vector<std::string> missing_files(const std::string& text, const fs::path& root) {
  const std::regex path(R"(`((?:src|tests|tools|configs|docs|cmake)/[A-Za-z0-9_./-]+)`[^:])");
  std::vector<std::string> missing;
  for (std::sregex_iterator it(text.begin(), text.end(), path), end; it != end; ++it)
    if (!fs::exists(root / (*it)[1].str())) missing.push_back((*it)[1]);
  return missing;
}

TEST(Docs, TheTourStopsAtCodeThatExists) {
  const std::string tour = read_file((kRoot / "docs/tour.md").string());
  EXPECT_EQ(broken_names(tour, kRoot), std::vector<std::string>());
  EXPECT_GT(std::count(tour.begin(), tour.end(), '`'), 80);
}

TEST(Docs, EveryFileNamedExists) {
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs")) {
    if (entry.path().extension() != ".md") continue;
    EXPECT_EQ(missing_files(read_file(entry.path().string()), kRoot), std::vector<std::string>()) << entry.path();
  }
}

TEST(Docs, AWrongNameIsFound) {
  EXPECT_EQ(broken_names("`src/base/file.h: read_file`, `src/base/file.h: no_such_function`", kRoot).size(), 1u);
  EXPECT_EQ(broken_names("`src/no_such_file.h: x`", kRoot).size(), 1u);
  EXPECT_EQ(missing_files("`src/base/file.h` and `src/no_such_file.h` here", kRoot).size(), 1u);
}

}  // namespace
}  // namespace ballast
