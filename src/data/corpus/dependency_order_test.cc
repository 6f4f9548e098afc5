#include "data/corpus/dependency_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <map>

#include "base/rng.h"

namespace ballast {
namespace {

using Imports = std::vector<std::vector<uint32_t>>;
using Order = std::vector<uint32_t>;
using Paths = std::vector<std::string>;

TEST(DependencyOrder, ChainsAndDiamonds) {
  EXPECT_EQ(dependency_order({}), Order{});
  EXPECT_EQ(dependency_order({{}}), Order{0});
  EXPECT_EQ(dependency_order({{1}, {2}, {}}), (Order{2, 1, 0}));
  EXPECT_EQ(dependency_order({{}, {0}, {1}}), (Order{0, 1, 2}));
  EXPECT_EQ(dependency_order({{1, 2}, {3}, {3}, {}}), (Order{3, 1, 2, 0}));  // a diamond; its sides by path
  EXPECT_EQ(dependency_order({{3}, {3}, {3}, {}}), (Order{3, 0, 1, 2}));
}

TEST(DependencyOrder, SubgraphsComeOneAfterTheOther) {
  // 0 <- 4, 1 <- 3, 2 alone: no file of another subgraph between two of one.
  EXPECT_EQ(dependency_order({{}, {3}, {}, {}, {0}}), (Order{0, 4, 3, 1, 2}));
  EXPECT_EQ(dependency_order({{4}, {3}, {}, {}, {}}), (Order{4, 0, 3, 1, 2}));
}

TEST(DependencyOrder, CyclesEnd) {
  EXPECT_EQ(dependency_order({{1}, {0}}), (Order{0, 1}));
  EXPECT_EQ(dependency_order({{1}, {2}, {0}}), (Order{0, 2, 1}));
  // 1 and 2 import each other and 0 imports 1: after 3 each of them waits for one file.
  EXPECT_EQ(dependency_order({{1}, {2}, {1, 3}, {}}), (Order{3, 0, 1, 2}));
  // Everything imports everything: by path.
  EXPECT_EQ(dependency_order({{1, 2}, {0, 2}, {0, 1}}), (Order{0, 1, 2}));
}

// The published algorithm as it is written, which looks through all files for the next one.
Order by_the_paper(const Imports& imports) {
  const size_t n = imports.size();
  std::vector<size_t> subgraph(n), degree(n);
  for (size_t f = 0; f < n; ++f) subgraph[f] = f, degree[f] = imports[f].size();
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t f = 0; f < n; ++f) {
      for (const uint32_t other : imports[f]) {
        const size_t least = std::min(subgraph[f], subgraph[other]);
        changed = changed || subgraph[f] != least || subgraph[other] != least;
        subgraph[f] = subgraph[other] = least;
      }
    }
  }
  Order order;
  std::vector<char> taken(n, 0);
  for (size_t s = 0; s < n; ++s) {
    for (;;) {
      size_t least = n;
      for (size_t f = 0; f < n; ++f) {
        if (subgraph[f] == s && !taken[f] && (least == n || degree[f] < degree[least])) least = f;
      }
      if (least == n) break;
      taken[least] = 1;
      order.push_back(static_cast<uint32_t>(least));
      for (size_t f = 0; f < n; ++f) {
        degree[f] -= static_cast<size_t>(std::count(imports[f].begin(), imports[f].end(), least));
      }
    }
  }
  return order;
}

TEST(DependencyOrder, EqualsThePublishedAlgorithm) {
  Rng rng(5, 1);
  for (int round = 0; round < 500; ++round) {
    const uint64_t n = 1 + rng.below(12);
    Imports imports(n);
    for (uint64_t edges = rng.below(2 * n); edges > 0; --edges) {
      const auto from = static_cast<uint32_t>(rng.below(n)), to = static_cast<uint32_t>(rng.below(n));
      auto& list = imports[from];
      if (from != to && std::find(list.begin(), list.end(), to) == list.end()) list.push_back(to);
    }
    const Order order = dependency_order(imports);
    EXPECT_EQ(order, by_the_paper(imports));
    EXPECT_EQ(dependency_order(imports), order);
  }
}

// The paths of what a file imports.
Paths imported(const Paths& paths, const std::string& file, const std::string& text, const Paths& also = {}) {
  const PythonModules modules(paths, also);
  const auto at = std::find(paths.begin(), paths.end(), file);
  EXPECT_NE(at, paths.end()) << file;
  Paths found;
  for (const uint32_t f : modules.imported_by(static_cast<uint32_t>(at - paths.begin()), text))
    found.push_back(paths[f]);
  return found;
}

const Paths kProject = {"docs/conf.py",        "lib.py",       "pkg/__init__.py",   "pkg/a.py", "pkg/b.py",
                        "pkg/sub/__init__.py", "pkg/sub/c.py", "pkg/sub/deep/d.py", "setup.py", "tests/helper.py",
                        "tests/test_a.py",     "tests/json.py"};

