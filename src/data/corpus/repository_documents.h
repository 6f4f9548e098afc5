// Whole repositories as documents of the training part, so that a model sees a file behind what it imports.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/corpus.h"
#include "data/corpus/filters.h"

namespace ballast {

// Bytes of files and their path lines in one document. A repository that is larger is several documents, parted between
// files. As large as the largest file, so that encoding takes no more memory than without repositories; no window that
// a model is trained on is near it (DeepSeek-Coder's has 16,384 tokens, some 60 kB).
inline constexpr int64_t kLargestRepositoryDocument = kLargestSourceFile;

struct RepositoryDocument {
  std::vector<uint32_t> files;     // places in CorpusIndex::files(split), in the order of the document
  std::vector<std::string> paths;  // of each, what its first line says; empty: it gets none
};

// A repository is a package of the manifest. Its files stand in the order of dependency_order.h, ties by path; the
// repositories in the order of their first files in the manifest. Every kept file of the split is in one document,
// once. Reads the texts of one repository's files after the other, and keeps none: memory grows with the number of
// files. The result does not depend on `threads` (0: all cores). Shows progress. Throws what CorpusIndex::read throws,
// Error{interrupted}.
std::vector<RepositoryDocument> repository_documents(const CorpusIndex& corpus, Split split, int threads);

// A repository's paths as their documents show them: without the folders above the last one that all files are in. The
// name of that one stays, as it is often the package's.
void strip_common_folder(std::vector<std::string>& paths);

// One more file of a document: a line end where there is text before it, a comment with its path in the language that
// the path's ending says (`# a/b.py`, `// a/b.h`), the text. A path that is empty, not UTF-8 or has control characters
// is left out.
void append_file(std::string& document, std::string_view path, std::string_view text);

}  // namespace ballast
