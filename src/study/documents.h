// The text that a study scores: whatever a user points at, as token ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "infer/load.h"

namespace ballast {

struct TextOptions {
  std::string source;
  std::vector<std::string> extension = {".py"};

  template <class V>
  void visit(V& v) {
    v("source", source, "a file, a folder of source files, a token shard, or a folder that `ballast corpus` wrote");
    v("extension", extension, "endings of the files to take from a folder of source files");
  }
};

// A document each for a file's text, for the files of a folder that the corpus' filters keep (data/corpus/filters.h), or for the
// documents of a shard: FILE.shard, or held_out.shard in the folder. Text gets the tokenizer's bos, if it has one, in
// front. Throws Error{file, format} naming the file, Error{usage} where a folder has nothing to keep or the shard has
// another vocabulary, and what OpenedModel::tokenizer throws where text needs one.
std::vector<std::vector<int32_t>> read_documents(const TextOptions& text, const OpenedModel& model);

}  // namespace ballast
