#include "data/corpus/python_imports.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/testing.h"

namespace ballast {
namespace {

// "..a.b: c d" of `from ..a.b import c, d`.
std::vector<std::string> shown(std::string_view text) {
  std::vector<std::string> lines;
  for (const PythonImport& i : python_imports(text)) {
    std::string line = std::string(static_cast<size_t>(i.dots), '.') + fmt::format("{}", fmt::join(i.module, "."));
    if (!i.names.empty()) line += fmt::format(": {}", fmt::join(i.names, " "));
    lines.push_back(std::move(line));
  }
  return lines;
}
using Lines = std::vector<std::string>;

TEST(PythonImports, EveryForm) {
  EXPECT_EQ(shown("import a\n"), (Lines{"a"}));
  EXPECT_EQ(shown("import a.b as c, d\n"), (Lines{"a.b", "d"}));
  EXPECT_EQ(shown("from a.b import c\n"), (Lines{"a.b: c"}));
  EXPECT_EQ(shown("from a import b as c, d as e"), (Lines{"a: b d"}));
  EXPECT_EQ(shown("from . import x\nfrom.import y\nfrom .z import w\n"), (Lines{".: x", ".: y", ".z: w"}));
  EXPECT_EQ(shown("from ..pkg import y\nfrom ... import z\nfrom .... import z\n"),
            (Lines{"..pkg: y", "...: z", "....: z"}));
  EXPECT_EQ(shown("from a import *\nfrom . import *\n"), (Lines{"a", "."}));
  EXPECT_EQ(shown("from a import (  # the first\n    b,\n    c as d,\n)\nimport e\n"), (Lines{"a: b c", "e"}));
  EXPECT_EQ(shown("from a \\\n  import b, \\\r\n c\nimport d\n"), (Lines{"a: b c", "d"}));
  EXPECT_EQ(shown("\xEF\xBB\xBFimport a\r\nimport b\rimport \xC3\xA4.b\n"), (Lines{"a", "b", "\xC3\xA4.b"}));
  EXPECT_EQ(shown("import a; import b;from c import d\nx = 1; import e\n"), (Lines{"a", "b", "c: d", "e"}));
}

TEST(PythonImports, WhereverStatementsBegin) {
  EXPECT_EQ(shown("def f():\n    import a\n    return 1\n\nclass B:\n\tfrom b import c\n"), (Lines{"a", "b: c"}));
  EXPECT_EQ(shown("try: import a\nexcept ImportError: import b\nelse: pass\n"), (Lines{"a", "b"}));
  EXPECT_EQ(shown("if x[1:2] == {3: 4}: from a import b\n"), (Lines{"a: b"}));
  EXPECT_EQ(shown("yield from a\nraise E from e\nimported = 1\nfrom_ = 2\nx.import_(a)\n"), (Lines{}));
  EXPECT_EQ(shown("x = (1 +\nimport_a)\ny = [\n'import b'\n]\n"), (Lines{}));
}

TEST(PythonImports, NotInStringsOrComments) {
  EXPECT_EQ(shown("'''\nimport a\n'''\nimport b\n"), (Lines{"b"}));
  EXPECT_EQ(shown("def f():\n    \"\"\"Says:\n    import a\n    \"\"\"\n    import b\n"), (Lines{"b"}));
  EXPECT_EQ(shown("# import a\nx = 1  # ; import b\n#\nimport c"), (Lines{"c"}));
  EXPECT_EQ(shown("x = 'it''s'; y = \"; import a\"\n"), (Lines{}));
  EXPECT_EQ(shown("x = r'\\'; import a'\nimport b\n"), (Lines{"b"}));
  EXPECT_EQ(shown("x = 'a\\\nimport b'\nimport c\n"), (Lines{"c"}));
  EXPECT_EQ(shown("x = 'a\\\r\nimport b'\nimport c\n"), (Lines{"c"}));
  EXPECT_EQ(shown("x = \"\"\"a\\\"\"\"\nimport b\n\"\"\"\nimport c\n"), (Lines{"c"}));
  EXPECT_EQ(shown("x = '''a'' ' \"\nimport b\n'''\nimport c\n"), (Lines{"c"}));
  EXPECT_EQ(shown("x = ''\nimport a\ny = \"\"\nimport b\n"), (Lines{"a", "b"}));
  EXPECT_EQ(shown("it's broken\nimport a\n"), (Lines{"a"}));  // a stray quote ends with its line
}

TEST(PythonImports, WhatIsNoPythonIsNoTrouble) {
  for (const char* text : {"", "import", "from", "from .", "from a", "from a import", "from import b", "import ,",
                           "from . import (", "from a import b as", "import a as", "'''", "\"", "\\", "'\\", ")]}",
                           "from a b import c", "import 'a'", "from the start, import more\n"}) {
    python_imports(text);
  }
  EXPECT_EQ(shown("import\nimport a\n"), (Lines{"a"}));
  EXPECT_EQ(shown("from a\nimport b\n"), (Lines{"b"}));
  EXPECT_EQ(shown(")))\nimport a\n"), (Lines{"a"}));
  const std::string pieces[] = {"import ", "from ", ".", "a",    ",", "(", ")", "'", "'''", "\"",   "\\",
                                "\n",      "\r",    "#", " as ", "*", ":", ";", "{", "]",   "\xC3", "\0"};
  Rng rng(1, 1);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (uint64_t n = rng.below(40); n > 0; --n) text += pieces[rng.below(std::size(pieces))];
    for (const PythonImport& i : python_imports(text)) EXPECT_TRUE(i.dots > 0 || !i.module.empty()) << text;
  }
}

// A quadratic scanner would need hours for these.
TEST(PythonImports, TimeIsLinearInTheText) {
  const std::clock_t begin = std::clock();
  for (const std::string_view piece :
       {"from ", "import ", "import a\n", "import a,", "from .", ".", "a.", "(", "'", "'''", "\"\"\"\\", "\\", "# ",
        "from a import ", "a,", "from . import a,", "' \n"}) {
    std::string text = "from a import ";
    while (text.size() < 1'000'000) text += piece;
    python_imports(text);
    python_imports(text.substr(14));
  }
  EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 30);
}

