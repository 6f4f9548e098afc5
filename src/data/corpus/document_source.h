// Where documents come from: folders, or a file of JSON lines. Lists them, and reads one when asked to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/corpus.h"

namespace ballast {

class DocumentSource {
 public:
  // Lists what there is: entries by path, with package, version and license, without bytes and sha256. Throws as
  // scan_corpus does.
  DocumentSource(const CorpusOptions& options, std::vector<ManifestEntry>& entries);

  // Whether a document's source says anything of licenses. Where it does not, it is the user's own.
  bool licensed(size_t document) const { return licensed_[places_[document].source]; }
  const std::string& origin() const { return origin_; }
  // site-packages and dist-packages that are not entered, since they are below a source and not one.
  const std::vector<std::string>& skipped() const { return skipped_; }

  struct Text {
    std::string text, sha256;
    int64_t bytes = 0;
    bool too_large = false;  // then `text` is empty: it was only hashed
  };
  // The document with this number and path. Safe from several threads. Throws Error{file}.
  Text read(size_t document, const std::string& path) const;
  // That of the document itself: of a JSON line its "path", which may be missing.
  std::string path(size_t document, const std::string& path) const;

 private:
  struct Place {
    uint32_t source = 0;          // or the line of JSON lines, from 1
    uint64_t begin = 0, end = 0;  // of a JSON line
  };
  void list_folders(const CorpusOptions& options, std::vector<ManifestEntry>& entries);
  void list_json_lines(const CorpusOptions& options, std::vector<ManifestEntry>& entries);
  Json json_line(size_t document, const std::string& path) const;

  std::string origin_, field_;
  std::vector<std::filesystem::path> folders_;
  std::vector<std::string> prefixes_;
  std::unique_ptr<MappedFile> json_lines_;
  std::vector<Place> places_;
  std::vector<bool> licensed_;  // per source
  std::vector<std::string> skipped_;
};

}  // namespace ballast
