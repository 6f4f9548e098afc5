#include "data/corpus/dependency_order.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <queue>
#include <tuple>
#include <unordered_map>

#include "data/corpus/python_imports.h"

namespace ballast {
namespace {

constexpr int kMostLevels = 32;  // above a file at which an absolute import is looked for
constexpr uint32_t kNone = UINT32_MAX;

}  // namespace

// Folders and modules by name. A module x.py and a folder x beside it are one node, and the folder's __init__.py is the
// one that counts, as for Python. Names are parts of the paths.
class PythonModules::Tree {
 public:
  Tree(std::span<const std::string> paths, std::span<const std::string> also)
      : names_(paths.begin(), paths.end()), nodes_(1), of_file_(paths.size(), kNone) {
    for (uint32_t i = 0; i < names_.size(); ++i) of_file_[i] = add(names_[i], i);
    other_names_.assign(also.begin(), also.end());
    for (const std::string& path : other_names_) add(path, kNone);
    // The shallowest of each name at which sys.path could find it; of equally deep ones the first.
    for (uint32_t n = 1; n < nodes_.size(); ++n) {
      if (nodes_[nodes_[n].parent].is_package) continue;
      uint32_t& top = tops_.emplace(nodes_[n].name, n).first->second;
      if (nodes_[n].depth < nodes_[top].depth) top = n;
    }
  }

  std::vector<uint32_t> imported_by(uint32_t file, std::string_view text) const {
    std::vector<uint32_t> found;
    if (of_file_[file] == kNone) return found;
    const auto take = [&](uint32_t node) {
      if (const uint32_t f = file_of(node); f != kNone && f != file) found.push_back(f);
    };
    for (const PythonImport& import : python_imports(text)) {
      const uint32_t base = base_of(file, import);
      if (base == kNone) continue;
      if (import.names.empty()) take(base);
      for (const std::string_view name : import.names) {
        const uint32_t module = child(base, name);
        take(module != kNone && file_of(module) != kNone ? module : base);
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

 private:
  struct Node {
    uint32_t parent = 0, depth = 0;
    std::string_view name;
    uint32_t module = kNone, package = kNone;  // the files
    bool is_package = false;
  };
  struct Key {
    uint32_t parent;
    std::string_view name;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const {
      return std::hash<std::string_view>()(k.name) ^ (k.parent * 0x9E3779B97F4A7C15u);
    }
  };

  uint32_t child(uint32_t node, std::string_view name) const {
    const auto it = children_.find({node, name});
    return it == children_.end() ? kNone : it->second;
  }
  uint32_t file_of(uint32_t node) const {
    return nodes_[node].package != kNone ? nodes_[node].package : nodes_[node].module;
  }

  // The folder that the file's relative imports start from is the parent of its module, or the package that it is.
  uint32_t folder_of(uint32_t file) const {
    const uint32_t node = of_file_[file];
    return nodes_[node].package == file ? node : nodes_[node].parent;
  }

  // Returns the module's node; kNone for what is not Python, or where an earlier path is the same.
  uint32_t add(std::string_view path, uint32_t file) {
    if (!path.ends_with(".py")) return kNone;
    path.remove_suffix(3);
    uint32_t node = 0;
    for (size_t end; (end = path.find('/')) != std::string_view::npos; path.remove_prefix(end + 1))
      node = make(node, path.substr(0, end));
    const bool package = path == "__init__";
    if (!package) node = make(node, path);
    nodes_[node].is_package |= package;
    uint32_t& slot = package ? nodes_[node].package : nodes_[node].module;
    if (file == kNone || slot != kNone) return kNone;
    slot = file;
    return node;
  }

  uint32_t make(uint32_t parent, std::string_view name) {
    const auto [it, fresh] = children_.emplace(Key{parent, name}, static_cast<uint32_t>(nodes_.size()));
    if (fresh) nodes_.push_back({.parent = parent, .depth = nodes_[parent].depth + 1, .name = name});
    return it->second;
  }

  // The node of the import's module, or of its folder; kNone: not here.
  uint32_t base_of(uint32_t file, const PythonImport& import) const {
    uint32_t node = folder_of(file);
    size_t first = 0;
    if (import.dots > 0) {
      if (import.dots > nodes_[node].depth + 1) return kNone;
      for (int64_t i = 1; i < import.dots; ++i) node = nodes_[node].parent;
    } else {
      node = top_of(node, import.module[0]);
      first = 1;
    }
    for (size_t i = first; i < import.module.size() && node != kNone; ++i) node = child(node, import.module[i]);
    return node;
  }

  uint32_t top_of(uint32_t folder, std::string_view name) const {
    const auto top = tops_.find(name);
    if (top == tops_.end()) return kNone;
    for (int level = 0; level < kMostLevels; ++level, folder = nodes_[folder].parent) {
      if (const uint32_t found = child(folder, name); found != kNone && !nodes_[folder].is_package) return found;
      if (folder == 0) break;
    }
    return top->second;
  }

  std::vector<std::string> names_, other_names_;
  std::vector<Node> nodes_;        // the first is the repository's folder
  std::vector<uint32_t> of_file_;  // its node
  std::unordered_map<Key, uint32_t, KeyHash> children_;
  std::unordered_map<std::string_view, uint32_t> tops_;
};

PythonModules::PythonModules(std::span<const std::string> paths, std::span<const std::string> also)
    : tree_(std::make_unique<const Tree>(paths, also)) {}
PythonModules::~PythonModules() = default;

std::vector<uint32_t> PythonModules::imported_by(uint32_t file, std::string_view text) const {
  return tree_->imported_by(file, text);
}

namespace {

// The subgraph of each file, numbered by their first files.
std::vector<uint32_t> subgraphs(const std::vector<std::vector<uint32_t>>& imports) {
  std::vector<uint32_t> parent(imports.size());
  std::iota(parent.begin(), parent.end(), 0u);
  const auto find = [&](uint32_t f) {
    while (parent[f] != f) f = parent[f] = parent[parent[f]];
    return f;
  };
  for (uint32_t f = 0; f < imports.size(); ++f) {
    for (const uint32_t other : imports[f]) {
      const uint32_t a = find(f), b = find(other);
      parent[std::max(a, b)] = std::min(a, b);  // so that a root is the first of its subgraph
    }
  }
  for (uint32_t f = 0; f < imports.size(); ++f) parent[f] = find(f);
  return parent;
}

}  // namespace

std::vector<uint32_t> dependency_order(const std::vector<std::vector<uint32_t>>& imports) {
  const std::vector<uint32_t> subgraph = subgraphs(imports);
  std::vector<std::vector<uint32_t>> importers(imports.size());
  std::vector<size_t> degree(imports.size());  // imports still to come
  using Entry = std::tuple<uint32_t, size_t, uint32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> next;
  for (uint32_t f = 0; f < imports.size(); ++f) {
    for (const uint32_t other : imports[f]) importers[other].push_back(f);
    degree[f] = imports[f].size();
    next.push({subgraph[f], degree[f], f});
  }
  std::vector<uint32_t> order;
  std::vector<char> taken(imports.size(), 0);
  while (!next.empty()) {
    const uint32_t f = std::get<2>(next.top());
    next.pop();
    if (taken[f]) continue;  // an entry from before its degree fell: the lower one came first
    taken[f] = 1;
    order.push_back(f);
    for (const uint32_t importer : importers[f]) {
      if (!taken[importer]) next.push({subgraph[importer], --degree[importer], importer});
    }
  }
  return order;
}

}  // namespace ballast
