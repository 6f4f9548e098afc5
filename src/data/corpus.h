// The corpus: source files become documents. Collect (sorted by path, so that the same tree gives the same corpus),
// tell each file's package and license, drop what is no good to learn from, drop copies and near-copies, split by
// package, cap what is too much. What happened to every file is in the manifest. The rules, in their order:
//
//   license      none of CorpusOptions::license accepts it (corpus/source_tree.h tells it, corpus/licenses.h judges it)
//   benchmark    named after a benchmark; or it holds a problem of the benchmark files given (corpus/benchmarks.h)
//   content      corpus/filters.h: too large, binary, not UTF-8, blank, long lines, data, generated
//   copy         equal sha256 of the text without trailing blanks and with LF line ends
//   near-duplicate   lines' Jaccard similarity above a threshold (corpus/near_duplicates.h)
//   shares       tests, each package, and packages that repeat themselves, of the training part (corpus/caps.h)
//
// Held-out is whole packages, never single files: files of a package are too alike. Of a text in both parts the
// training copy goes, else the first by path stays.
//
// Files are read twice; between, each is its entry in the manifest and a signature.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/corpus/filters.h"
#include "data/corpus/manifest.h"

namespace ballast {

struct CorpusOptions {
  std::vector<std::string> source;  // folders; none: the standard library of the installed python3
  std::string jsonl;                // or a file of JSON lines
  std::string field = "text";       // its key with the document
  std::vector<std::string> extension = {".py"};
  std::vector<std::string> exclude;  // packages left out, beside those of the default source
  std::vector<std::string> license = {"permissive", "own"};
  std::vector<std::string> exclude_benchmarks;
  double near_duplicate = 0.75;
  double package_share = 0.1, test_share = 0.25;  // of the training bytes
  std::vector<std::string> held_out = {"_osx_support", "_pydecimal", "abc",      "ast",        "cProfile",
                                       "calendar",     "cgi",        "cmd",      "compileall", "hashlib",
                                       "imp",          "ntpath",     "pdb",      "platform",   "re",
                                       "tarfile",      "threading",  "tokenize", "venv",       "zipimport"};
  double held_out_share = 0.05;  // of the bytes, by whole packages, where none of held_out exists

  template <class V>
  void visit(V& v) {
    v("source", source, "folders with source files; empty: the standard library of the installed python3");
    v("jsonl", jsonl, "a file with one JSON object per line, instead of folders");
    v("field", field, "the key of a document's text in those objects; 'package', 'license' and 'path' are read too");
    v("extension", extension, "endings of the files to take from folders");
    v("exclude", exclude, "packages, or first folders or files under a source, to leave out");
    v("license", license,
      "licenses to take: SPDX ids, permissive (MIT, BSD, Apache-2.0, PSF, ISC, Zlib, CC0, ...), own (sources that say "
      "nothing of licenses), unknown, any");
    v("exclude_benchmarks", exclude_benchmarks,
      "JSON or JSONL files with benchmark problems; documents that hold one are dropped");
    v("near_duplicate", near_duplicate, "of files whose lines' Jaccard similarity is above this one stays; 1: off");
    v("package_share", package_share,
      "largest share of the training bytes of one package, where there are more than 1 / share; 1: off");
    v("test_share", test_share, "largest share of tests in the training bytes; 1: off");
    v("held_out", held_out, "packages that are never trained on; those that you name must be there");
    v("held_out_share", held_out_share,
      "share of the bytes held out, by whole packages, where none of held_out exists");
  }
};

class DocumentSource;

// What was decided about every file. Texts are read when asked for.
class CorpusIndex {
 public:
  std::vector<ManifestEntry> manifest;          // all that were looked at, by path
  std::string origin;                           // the folders or the file, for people
  std::vector<std::string> held_out_not_found;  // names in CorpusOptions::held_out that no package has
  int64_t held_out_copied = 0;                  // held-out files whose training copies, near ones too, were dropped
  std::map<std::string, double> repetitive;     // packages with few unique lines (corpus/caps.h), and their fractions
  bool packages_capped = true;                  // false: too few packages for CorpusOptions::package_share

  std::vector<uint32_t> files(Split split) const;  // places in the manifest of the kept ones
  int64_t bytes(Split split) const;
  // The text of a kept file. Throws Error{file} where it is no longer what it was.
  std::string read(uint32_t file) const;
  // The file's own path: the manifest's, and of a JSON line its "path", or nothing.
  std::string path(uint32_t file) const;
  // sha256 over path, sha256 and split of the kept files: equal hashes mean equal training and held-out texts.
  std::string hash() const;
  // Counts and bytes per split, license and rule, the largest package's share of the training bytes.
  Json report() const;
  void write_manifest(const std::filesystem::path& path) const { ballast::write_manifest(path, manifest, report()); }

 private:
  friend CorpusIndex scan_corpus(const CorpusOptions& options, int threads);
  std::shared_ptr<const DocumentSource> source_;
};

// Reads the sources once. Memory grows with the number of files, not with their bytes. The result does not depend on
// `threads` (0: all cores). Throws Error{file} for a source that is missing or unreadable, Error{format} with file and
// line for JSON lines that do not parse, Error{usage} where nothing is left, or nothing to train on or to hold out,
// Error{interrupted}.
CorpusIndex scan_corpus(const CorpusOptions& options, int threads = 0);

struct Document {
  std::string path, package, text;
  Split split = Split::train;
};

// With all texts in memory: for evaluation, and for corpora that fit.
struct Corpus : CorpusIndex {
  std::vector<Document> documents;  // kept ones, by path
  std::vector<const Document*> part(Split split) const;
};

Corpus collect_corpus(const CorpusOptions& options);

// The folder of the standard library: asks /usr/bin/python3, then the python3 on the PATH, then looks for
// /usr/lib/python3*. Throws Error{usage} where there is none.
std::filesystem::path python_standard_library();

}  // namespace ballast
