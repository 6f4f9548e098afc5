// The corpus: source files become documents. Collect (sorted by path, so that the same tree gives the same corpus),
// drop what is no good to learn from, drop copies, split by package. What happened to every file is in the manifest.
//
// Rules, after bigcode's filters for The Stack (Kocetkov et al., arXiv 2211.15533):
//   larger than 1 MB; mean line > 100 or longest line > 1000 characters; letters and digits < 25 % of the characters;
//   "auto-generated" and the like in the first five lines; binary; not UTF-8; blank; symbolic links are not followed.
//   Copies: equal sha256 of the text without trailing blanks and with LF line ends. Of a text in both parts the
//   training copy goes, else the first by path stays.
//   Held-out is whole packages, never single files: files of a package are too alike.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ballast {

struct CorpusOptions {
  std::vector<std::string> source;  // folders; none: the standard library of the installed python3
  std::string jsonl;                // or a file of JSON lines
  std::string field = "text";       // its key with the document
  std::vector<std::string> extension = {".py"};
  std::vector<std::string> exclude;  // packages left out, beside those of the default source
  std::vector<std::string> held_out = {"_osx_support", "_pydecimal", "abc",      "ast",        "cProfile",
                                       "calendar",     "cgi",        "cmd",      "compileall", "hashlib",
                                       "imp",          "ntpath",     "pdb",      "platform",   "re",
                                       "tarfile",      "threading",  "tokenize", "venv",       "zipimport"};
  double held_out_share = 0.05;  // of the bytes, by whole packages, where none of held_out exists

  template <class V>
  void visit(V& v) {
    v("source", source, "folders with source files; empty: the standard library of the installed python3");
    v("jsonl", jsonl, "a file with one JSON object per line, instead of folders");
    v("field", field, "the key of a document's text in those objects");
    v("extension", extension, "endings of the files to take from folders");
    v("exclude", exclude, "packages (first folder or file name under a source) to leave out");
    v("held_out", held_out, "packages that are never trained on");
    v("held_out_share", held_out_share,
      "share of the bytes held out, by whole packages, where none of held_out exists");
  }
};

enum class Split { train, held_out };
const char* split_name(Split split);  // "train", "held_out"

struct ManifestEntry {
  std::string path;     // relative to its source folder; with several sources, their names come first
  std::string package;  // the first part of the path, without an extension
  std::string sha256;   // of the file's bytes
  int64_t bytes = 0;
  Split split = Split::train;
  std::string license;  // SPDX: "PSF-2.0" for the default source, else "unknown"
  std::string reason;   // why it was dropped; empty: kept
};

struct Document {
  std::string path, package, text;
  Split split = Split::train;
};

struct Corpus {
  std::vector<Document> documents;              // kept ones, by path
  std::vector<ManifestEntry> manifest;          // all that were looked at, by path
  std::string origin;                           // the folders or the file, for people
  std::vector<std::string> held_out_not_found;  // names in CorpusOptions::held_out that no package has

  std::vector<const Document*> part(Split split) const;
  int64_t bytes(Split split) const;
  // sha256 over path, sha256 and split of the kept files: equal hashes mean equal training and held-out texts.
  std::string hash() const;
  // Counts and bytes per split, files per reason for dropping, the largest package's share of the training bytes.
  Json report() const;
  // JSON lines: a line with format and hash, then one line per file looked at.
  void write_manifest(const std::filesystem::path& path) const;
};

// Throws Error{file} for a source that is missing or unreadable, Error{format} with file and line for JSON lines that
// do not parse, Error{usage} where nothing is left, or nothing to train on or to hold out.
Corpus collect_corpus(const CorpusOptions& options);

// The folder of the standard library: asks /usr/bin/python3, then the python3 on the PATH, then looks for
// /usr/lib/python3*. Throws Error{usage} where there is none.
std::filesystem::path python_standard_library();

// The rule that drops this text, or nothing. `text` is the file as it is.
std::string reason_to_drop(std::string_view text);

// What is compared to find copies.
std::string normalized_text(std::string_view text);

}  // namespace ballast
