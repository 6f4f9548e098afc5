// The house rules as a test: docs/architecture.md holds the table of modules and floors, and what it says is checked against
// every #include and against CMake's lists. The checker runs on this repository and on trees that are wrong on purpose.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;
using Floors = std::map<std::string, std::set<std::string>>;

constexpr int kMaxLines = 600;
// Cost seconds per file that includes them, or would rebuild it with every edit of an extension: one .cc each, in this module.
const std::map<std::string, std::string> kOneFileOnly{{"nlohmann/", "base"}, {"toml++/", "base"}, {"CLI/", "cli"},
                                                      {"generated/balance_rules.h", "model"}, {"generated/skip_policies.h", "model"}};
// Third-party headers that are customarily included with quotation marks, and what CMake generates.
const std::set<std::string> kForeignQuoted{"hwy", "generated"};
// Who may write to stdout or stderr, or end the process: the command line, and below it the one sink and CHECK.
const std::set<std::string> kMayPrint{"base/log.cc", "base/error.cc", "base/interrupt.cc"};

std::vector<std::string> lines_of(const fs::path& file) {
  std::istringstream in(read_file(file.string()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::set<std::string> words_of(const std::string& text) {
  const std::regex word("[a-z_]+");
  std::set<std::string> words;
  for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it) words.insert(it->str());
  return words;
}

// Rows "| `name` | floors | ... |" of the table in docs/architecture.md.
Floors table_of(const fs::path& root) {
  const std::regex row(R"(^\| `([a-z_]+)` \| ([a-z_, ]*|–) \|.*)");
  Floors floors;
  std::smatch m;
  for (const std::string& line : lines_of(root / "docs/architecture.md"))
    if (std::regex_match(line, m, row)) floors[m[1]] = words_of(m[2]);
  return floors;
}

// ballast_module(name FLOORS a b LIBRARIES ...), and the program's target_link_libraries.
Floors cmake_floors(const fs::path& root) {
  std::string text = read_file((root / "cmake/modules.cmake").string());
  const std::regex module(R"(\nballast_module\(([a-z]+)([^)]*)\))");
  const std::regex options(R"((LIBRARIES|INCLUDES|DEFINITIONS)[^]*)");
  Floors floors;
  for (std::sregex_iterator it(text.begin(), text.end(), module), end; it != end; ++it)
    floors[(*it)[1]] = words_of(std::regex_replace((*it)[2].str(), options, ""));
  std::smatch m;
  if (std::regex_search(text, m, std::regex(R"(target_link_libraries\(ballast PRIVATE ([a-z_ ]+)\))")))
    floors["cli"] = words_of(std::regex_replace(m[1].str(), std::regex("ballast_"), ""));
  return floors;
}

std::set<std::string> reachable(const Floors& floors, const std::string& module) {
  std::set<std::string> all{module};
  std::vector<std::string> open{module};
  while (!open.empty()) {
    const auto it = floors.find(open.back());
    open.pop_back();
    if (it == floors.end()) continue;
    for (const std::string& floor : it->second)
      if (all.insert(floor).second) open.push_back(floor);
  }
  return all;
}

class Checker {
 public:
  explicit Checker(const fs::path& root) : root_(root), floors_(table_of(root)) {}

  // One line per violation: "src/ops/op.h:12: ...".
  std::vector<std::string> run() {
    if (floors_.empty()) report("docs/architecture.md", "has no table of modules");
    check_table();
    for (const auto& entry : fs::recursive_directory_iterator(root_ / "src"))
      if (entry.is_regular_file()) check_source(fs::relative(entry.path(), root_ / "src"));
    for (const char* folder : {"tests", "bench", "tools", "cmake"}) {
      if (!fs::exists(root_ / folder)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root_ / folder))
        if (entry.is_regular_file() && is_code(entry.path())) check_length(fs::relative(entry.path(), root_));
    }
    check_one_file_only();
    return found_;
  }

 private:
  static bool is_code(const fs::path& p) {
    static const std::set<std::string> extensions{".h", ".cc", ".cu", ".cuh", ".py", ".cmake", ".sh"};
    return extensions.contains(p.extension().string());
  }
  void report(const std::string& where, const std::string& what) { found_.push_back(where + ": " + what); }

  void check_table() {
    const Floors built = cmake_floors(root_);
    for (const auto& [module, floors] : floors_) {
      const auto it = built.find(module);
      if (it == built.end()) report("cmake/modules.cmake", "does not build module " + module + " of the table");
      else if (it->second != floors) report("cmake/modules.cmake", "floors of " + module + " differ from the table's");
      for (const std::string& floor : floors) {
        if (!floors_.contains(floor)) report("docs/architecture.md", module + " stands on " + floor + ", which has no row");
        if (floor == "study" && module != "cli") report("docs/architecture.md", module + " stands on study");
        if (reachable(floors_, floor).contains(module)) report("docs/architecture.md", module + " stands on itself");
      }
    }
    for (const auto& [module, floors] : built)
      if (!floors_.contains(module)) report("cmake/modules.cmake", "builds " + module + ", which the table lacks");
  }

  void check_length(const fs::path& file) {
    const size_t n = lines_of(root_ / file).size();
    if (n > kMaxLines) report(file.string(), std::to_string(n) + " lines; " + std::to_string(kMaxLines) + " at most");
  }

  void check_source(const fs::path& file) {
    const std::string module = file.begin()->string(), name = "src/" + file.string();
    if (std::distance(file.begin(), file.end()) < 2 || !floors_.contains(module))
      return report(name, "lies in no module of the table");
    if (!is_code(file)) return report(name, "is no source file");
    check_length("src" / file);
    const std::set<std::string> allowed = reachable(floors_, module);
    const std::regex include(R"re(^\s*#\s*include\s*(["<])([^">]+)[">].*)re");
    const std::regex text(R"re("([^"\\]|\\.)*"|//.*)re");
    const std::regex print(R"((^|[^\w:.>]|std::|fmt::)(printf|fprintf|puts|fputs|print|cout|cerr|exit|_exit|abort|fwrite)\s*(\(|<<))");
    const bool may_print = module == "cli" || kMayPrint.contains(file.string()) || name.find("_test.") != std::string::npos;
    std::smatch m;
    int number = 0;
    for (const std::string& line : lines_of(root_ / "src" / file)) {
      const std::string where = name + ":" + std::to_string(++number);
      if (std::regex_match(line, m, include)) check_include(where, file, module, allowed, m[1] == "\"", m[2]);
      else if (!may_print && std::regex_search(std::regex_replace(line, text, ""), print))
        report(where, "a library prints or exits: " + line);
    }
  }

  void check_include(const std::string& where, const fs::path& file, const std::string& module,
                     const std::set<std::string>& allowed, bool quoted, const std::string& header) {
    for (const auto& [prefix, owner] : kOneFileOnly)
      if (header.starts_with(prefix)) included_by_[prefix].insert(file);
    if (!quoted) return;
    const size_t slash = header.find('/');
    const std::string from = header.substr(0, slash);
    if (slash == std::string::npos) return report(where, header + " is not written from the include root");
    if (kForeignQuoted.contains(from)) return;
    if (!floors_.contains(from)) return report(where, header + " is of no module");
    if (!allowed.contains(from)) report(where, module + " includes " + header + ", but does not stand on " + from);
  }

  void check_one_file_only() {
    for (const auto& [prefix, owner] : kOneFileOnly) {
      if (!fs::exists(root_ / "src" / owner)) continue;
      const auto& files = included_by_[prefix];
      if (files.size() != 1) report(prefix, "included by " + std::to_string(files.size()) + " files, not by one");
      for (const fs::path& file : files)
        if (file.extension() != ".cc" || file.begin()->string() != owner)
          report("src/" + file.string(), "includes " + prefix + ", which only one .cc of " + owner + " may");
    }
  }

  fs::path root_;
  Floors floors_;
  std::map<std::string, std::set<fs::path>> included_by_;
  std::vector<std::string> found_;
};

TEST(Layering, ThisRepositoryKeepsItsRules) {
  const auto found = Checker(BALLAST_SOURCE_DIR).run();
  for (const std::string& violation : found) ADD_FAILURE() << violation;
  EXPECT_GE(table_of(BALLAST_SOURCE_DIR).size(), 14u);
}

// A small house that keeps the rules, to be broken one way at a time.
class PlantedTree : public FolderTest {
 protected:
  void SetUp() override {
    put("docs/architecture.md", "| `base` | – | x |\n| `core` | base | x |\n| `study` | core | x |\n| `cli` | study | x |\n");
    put("cmake/modules.cmake", "\nballast_module(base LIBRARIES x)\nballast_module(core FLOORS base)\n"
                               "ballast_module(study FLOORS core)\ntarget_link_libraries(ballast PRIVATE ballast_study)\n");
    put("src/base/json.cc", "#include <nlohmann/json.hpp>\n#include <vector>\n");
    put("src/base/toml.cc", "#include <toml++/toml.h>\n");
    put("src/core/a.h", "#include \"base/json.h\"\nint snprintf_size(); // prints\n");
    put("src/study/b.cc", "#include \"base/json.h\"\n#include \"core/a.h\"\n");
    put("src/cli/parse.cc", "#include <CLI/CLI.hpp>\n#include \"study/b.h\"\nvoid f() { std::printf(\"x\"); }\n");
  }
  void put(const std::string& name, const std::string& text) {
    fs::create_directories((folder / name).parent_path());
    write_file_atomic((folder / name).string(), text);
  }
  // Exactly one violation, which mentions `part`.
  void expect_one(const std::string& part) {
    const auto found = Checker(folder).run();
    ASSERT_EQ(found.size(), 1u) << testing::PrintToString(found);
    EXPECT_NE(found[0].find(part), std::string::npos) << found[0];
  }
};

TEST_F(PlantedTree, AGoodTreePasses) { EXPECT_EQ(Checker(folder).run(), std::vector<std::string>()); }

TEST_F(PlantedTree, InclusionUpwards) {
  put("src/base/x.h", "#include \"core/a.h\"\n");
  expect_one("base includes core/a.h");
}
TEST_F(PlantedTree, StudyIsForCliAlone) {
  put("docs/architecture.md", "| `base` | – | x |\n| `core` | base | x |\n| `study` | core | x |\n"
                              "| `bench` | study | x |\n| `cli` | study | x |\n");
  put("cmake/modules.cmake", "\nballast_module(base)\nballast_module(core FLOORS base)\nballast_module(study FLOORS core)\n"
                             "ballast_module(bench FLOORS study)\ntarget_link_libraries(ballast PRIVATE ballast_study)\n");
  expect_one("bench stands on study");
}
TEST_F(PlantedTree, NotFromTheIncludeRoot) {
  put("src/core/x.cc", "  #  include \"a.h\"\n");
  expect_one("include root");
}
TEST_F(PlantedTree, UnknownModule) {
  put("src/core/x.cc", "#include \"util/a.h\"\n");
  expect_one("of no module");
}
TEST_F(PlantedTree, FileWithoutModule) {
  put("src/x.cc", "\n");
  expect_one("lies in no module");
}
TEST_F(PlantedTree, FolderWithoutRow) {
  put("src/util/x.cc", "\n");
  expect_one("lies in no module");
}
TEST_F(PlantedTree, SecondFileWithAnExpensiveHeader) {
  put("src/base/x.cc", "#include <nlohmann/json.hpp>\n");
  expect_one("included by 2 files");
}
TEST_F(PlantedTree, ExpensiveHeaderInAHeader) {
  fs::remove(folder / "src/base/toml.cc");
  put("src/base/toml.h", "#include <toml++/toml.h>\n");
  expect_one("includes toml++/");
}
TEST_F(PlantedTree, FileTooLong) {
  put("src/core/x.cc", std::string(kMaxLines + 1, '\n'));
  expect_one("601 lines");
}
TEST_F(PlantedTree, ALibraryThatPrints) {
  put("src/core/x.cc", "void f() { std::fprintf(stderr, \"x\"); }\n");
  expect_one("prints or exits");
}
TEST_F(PlantedTree, CMakeDisagreesWithTheTable) {
  put("cmake/modules.cmake", "\nballast_module(base)\nballast_module(core)\nballast_module(study FLOORS core)\n"
                             "target_link_libraries(ballast PRIVATE ballast_study)\n");
  expect_one("floors of core differ");
}
TEST_F(PlantedTree, CMakeBuildsWhatTheTableLacks) {
  put("cmake/modules.cmake", "\nballast_module(base)\nballast_module(core FLOORS base)\nballast_module(study FLOORS core)\n"
                             "ballast_module(extra)\ntarget_link_libraries(ballast PRIVATE ballast_study)\n");
  expect_one("builds extra");
}

}  // namespace
}  // namespace ballast
