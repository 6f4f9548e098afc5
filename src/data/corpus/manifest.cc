#include "data/corpus/manifest.h"

#include "base/file.h"

namespace ballast {

const char* split_name(Split split) { return split == Split::train ? "train" : "held_out"; }

std::string rule_of_reason(std::string_view reason) {
  for (const std::string_view rule : {"copy", "near-duplicate", "license", "benchmark"}) {
    if (reason.starts_with(rule)) return std::string(rule);
  }
  return std::string(reason);
}

void write_manifest(const std::filesystem::path& path, const std::vector<ManifestEntry>& entries, const Json& report) {
  AtomicFile file(path);
  Json head = Json::object();
  head["format"] = 1;
  head["kind"] = "corpus manifest";
  head["report"] = report;
  file.write(head.dump() + "\n");
  for (const ManifestEntry& e : entries) {
    Json line = Json::object();
    line["path"] = e.path;
    line["package"] = e.package;
    if (!e.version.empty()) line["version"] = e.version;
    line["license"] = e.license;
    line["sha256"] = e.sha256;
    line["bytes"] = e.bytes;
    line["split"] = split_name(e.split);
    if (!e.reason.empty()) line["dropped"] = e.reason;
    file.write(line.dump() + "\n");
  }
  file.commit();
}

}  // namespace ballast
