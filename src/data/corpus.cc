#include "data/corpus.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "data/corpus/document_source.h"

namespace ballast {

std::vector<uint32_t> CorpusIndex::files(Split split) const {
  std::vector<uint32_t> kept;
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (manifest[i].reason.empty() && manifest[i].split == split) kept.push_back(static_cast<uint32_t>(i));
  }
  return kept;
}

int64_t CorpusIndex::bytes(Split split) const {
  int64_t total = 0;
  for (const ManifestEntry& e : manifest) total += e.reason.empty() && e.split == split ? e.bytes : 0;
  return total;
}

std::string CorpusIndex::read(uint32_t file) const {
  const ManifestEntry& e = manifest[file];
  DocumentSource::Text text = source_->read(file, e.path);
  if (text.sha256 != e.sha256)
    fail(ErrorKind::file, e.path, "changed while the corpus was made; run it again on a tree at rest");
  return std::move(text.text);
}

std::string CorpusIndex::path(uint32_t file) const { return source_->path(file, manifest[file].path); }

std::string CorpusIndex::hash() const {
  Sha256 sha;
  for (const ManifestEntry& e : manifest) {
    if (e.reason.empty()) sha.update(e.path + "\t" + e.sha256 + "\t" + split_name(e.split) + "\n");
  }
  return sha.hex();
}

Json CorpusIndex::report() const {
  struct Count {
    int64_t files = 0, bytes = 0;
  };
  std::map<std::string, int64_t> packages[2];
  std::map<std::string, Count> rules, licenses;
  for (const ManifestEntry& e : manifest) {
    Count& license = licenses[e.license];
    ++license.files;
    license.bytes += e.bytes;
    if (e.reason.empty()) {
      packages[static_cast<int>(e.split)][e.package] += e.bytes;
    } else {
      Count& rule = rules[rule_of_reason(e.reason)];
      ++rule.files;
      rule.bytes += e.bytes;
    }
  }
  const auto counts = [](const std::map<std::string, Count>& of, int64_t Count::*which) {
    Json json = Json::object();
    for (const auto& [name, count] : of) json[name] = count.*which;
    return json;
  };
  Json report = Json::object();
  report["origin"] = origin;
  report["hash"] = hash();
  report["files_seen"] = static_cast<int64_t>(manifest.size());
  for (const Split split : {Split::train, Split::held_out}) {
    Json part = Json::object();
    part["files"] = static_cast<int64_t>(files(split).size());
    part["bytes"] = bytes(split);
    part["packages"] = static_cast<int64_t>(packages[static_cast<int>(split)].size());
    report[split_name(split)] = std::move(part);
  }
  Json names = Json::array(), missing = Json::array();
  for (const auto& [package, n] : packages[static_cast<int>(Split::held_out)]) names.push_back(package);
  for (const std::string& name : held_out_not_found) missing.push_back(name);
  report["held_out_packages"] = std::move(names);
  report["held_out_not_found"] = std::move(missing);
  report["dropped"] = counts(rules, &Count::files);
  report["dropped_bytes"] = counts(rules, &Count::bytes);
  report["license_files"] = counts(licenses, &Count::files);
  report["license_bytes"] = counts(licenses, &Count::bytes);
  report["held_out_copied"] = held_out_copied;
  report["packages_capped"] = packages_capped;
  Json repeating = Json::object();
  for (const auto& [package, fraction] : repetitive) repeating[package] = fraction;
  report["unique_lines_of_repetitive_packages"] = std::move(repeating);
  const auto& train = packages[static_cast<int>(Split::train)];
  const auto largest =
      std::max_element(train.begin(), train.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (largest != train.end()) {
    report["largest_package"] = largest->first;
    report["largest_package_share"] = static_cast<double>(largest->second) / static_cast<double>(bytes(Split::train));
  }
  return report;
}

Corpus collect_corpus(const CorpusOptions& options) {
  Corpus corpus{scan_corpus(options), {}};
  for (size_t i = 0; i < corpus.manifest.size(); ++i) {
    const ManifestEntry& e = corpus.manifest[i];
    if (e.reason.empty())
      corpus.documents.push_back({e.path, e.package, corpus.read(static_cast<uint32_t>(i)), e.split});
  }
  return corpus;
}

std::vector<const Document*> Corpus::part(Split split) const {
  std::vector<const Document*> documents_of;
  for (const Document& d : documents) {
    if (d.split == split) documents_of.push_back(&d);
  }
  return documents_of;
}

}  // namespace ballast
