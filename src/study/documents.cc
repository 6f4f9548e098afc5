#include "study/documents.h"

#include <fmt/ranges.h>

#include <set>

#include "base/file.h"
#include "data/corpus/document_source.h"
#include "data/shards.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;
using TokenDocuments = std::vector<std::vector<int32_t>>;

TokenDocuments read_shard(const fs::path& file, const OpenedModel& model) {
  const ShardReader shard(file);
  if (shard.header().vocab_size > model.config.vocab_size)
    fail(ErrorKind::usage, file.string(), "has tokens of a vocabulary of {}, but the model's is {}: use --text with the "
         "source files themselves", shard.header().vocab_size, model.config.vocab_size);
  TokenDocuments documents;
  for (int64_t d = 0; d < shard.documents(); ++d) documents.push_back(shard.document(d));
  return documents;
}

}  // namespace

TokenDocuments read_documents(const TextOptions& text, const OpenedModel& model) {
  const fs::path source = text.source;
  if (!fs::exists(source)) fail(ErrorKind::file, source.string(), "no such file or folder");
  if (source.extension() == ".shard") return read_shard(source, model);
  if (fs::exists(source / "held_out.shard")) return read_shard(source / "held_out.shard", model);
  const Tokenizer& tokenizer = model.tokenizer();
  TokenDocuments documents;
  const auto add = [&](std::string_view content) {
    std::vector<int32_t> ids = tokenizer.encode(content);
    if (const int32_t bos = tokenizer.control().bos; bos >= 0) ids.insert(ids.begin(), bos);
    documents.push_back(std::move(ids));
  };
  if (!fs::is_directory(source)) {
    add(read_file(source));
    return documents;
  }
  std::vector<ManifestEntry> entries;
  const DocumentSource folder({.source = {source.string()}, .extension = text.extension}, entries);
  std::set<std::string> seen;  // of copies one is enough
  for (size_t i = 0; i < entries.size(); ++i) {
    const DocumentSource::Text file = folder.read(i, entries[i].path);
    if (!file.too_large && reason_to_drop(file.text).empty() && seen.insert(file.sha256).second) add(file.text);
  }
  if (documents.empty())
    fail(ErrorKind::usage, source.string(), "{} files ending in {}, and none to keep (data, generated, binary); "
         "text.extension names other endings", entries.size(), fmt::format("{}", fmt::join(text.extension, ", ")));
  return documents;
}

}  // namespace ballast
