#include "data/corpus/dpkg.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "data/corpus/licenses.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

// The path in the source package, as far as it can be told: without the folder that Python packages are installed in.
std::string_view path_in_source(std::string_view path) {
  for (const std::string_view folder : {"/dist-packages/", "/site-packages/"}) {
    if (const size_t at = path.find(folder); at != std::string_view::npos) return path.substr(at + folder.size());
  }
  for (const std::string_view prefix : {"usr/lib/python3.", "usr/lib/python3/", "usr/share/", "usr/lib/", "usr/"}) {
    if (!path.starts_with(prefix)) continue;
    const size_t slash = prefix.ends_with('.') ? path.find('/', prefix.size()) : prefix.size() - 1;
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
  }
  return path;
}

std::shared_ptr<const DebianCopyright> read_copyright(const fs::path& file) {
  std::error_code none;
  if (!fs::is_regular_file(file, none)) return nullptr;
  try {
    return std::make_shared<DebianCopyright>(parse_debian_copyright(read_file(file), file.string()));
  } catch (const Error&) {  // not a copyright file: as good as none, and the files' licenses are unknown
    return nullptr;
  }
}

template <class F>
void for_each_line(std::string_view text, F&& on_line) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    on_line(text.substr(at, end - at));
    at = end + 1;
  }
}

std::unordered_map<std::string, std::string> installed_versions(const fs::path& root) {
  std::unordered_map<std::string, std::string> versions;
  std::error_code none;
  const fs::path status = root / "var/lib/dpkg/status";
  if (!fs::is_regular_file(status, none)) return versions;
  const MappedFile file(status);
  std::string package;
  for_each_line(file.text(), [&](std::string_view line) {
    if (line.starts_with("Package: ")) package = line.substr(9);
    if (line.starts_with("Version: ")) versions[package] = line.substr(9);
  });
  return versions;
}

uint64_t hash_of(std::string_view path) { return std::hash<std::string_view>()(path); }

std::string control_field(const fs::path& folder, std::string_view name) {
  std::error_code none;
  const fs::path control = folder / "DEBIAN/control";
  std::string value;
  if (!fs::is_regular_file(control, none)) return value;
  for_each_line(read_file(control), [&](std::string_view line) {
    if (line.starts_with(name) && line.substr(name.size()).starts_with(": ")) value = line.substr(name.size() + 2);
  });
  return value;
}

// "python3-numpy_1%3a1.24.2-1_amd64" -> "1:1.24.2-1"; empty where the folder is not named after the package.
std::string version_of_folder(const fs::path& folder, const std::string& package) {
  std::string name = folder.filename().string();
  if (!name.starts_with(package + "_")) return {};
  name = name.substr(package.size() + 1);
  name = name.substr(0, name.find('_'));
  if (const size_t colon = name.find("%3a"); colon != std::string::npos) name.replace(colon, 3, ":");
  return name;
}

// The copyright file of a package whose documentation is a link to another's.
std::shared_ptr<const DebianCopyright> linked_copyright(const fs::path& folder, const std::string& other) {
  std::error_code none;
  for (const fs::directory_entry& beside : fs::directory_iterator(folder.parent_path(), none)) {
    const std::string name = beside.path().filename().string();
    if (name != other && !name.starts_with(other + "_")) continue;
    if (auto found = read_copyright(beside.path() / "usr/share/doc" / other / "copyright")) return found;
  }
  return read_copyright(fs::path("/usr/share/doc") / other / "copyright");
}

}  // namespace

std::string DebianPackage::license_of(std::string_view path) const {
  return copyright ? copyright->license_of(path_in_source(path)) : kUnknownLicense;
}

DpkgDatabase::DpkgDatabase(const fs::path& root, const fs::path& folder) {
  std::error_code none;
  const std::string prefix = folder.string() + "/";
  std::unordered_map<std::string, std::string> versions;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / "var/lib/dpkg/info", none)) {
    if (entry.path().extension() != ".list") continue;
    const MappedFile list(entry.path());
    if (list.text().find(prefix) == std::string_view::npos) continue;
    if (versions.empty()) versions = installed_versions(root);
    const std::string stem = entry.path().stem().string();
    auto package = std::make_unique<DebianPackage>();
    package->name = stem.substr(0, stem.find(':'));  // "libc6:amd64"
    package->version = versions[package->name];
    package->copyright = read_copyright(root / "usr/share/doc" / package->name / "copyright");
    for_each_line(list.text(), [&](std::string_view line) {
      if (line.starts_with(prefix)) owners_[hash_of(line)] = static_cast<uint32_t>(packages_.size());
    });
    packages_.push_back(std::move(package));
  }
}

const DebianPackage* DpkgDatabase::owner(const std::string& path) const {
  const auto it = owners_.find(hash_of(path));
  return it == owners_.end() ? nullptr : packages_[it->second].get();
}

std::vector<DebianPackage> read_unpacked_packages(const fs::path& folder) {
  std::vector<DebianPackage> packages;
  std::set<fs::path> docs;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "usr/share/doc", none))
    docs.insert(entry.path());
  for (const fs::path& doc : docs) {
    DebianPackage package;
    package.name = doc.filename().string();
    if (fs::is_symlink(doc, none)) {
      package.copyright = linked_copyright(folder, fs::read_symlink(doc, none).filename().string());
    } else {
      package.copyright = read_copyright(doc / "copyright");
    }
    if (!package.copyright) continue;
    if (docs.size() == 1) package.version = control_field(folder, "Version");
    if (package.version.empty()) package.version = version_of_folder(folder, package.name);
    packages.push_back(std::move(package));
  }
  return packages;
}

const DebianPackage* package_for(const std::vector<DebianPackage>& packages, const std::string& path) {
  if (packages.size() == 1) return &packages.front();
  std::string module(path_in_source(path));
  module = module.substr(0, module.find_first_of("/."));
  std::transform(module.begin(), module.end(), module.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : std::tolower(c); });
  for (const DebianPackage& p : packages) {
    if (p.name == "python3-" + module || p.name == module) return &p;
  }
  return nullptr;
}

}  // namespace ballast
