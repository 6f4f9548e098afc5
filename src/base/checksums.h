// A folder's files under checksums, so that a bit that turned on a disk is an error naming the file and not a slightly
// different model. The list is a file of the folder itself:
//
//   {"format": 1, "files": {"model.safetensors": {"bytes": 81234, "crc32c": 1948213}, ...}, "crc32c": of "files"}
#pragma once

#include <filesystem>

namespace ballast {

inline constexpr char kChecksumList[] = "checksums.json";

// Writes the list over all other files there, those in subfolders included. They are read again.
void write_checksums(const std::filesystem::path& folder);

// Reads every file in the list. Throws Error{format} naming the first whose bytes are not what they were, or the list
// itself where it is damaged, and Error{file} for one that is gone. Files that are not in the list are not looked at.
// False where the folder has no list.
bool verify_checksums(const std::filesystem::path& folder);

}  // namespace ballast
