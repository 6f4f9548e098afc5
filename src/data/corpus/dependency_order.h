// The files of a repository in an order in which a file comes after those that it imports, as DeepSeek-Coder arranges
// them (arXiv 2401.14196, section 2.2 and Algorithm 1). Imports are known for Python; other files depend on nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ballast {

// Which file of a repository an import statement means. What is not in the repository, as most of what a file imports
// is not, means none.
//
//   from ..a import b   goes up from the file's folder: a/b.py or a/b/__init__.py, else the b inside of a
//   import a.b          starts at the nearest folder above the file that has an `a` and is no package itself, as the
//                       folders of sys.path are; else at the shallowest such folder of the repository (src/, lib/)
//
// A package is its __init__.py. Importing a.b does not count as importing a: the packages of a project import their
// modules, which would make everything one cycle.
class PythonModules {
 public:
  // `paths` of the files, parts with '/' between; `also` of files that are not to be ordered and make a folder a
  // package all the same.
  explicit PythonModules(std::span<const std::string> paths, std::span<const std::string> also = {});
  ~PythonModules();

  // The files that file `file`, whose text this is, imports: ascending, each once, without itself. Takes time linear in
  // the text. Safe from several threads.
  std::vector<uint32_t> imported_by(uint32_t file, std::string_view text) const;

 private:
  class Tree;
  std::unique_ptr<const Tree> tree_;
};

// imports[f]: the files that file f imports, each once. The result has every file once. Subgraphs that have nothing to
// do with each other come one after the other, by their first files. In each, the next file is that with the fewest of
// its imports still to come, of several the first. Without cycles that is none, and every file stands after those that
// it imports; where there is a cycle it is entered at some file, or one that imports some file of it comes too early.
// Time (files + imports) * log.
std::vector<uint32_t> dependency_order(const std::vector<std::vector<uint32_t>>& imports);

}  // namespace ballast
