// What a Python text imports, read without a parser: a scanner that knows strings, comments, brackets and continued
// lines finds the import statements, also those inside of functions and behind `if x:`. It reads every byte once, keeps
// no stack, and takes any text: what is not Python gives what looks like an import statement in it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ballast {

// `import a.b` is {0, {a, b}, {}}, twice for two modules; `from ..a.b import c as d, e` is {2, {a, b}, {c, e}};
// `from . import *` is {1, {}, {}}. The names are parts of the text.
struct PythonImport {
  int64_t dots = 0;
  std::vector<std::string_view> module, names;
  friend bool operator==(const PythonImport&, const PythonImport&) = default;
};

// In their order.
std::vector<PythonImport> python_imports(std::string_view text);

}  // namespace ballast
