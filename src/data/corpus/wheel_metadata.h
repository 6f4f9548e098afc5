// What an installed Python distribution says of itself: METADATA of a wheel's *.dist-info, PKG-INFO of an *.egg-info
// (packaging.python.org, core metadata 2.4), RECORD and top_level.txt.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ballast {

struct WheelMetadata {
  std::string name, version;
  std::string license;                     // SPDX expression: License-Expression, License and classifiers together
  std::vector<std::string> license_files;  // relative to the dist-info folder
};

// Any bytes parse; what is missing is empty, the license then kUnknownLicense.
WheelMetadata parse_wheel_metadata(std::string_view text);

// The paths in a RECORD (CSV: path, hash, size), relative to the folder that holds the dist-info.
std::vector<std::string> parse_record(std::string_view text);

struct Distribution {
  std::string name, version, license;
  std::vector<std::string> modules;  // the first one or two parts of its files' paths: "numpy", "google/protobuf"
};

// The distribution of one *.dist-info or *.egg-info (a folder, or a file for some). Where its metadata says nothing of
// the license, or no more than "BSD", its license files are told by their texts. Throws Error{file} where a file there
// cannot be read.
Distribution read_distribution(const std::filesystem::path& info);

// Whether a file of this name holds a license: LICENSE, LICENCE.txt, COPYING, UNLICENSE, LICENSE-MIT, ...
bool is_license_file(std::string_view name);

}  // namespace ballast
