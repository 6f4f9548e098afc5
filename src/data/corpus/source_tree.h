// Source folders: which files there are, and whose. What tells a file's package, version and license, the strongest
// first:
//   - a file under /usr that Debian installed: dpkg's lists, and /usr/share/doc/PACKAGE/copyright
//   - an unpacked .deb (a folder with usr/share/doc): its copyright file, read for that file
//   - a folder with *.dist-info or *.egg-info (site-packages): their METADATA; a LICENSE file in a deeper folder, as
//     vendored projects have it, wins over them
//   - the nearest folder upward with LICENSE, COPYING or the like
// Else the package is the first part of the path and the license is unknown.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ballast {

struct SourceFile {
  std::string path;  // relative to the source folder
  std::string package, version, license;
  bool named_by_metadata = false;  // the package is a distribution's name, the same one in every source folder
};

struct SourceTree {
  std::vector<SourceFile> files;     // in no order
  bool licensed = false;             // some file's license was told. Where none was, the tree is the user's own
  std::vector<std::string> skipped;  // site-packages and dist-packages in plain source, by their paths
};

struct SourceTreeOptions {
  std::vector<std::string> extension;
  std::vector<std::string> exclude;       // first parts of paths
  std::filesystem::path dpkg_root = "/";  // above var/lib/dpkg and usr/share/doc
};

// Symbolic links, hidden folders, __pycache__ and, in plain source, site-packages and dist-packages are not entered. A
// folder with the standard library in it has a package per module. Throws Error{file} where `folder` is missing, or
// anything below it that is not excluded is unreadable.
SourceTree list_source_tree(const std::filesystem::path& folder, const SourceTreeOptions& options);

// What to do about a path below a source that cannot be read, for the end of a message.
std::string exclude_advice(const std::filesystem::path& relative);

// "ast.py" and "ast" are the same package.
std::string package_of_path(const std::filesystem::path& relative);

}  // namespace ballast
