// The manifest: a line for every file looked at, with what it is, whose, and what became of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ballast {

enum class Split : uint8_t { train, held_out };
const char* split_name(Split split);  // "train", "held_out"

struct ManifestEntry {
  std::string path;     // relative to its source folder; with several sources, their names come first
  std::string package;  // the distribution, where its files say so; else the first part of the path, no extension
  std::string version;  // of the distribution; empty: not known
  std::string license;  // SPDX expression, or "unknown"
  std::string sha256;   // of the file's bytes
  int64_t bytes = 0;
  Split split = Split::train;
  std::string reason;  // why it was dropped; empty: kept
};

// The rule behind a reason: "copy" of "copy of a/b.py", "license" of "license GPL-3.0-only", ...
std::string rule_of_reason(std::string_view reason);

// JSON lines: {"format": 1, "kind": "corpus manifest", "report": report}, then one line per entry. In pieces: the text
// of a large manifest is never in memory as a whole.
void write_manifest(const std::filesystem::path& path, const std::vector<ManifestEntry>& entries, const Json& report);

}  // namespace ballast
