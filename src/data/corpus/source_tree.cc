#include "data/corpus/source_tree.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "data/corpus/dpkg.h"
#include "data/corpus/licenses.h"
#include "data/corpus/wheel_metadata.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

template <class Range>
bool contains(const Range& range, std::string_view value) {
  return std::find(std::begin(range), std::end(range), value) != std::end(range);
}

// A folder of installed distributions: modules ("numpy", or "google/protobuf" of a name that several share) to them.
class Site {
 public:
  Site(fs::path folder, const std::vector<fs::path>& infos) : folder_(std::move(folder)) {
    for (const fs::path& info : infos) distributions_.push_back(read_distribution(info));
    for (const Distribution& d : distributions_) {
      for (const std::string& module : d.modules) {
        const auto [it, fresh] = owners_.emplace(module, &d);
        if (!fresh && it->second->name != d.name) it->second = nullptr;  // shared
      }
    }
  }

  const Distribution* owner(const fs::path& file) const {
    const fs::path relative = file.lexically_relative(folder_);
    std::string module;
    const Distribution* found = nullptr;
    for (auto part = relative.begin(); part != relative.end() && std::distance(relative.begin(), part) < 2; ++part) {
      module += (module.empty() ? "" : "/") + part->string();
      if (const auto it = owners_.find(module); it != owners_.end() && it->second != nullptr) found = it->second;
    }
    return found;
  }

 private:
  fs::path folder_;
  std::deque<Distribution> distributions_;
  std::map<std::string, const Distribution*> owners_;
};

// What the folders above a file say.
struct Scope {
  const std::vector<DebianPackage>* unpacked = nullptr;
  fs::path unpacked_root;
  const Site* site = nullptr;
  std::string license;  // of the nearest license file; empty: none
  std::string project;  // the outermost folder with one
};

class Lister {
 public:
  Lister(const fs::path& folder, const SourceTreeOptions& options, SourceTree& tree)
      : folder_(folder), options_(options), tree_(tree) {
    std::error_code none;
    const fs::path absolute = fs::canonical(folder, none);
    const fs::path below = absolute.lexically_relative(fs::canonical(options.dpkg_root, none));
    library_ = fs::exists(folder / "os.py", none) && fs::exists(folder / "abc.py", none);
    if (!none && !below.empty() && *below.begin() == "usr") {
      installed_ = fs::path("/") / below;
      dpkg_.emplace(options.dpkg_root, installed_);
    }
  }

  void walk() { walk(folder_, {}); }

 private:
  void walk(const fs::path& folder, Scope scope) {
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
      entries.push_back(*it);
    if (error)
      fail(ErrorKind::file, folder.string(), "cannot read the folder: {}{}", error.message(),
           exclude_advice(folder.lexically_relative(folder_)));
    open_scope(folder, entries, scope);
    for (const fs::directory_entry& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.') || entry.is_symlink(error)) continue;
      if (folder == folder_ && (contains(options_.exclude, name) || contains(options_.exclude, package_of_path(name))))
        continue;
      if (entry.is_directory(error)) {
        if (enters(name, scope)) {
          walk(entry.path(), scope);
        } else if (name != "__pycache__") {
          tree_.skipped.push_back(entry.path().string());
        }
      } else if (entry.is_regular_file(error) && contains(options_.extension, entry.path().extension().string())) {
        add(entry.path(), scope);
      }
    }
  }

  static bool enters(const std::string& name, const Scope& scope) {
    if (name == "__pycache__") return false;
    return scope.unpacked != nullptr || (name != "site-packages" && name != "dist-packages");
  }

