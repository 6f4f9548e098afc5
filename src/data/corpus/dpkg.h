// What dpkg knows of installed files, and what an unpacked .deb says of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/corpus/debian_copyright.h"

namespace ballast {

struct DebianPackage {
  std::string name, version;
  std::shared_ptr<const DebianCopyright> copyright;  // null: there is none, or it cannot be read

  // `path` as it is installed, "usr/lib/python3/dist-packages/numpy/ma/core.py".
  std::string license_of(std::string_view path) const;
};

class DpkgDatabase {
 public:
  // The packages with files under `folder` (an absolute path below `root`). Empty where `root` has no dpkg.
  DpkgDatabase(const std::filesystem::path& root, const std::filesystem::path& folder);
  // The owner of an absolute path (without `root` before it), or null.
  const DebianPackage* owner(const std::string& path) const;
  bool empty() const { return owners_.empty(); }

 private:
  std::vector<std::unique_ptr<DebianPackage>> packages_;
  std::unordered_map<uint64_t, uint32_t> owners_;  // hash of the path -> index into packages_
};

// The package or packages unpacked at `folder`, which has usr/share/doc. The name is that of the folder in there, the
// version that of DEBIAN/control or of a folder named NAME_VERSION. A link to another package's documentation is
// followed to that package beside it, else to the installed one.
std::vector<DebianPackage> read_unpacked_packages(const std::filesystem::path& folder);

// Of several packages unpacked into one folder, the one whose name fits the file's module; null: none does.
const DebianPackage* package_for(const std::vector<DebianPackage>& packages, const std::string& path);

}  // namespace ballast