TEST(PythonModules, AbsoluteImports) {
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "import pkg.a\n"), (Paths{"pkg/a.py"}));
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "import pkg\n"), (Paths{"pkg/__init__.py"}));
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "from pkg import a, something\n"),
            (Paths{"pkg/__init__.py", "pkg/a.py"}));
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "from pkg.sub.c import x, y\n"), (Paths{"pkg/sub/c.py"}));
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "from pkg.sub import *\n"), (Paths{"pkg/sub/__init__.py"}));
  EXPECT_EQ(imported(kProject, "pkg/a.py", "import pkg.sub.deep.d, lib as l\n"),
            (Paths{"lib.py", "pkg/sub/deep/d.py"}));
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "import os, numpy.linalg, pkg.missing, pkg.a.missing\n"), Paths{});
  EXPECT_EQ(imported(kProject, "pkg/a.py", "import pkg.a\nimport pkg.b\nimport pkg.b\n"), (Paths{"pkg/b.py"}));
}

TEST(PythonModules, AFolderOfThePathIsNoPackage) {
  // A script finds the file beside it; a module of a package does not, nor another's package.
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "import helper, json\n"),
            (Paths{"tests/helper.py", "tests/json.py"}));
  EXPECT_EQ(imported(kProject, "pkg/a.py", "import b, sub.c\n"), Paths{});
  // What a package is may be known only from files that were left out.
  const Paths bare = {"q/x.py", "q/y.py"};
  EXPECT_EQ(imported(bare, "q/x.py", "import y\n"), (Paths{"q/y.py"}));
  EXPECT_EQ(imported(bare, "q/x.py", "import y\n", {"q/__init__.py"}), Paths{});
  EXPECT_EQ(imported(bare, "q/x.py", "import q.y\n", {"q/__init__.py"}), (Paths{"q/y.py"}));
  // src/ and the like: the shallowest, then the first.
  const Paths source = {"a/lib/pkg/m.py", "src/pkg/__init__.py", "src/pkg/m.py", "tests/t.py"};
  EXPECT_EQ(imported(source, "tests/t.py", "import pkg.m\n"), (Paths{"src/pkg/m.py"}));
  EXPECT_EQ(imported(source, "a/lib/pkg/m.py", "from pkg import m\n"), Paths{});  // its own one is nearer
}

TEST(PythonModules, RelativeImports) {
  EXPECT_EQ(imported(kProject, "pkg/a.py", "from . import b\n"), (Paths{"pkg/b.py"}));
  EXPECT_EQ(imported(kProject, "pkg/a.py", "from . import version\n"), (Paths{"pkg/__init__.py"}));
  EXPECT_EQ(imported(kProject, "pkg/__init__.py", "from . import a\nfrom .sub import c\nfrom . import own\n"),
            (Paths{"pkg/a.py", "pkg/sub/c.py"}));
  EXPECT_EQ(imported(kProject, "pkg/sub/c.py", "from ..a import x\nfrom .. import b\n"),
            (Paths{"pkg/a.py", "pkg/b.py"}));
  EXPECT_EQ(imported(kProject, "pkg/sub/deep/d.py", "def f():\n  from ...a import x\n"), (Paths{"pkg/a.py"}));
  EXPECT_EQ(imported(kProject, "pkg/sub/deep/d.py", "from .... import lib\n"), (Paths{"lib.py"}));
  EXPECT_EQ(
      imported(kProject, "pkg/sub/deep/d.py", "from ..... import lib\nfrom " + std::string(5000, '.') + " import a"),
      Paths{});
  // Not the module of that name elsewhere.
  EXPECT_EQ(imported(kProject, "tests/test_a.py", "from .lib import x\nfrom .pkg import a\n"), Paths{});
}

TEST(PythonModules, APackageBeforeAModuleOfItsName) {
  const Paths both = {"t.py", "x.py", "x/__init__.py", "x/y.py"};
  EXPECT_EQ(imported(both, "t.py", "import x\nimport x.y\n"), (Paths{"x/__init__.py", "x/y.py"}));
  EXPECT_EQ(imported(both, "x.py", "from . import t\n"), (Paths{"t.py"}));  // relative to its own folder
}

TEST(PythonModules, OtherLanguagesImportNothing) {
  EXPECT_EQ(imported({"a.h", "b.cc", "c.py"}, "b.cc", "import c\n#include \"a.h\"\n"), Paths{});
  EXPECT_EQ(imported({"a.py", "a.py", ""}, "", "import a\n"), Paths{});
}

// Order and time of n files: packages of modules that import each other, their package and one that all import.
double seconds_for(uint32_t n) {
  Paths paths;
  for (uint32_t i = 0; i < n; ++i)
    paths.push_back("src/p" + std::to_string(i / 50) + "/utils/m" + std::to_string(i) + ".py");
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const std::clock_t begin = std::clock();
    const PythonModules modules(paths);
    Imports imports(n);
    for (uint32_t i = 0; i < n; ++i) {
      std::string text = "import os, sys\nimport p0.utils.m0\nfrom . import utils\n";
      for (uint32_t k = 1; k < 6 && i >= k; ++k)
        text += "from p" + std::to_string((i - k) / 50) + ".utils import m" + std::to_string(i - k) + "\n";
      imports[i] = modules.imported_by(i, text);
    }
    const Order order = dependency_order(imports);
    best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    EXPECT_EQ(order.size(), n);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));  // a chain
  }
  return best;
}

TEST(PythonModules, TwentyThousandFilesTakeFourTimesAsLongAsFive) {
  const double few = seconds_for(5000), many = seconds_for(20000);
  RecordProperty("seconds", std::to_string(many));
  EXPECT_LT(many, 9 * few) << few << " and " << many << " s";  // quadratic: 16
}

}  // namespace
}  // namespace ballast
