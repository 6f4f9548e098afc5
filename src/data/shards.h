// Token shards: one file of tokenized documents, ready to be packed. Little endian.
//
//   offset 0    magic "BALSHARD", u32 format (1), u32 zero
//   16          tokens: u16 where vocab_size <= 65536, else u32; zeros up to a multiple of 8
//               document offsets: u64 (documents + 1), in tokens
//               text bytes: u64 (documents), the UTF-8 bytes that each document was made from
//               flags: u8 (documents), bit 0 = rearranged for filling in the middle
//               index: JSON with the header below and {offset, bytes, crc32c} of every section
//   end - 24    u64 offset of the index, u32 its length, u32 its CRC-32C, magic "BALSHEND"
//
// The index stands at the end so that a writer streams and never goes back. Every byte of the file is covered by a
// magic, a checksum or a must-be-zero rule: a reader that opens has a whole file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace ballast {

// What a shard says about itself.
struct ShardHeader {
  int64_t vocab_size = 0;
  std::string tokenizer_hash;  // sha256 of tokenizer.json
  std::string corpus_hash;     // Corpus::hash
  std::string split;           // "train" or "held_out"
  double fim_rate = 0;         // share of documents that were to be rearranged
  uint64_t fim_seed = 0;
  bool repo_context = false;  // documents are repositories, or large parts of them, and not files
};

// Writes one shard; nothing appears under `path` before commit().
class ShardWriter {
 public:
  ShardWriter(const std::filesystem::path& path, const ShardHeader& header);
  // One document with its control tokens (bos … eos). An id outside [0, vocab_size) is a CHECK failure.
  void add(std::span<const int32_t> tokens, uint64_t text_bytes, bool fim);
  void commit();

 private:
  AtomicFile file_;
  ShardHeader header_;
  size_t width_;  // bytes per token
  std::vector<uint64_t> offsets_{0}, text_bytes_;
  std::vector<uint8_t> flags_;
  std::vector<uint8_t> row_;  // one document in the file's width
  uint32_t tokens_crc_ = 0;
};

// Maps a shard. The constructor reads it once and validates all of it: Error{format} names the file and the section
// that is damaged or cut off, or a format newer than this program. Random access to documents and tokens.
class ShardReader {
 public:
  explicit ShardReader(const std::filesystem::path& path);

  const ShardHeader& header() const { return header_; }
  int64_t documents() const { return documents_; }
  int64_t tokens() const { return static_cast<int64_t>(offset(documents_)); }
  uint64_t text_bytes() const { return text_bytes_total_; }

  int64_t length(int64_t document) const { return static_cast<int64_t>(offset(document + 1) - offset(document)); }
  uint64_t text_bytes(int64_t document) const;
  bool is_fim(int64_t document) const;
  std::vector<int32_t> document(int64_t document) const;
  // out[i] = token `first + i` of the document; it must have them.
  void read(int64_t document, int64_t first, std::span<int32_t> out) const;
  // Tokens in the shortest document; 0 in an empty shard.
  int64_t shortest() const { return shortest_; }
  // sha256 of the index, which holds every section's checksum: a checkpoint names its data by it.
  const std::string& hash() const { return hash_; }

 private:
  uint64_t offset(int64_t document) const;
  const std::byte* section(const Json& index, const char* name, uint64_t expected_bytes);
  int64_t token(int64_t i) const;
  void check_contents();

  std::filesystem::path path_;
  MappedFile file_;
  ShardHeader header_;
  std::string hash_;
  int64_t documents_ = 0, shortest_ = 0;
  uint64_t text_bytes_total_ = 0, sections_end_ = 0;
  size_t width_ = 2;
  const std::byte *tokens_ = nullptr, *offsets_ = nullptr, *bytes_ = nullptr, *flags_ = nullptr;
};

// Throws Error{usage} for a training and a held-out shard that cannot be used together: made with two tokenizers; or,
// where they lie in one folder, of two corpora, as when only one of them was replaced. From two folders a model may
// well be validated on another corpus.
void require_one_corpus(const std::filesystem::path& train, const ShardHeader& train_header,
                        const std::filesystem::path& held_out, const ShardHeader& held_out_header);

}  // namespace ballast