// Against Python's own parser, on its own library.
TEST(SlowPythonImports, EqualWhatPythonParses) {
  const TemporaryFolder folder;
  const std::string code = R"(
import ast, json, os, sys
with open(os.path.join(sys.argv[1], "imports.json"), "w") as out:
    found = {}
    for base, folders, files in os.walk(os.path.dirname(os.__file__)):
        folders[:] = [f for f in folders if f not in ("dist-packages", "site-packages", "test", "tests", "lib2to3")]
        for file in files:
            path = os.path.join(base, file)
            if not file.endswith(".py"):
                continue
            try:
                tree = ast.parse(open(path, encoding="utf-8").read())
            except Exception:
                continue
            lines = []
            for node in ast.walk(tree):
                at = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
                if isinstance(node, ast.Import):
                    lines += [(at, i, a.name) for i, a in enumerate(node.names)]
                elif isinstance(node, ast.ImportFrom):
                    names = "" if node.names[0].name == "*" else ": " + " ".join(a.name for a in node.names)
                    lines.append((at, 0, "." * node.level + (node.module or "") + names))
            found[path] = [line[2] for line in sorted(lines)]
    json.dump(found, out)
)";
  if (!python_accepts(code, folder.path())) GTEST_SKIP() << "no Python to compare with";
  const Json found = Json::read(folder / "imports.json");
  int files = 0, imports = 0;
  for (const auto& [path, expected] : found.as_object()) {
    Lines lines;
    for (const Json& line : expected.as_array()) lines.push_back(line.as_string());
    EXPECT_EQ(shown(read_file(path)), lines) << path;
    ++files;
    imports += static_cast<int>(lines.size());
  }
  RecordProperty("files", files);
  RecordProperty("imports", imports);
  EXPECT_GT(imports, 1000);
}

}  // namespace
}  // namespace ballast