  void open_scope(const fs::path& folder, const std::vector<fs::directory_entry>& entries, Scope& scope) {
    std::error_code none;
    if (scope.unpacked != nullptr || (dpkg_ && !dpkg_->empty() && folder == folder_)) return;
    std::vector<fs::path> infos, licenses;
    for (const fs::directory_entry& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (name == "usr" && fs::is_directory(entry.path() / "share/doc", none)) {
        unpacked_.push_back(read_unpacked_packages(folder));
        scope.unpacked = &unpacked_.back();
        scope.unpacked_root = folder;
        return;
      }
      if (name.ends_with(".dist-info") || name.ends_with(".egg-info")) infos.push_back(entry.path());
      if (is_license_file(name) && entry.is_regular_file(none)) licenses.push_back(entry.path());
    }
    std::sort(infos.begin(), infos.end());
    std::sort(licenses.begin(), licenses.end());
    if (!infos.empty()) {
      scope.site = &sites_.emplace_back(folder, infos);
      scope.license.clear();  // of the project that the site stands in
    } else if (!licenses.empty()) {
      scope.license = license_of_files(licenses);
      if (scope.project.empty()) scope.project = folder.lexically_relative(folder_).generic_string();
    }
  }

  // LICENSE-MIT beside LICENSE-APACHE is a choice; other files hold together.
  static std::string license_of_files(const std::vector<fs::path>& files) {
    const auto is_choice = [](const fs::path& f) { return f.filename().string().find('-') != std::string::npos; };
    const bool choice = files.size() > 1 && std::all_of(files.begin(), files.end(), is_choice);
    std::string all;
    for (const fs::path& file : files) {
      const std::string one = classify_license_text(read_file(file));
      all = choice && !all.empty() ? license_expression("(" + all + ") or (" + one + ")") : license_and(all, one);
    }
    return all;
  }

  void add(const fs::path& path, const Scope& scope) {
    SourceFile file;
    const fs::path relative = path.lexically_relative(folder_);
    file.path = relative.generic_string();
    file.license = kUnknownLicense;
    if (const DebianPackage* owner = debian_owner(file.path, path, scope)) {
      file.package = owner->name;
      file.version = owner->version;
      file.license =
          owner->license_of(scope.unpacked != nullptr ? path.lexically_relative(scope.unpacked_root).generic_string()
                                                      : (installed_ / relative).string().substr(1));
    } else if (const Distribution* d = scope.site != nullptr ? scope.site->owner(path) : nullptr) {
      file.package = d->name;
      file.version = d->version;
      file.license = scope.license.empty() ? d->license : scope.license;
    } else if (!scope.license.empty()) {
      file.license = scope.license;
    }
    tree_.licensed |= !file.package.empty() || !scope.license.empty() || scope.unpacked != nullptr;
    file.named_by_metadata = !file.package.empty() && !library_;
    if (!file.named_by_metadata) {
      const bool has_project = !scope.project.empty() && scope.project != "." && scope.site == nullptr;
      file.package = has_project ? scope.project : package_of_path(relative);
    }
    tree_.files.push_back(std::move(file));
  }

  const DebianPackage* debian_owner(const std::string& relative, const fs::path& path, const Scope& scope) const {
    if (scope.unpacked != nullptr)
      return package_for(*scope.unpacked, path.lexically_relative(scope.unpacked_root).generic_string());
    return dpkg_ ? dpkg_->owner((installed_ / relative).string()) : nullptr;
  }

  const fs::path folder_;
  const SourceTreeOptions& options_;
  SourceTree& tree_;
  fs::path installed_;  // the folder as dpkg names it
  std::optional<DpkgDatabase> dpkg_;
  bool library_ = false;
  std::deque<std::vector<DebianPackage>> unpacked_;
  std::deque<Site> sites_;
};

}  // namespace

std::string exclude_advice(const fs::path& relative) {
  if (relative.empty() || relative == ".") return {};
  return fmt::format("; make it readable, or leave it out with --corpus.exclude {}", relative.begin()->string());
}

std::string package_of_path(const fs::path& relative) {
  const fs::path first = *relative.begin();
  return first.stem().empty() ? first.string() : first.stem().string();
}

SourceTree list_source_tree(const fs::path& folder, const SourceTreeOptions& options) {
  std::error_code none;
  if (!fs::is_directory(folder, none))
    fail(ErrorKind::file, folder.string(), "is not a folder that can be read; --source takes folders");
  SourceTree tree;
  Lister(folder, options, tree).walk();
  return tree;
}

}  // namespace ballast
