// The report on a corpus: what `ballast corpus` wrote into a folder's manifest, as tables and one page with plots.
#pragma once

#include <filesystem>
#include <string>

namespace ballast {

struct CorpusReport {
  std::string text;                      // tables for a terminal
  std::filesystem::path html, markdown;  // written beside the manifest: corpus.html, corpus.md
};

// Reads `folder`/manifest.jsonl line by line. Throws Error{file} where it is missing, Error{format} naming file and
// line where it is not a corpus manifest, Error{unsupported} where a newer version wrote it.
CorpusReport write_corpus_report(const std::filesystem::path& folder);

}  // namespace ballast
