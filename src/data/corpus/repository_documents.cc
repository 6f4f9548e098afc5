#include "data/corpus/repository_documents.h"

#include <algorithm>
#include <exception>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "base/utf8.h"
#include "data/corpus/dependency_order.h"

namespace ballast {
namespace {

constexpr size_t kBlock = 256;  // files between two looks at the clock

struct Repository {
  std::vector<uint32_t> files;        // places in CorpusIndex::files(split)
  std::vector<std::string> packages;  // __init__.py files that are not among them: the blank ones were dropped
};

std::vector<Repository> repositories_of(const CorpusIndex& corpus, Split split, const std::vector<uint32_t>& kept) {
  std::vector<Repository> repositories;
  std::unordered_map<std::string_view, size_t> of_package;
  for (uint32_t place = 0; place < kept.size(); ++place) {
    const auto [it, fresh] = of_package.emplace(corpus.manifest[kept[place]].package, repositories.size());
    if (fresh) repositories.emplace_back();
    repositories[it->second].files.push_back(place);
  }
  for (const ManifestEntry& e : corpus.manifest) {
    if ((e.reason.empty() && e.split == split) || !e.path.ends_with("__init__.py")) continue;
    if (const auto it = of_package.find(e.package); it != of_package.end())
      repositories[it->second].packages.push_back(e.path);
  }
  return repositories;
}

class Arranger {
 public:
  Arranger(const CorpusIndex& corpus, Split split, int threads)
      : corpus_(corpus), kept_(corpus.files(split)), split_(split), pool_(threads) {}

  std::vector<RepositoryDocument> run() {
    Progress progress("imports", static_cast<int64_t>(kept_.size()), "files");
    for (const Repository& repository : repositories_of(corpus_, split_, kept_)) {
      arrange(repository, progress);
      done_ += repository.files.size();
    }
    progress.update(static_cast<int64_t>(done_));
    progress.finish();
    return std::move(documents_);
  }

 private:
  void arrange(const Repository& repository, Progress& progress) {
    std::vector<uint32_t> files = repository.files;
    std::unordered_map<uint32_t, std::string> path_of;
    for (const uint32_t f : files) path_of[f] = corpus_.path(kept_[f]);
    std::sort(files.begin(), files.end(), [&](uint32_t a, uint32_t b) {
      const int order = path_of.at(a).compare(path_of.at(b));
      return order != 0 ? order < 0 : a < b;
    });
    std::vector<std::string> paths;
    for (const uint32_t f : files) paths.push_back(std::move(path_of.at(f)));
    std::vector<uint32_t> order = {0};
    if (files.size() > 1) order = dependency_order(imports(files, PythonModules(paths, repository.packages), progress));
    strip_common_folder(paths);
    int64_t bytes = kLargestRepositoryDocument;
    for (const uint32_t i : order) {
      const int64_t own = corpus_.manifest[kept_[files[i]]].bytes + static_cast<int64_t>(paths[i].size());
      if (bytes += own; bytes > kLargestRepositoryDocument) {
        documents_.emplace_back();
        bytes = own;
      }
      documents_.back().files.push_back(files[i]);
      documents_.back().paths.push_back(std::move(paths[i]));
    }
  }

  std::vector<std::vector<uint32_t>> imports(const std::vector<uint32_t>& files, const PythonModules& modules,
                                             Progress& progress) {
    std::vector<std::vector<uint32_t>> found(files.size());
    for (size_t begin = 0; begin < files.size(); begin += kBlock) {
      if (interrupted()) fail(ErrorKind::interrupted, "corpus", "interrupted; no shard was written");
      std::vector<std::exception_ptr> errors(std::min(kBlock, files.size() - begin));
      pool_.for_each(static_cast<int64_t>(errors.size()), [&](int64_t task, int) {
        const size_t i = begin + static_cast<size_t>(task);
        try {
          found[i] = modules.imported_by(static_cast<uint32_t>(i), corpus_.read(kept_[files[i]]));
        } catch (...) {
          errors[static_cast<size_t>(task)] = std::current_exception();
        }
      });
      for (const std::exception_ptr& error : errors) {
        if (error) std::rethrow_exception(error);
      }
      progress.update(static_cast<int64_t>(done_ + begin + errors.size()));
    }
    return found;
  }

  const CorpusIndex& corpus_;
  const std::vector<uint32_t> kept_;
  const Split split_;
  ThreadPool pool_;
  size_t done_ = 0;  // files
  std::vector<RepositoryDocument> documents_;
};

// What starts a line of comment.
std::string_view comment_mark(std::string_view path) {
  const size_t dot = path.rfind('.');
  const std::string_view ending = dot == std::string_view::npos ? "" : path.substr(dot);
  for (const std::string_view slashes :
       {".c",  ".h",   ".cc", ".cpp", ".cxx", ".hh",    ".hpp", ".cu",    ".cuh", ".java", ".js",  ".jsx",  ".mjs",
        ".ts", ".tsx", ".go", ".rs",  ".cs",  ".swift", ".kt",  ".scala", ".php", ".dart", ".zig", ".proto"}) {
    if (ending == slashes) return "//";
  }
  for (const std::string_view dashes : {".sql", ".lua", ".hs", ".elm", ".adb", ".ads"}) {
    if (ending == dashes) return "--";
  }
  return "#";
}

}  // namespace

std::vector<RepositoryDocument> repository_documents(const CorpusIndex& corpus, Split split, int threads) {
  return Arranger(corpus, split, threads).run();
}

void strip_common_folder(std::vector<std::string>& paths) {
  if (paths.empty()) return;
  std::string_view common = paths[0];  // with the slash behind it
  for (const std::string& path : paths) {
    const auto same = std::mismatch(common.begin(), common.end(), path.begin(), path.end()).first - common.begin();
    common = common.substr(0, common.substr(0, static_cast<size_t>(same)).rfind('/') + 1);
  }
  if (common.size() < 2) return;
  const size_t above = common.rfind('/', common.size() - 2);
  if (above == std::string::npos) return;
  for (std::string& path : paths) path.erase(0, above + 1);
}

void append_file(std::string& document, std::string_view path, std::string_view text) {
  if (!document.empty()) document += '\n';
  const bool printable = std::none_of(path.begin(), path.end(), [](char c) { return (c & 0xE0) == 0 || c == 0x7F; });
  if (!path.empty() && printable && valid_utf8(path) == path) {
    document += comment_mark(path);
    document += ' ';
    document += path;
    document += '\n';
  }
  document += text;
}

}  // namespace ballast
