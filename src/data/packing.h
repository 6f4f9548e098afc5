// Packing: documents become windows of seq_len tokens. Per epoch the documents are put in a seeded order and
// concatenated; the stream is cut into windows; the windows are put in a second seeded order, because neighbours are
// often of one file and a batch should not be. What is left at the stream's end, less than a window and of other
// documents in every epoch, is not used in that epoch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "data/batch.h"
#include "data/shards.h"

namespace ballast {

struct PackingOptions {
  int64_t seq_len = 512;
  int64_t batch_size = 8;  // windows
  uint64_t seed = 0;
  bool isolate = true;  // documents of one window do not see each other, and no target crosses their border
};

// One epoch's stream. A pure function of the shard, seq_len, seed and epoch.
class EpochStream {
 public:
  EpochStream(const ShardReader& shard, int64_t seq_len, uint64_t seed, int64_t epoch);

  int64_t windows() const { return static_cast<int64_t>(window_order_.size()); }
  // The window at place `i` of the epoch's order, as an index into the stream.
  int64_t window_at(int64_t i) const { return window_order_[i]; }
  // The window's tokens and up to two more, and for each the place of its document in document_order().
  void read(int64_t window, std::vector<int32_t>& tokens, std::vector<int64_t>& documents) const;
  const std::vector<int64_t>& document_order() const { return document_order_; }

 private:
  const ShardReader* shard_;
  int64_t seq_len_;
  std::vector<int64_t> document_order_,
      starts_;  // starts_[i]: where document_order_[i] begins in the stream; and the end
  std::vector<int64_t> window_order_;
};

// Batches of a shard, for ever: after the last window of an epoch comes the first of the next, within a batch if need
// be. The shard must outlive it. Throws Error{usage} where the shard has less than one window.
class BatchIterator : public BatchSource {
 public:
  BatchIterator(const ShardReader& shard, const PackingOptions& options);

  Batch next() override;
  BatchShape shape() const override { return {options_.batch_size, options_.seq_len, segment_capacity_}; }
  int64_t tokens_seen() const override { return tokens_seen_; }
  Json save() const override;
  void load(const Json& state) override;

  int64_t epoch() const { return epoch_; }
  int64_t windows_per_epoch() const { return stream_.windows(); }

 private:
  const ShardReader& shard_;
  PackingOptions options_;
  int64_t segment_capacity_;
  int64_t epoch_ = 0, window_ = 0, tokens_seen_ = 0;
  EpochStream stream_;
  std::vector<int32_t> tokens_;
  std::vector<int64_t> documents_;
};

// Batches of a file of windows that somebody else packed: raw little-endian u16, seq_len ids each. Step s takes windows
// batch_size * s and on, from the front again after the last. One segment per window; a window's last token has no
// target. Throws Error{format} for a file that is not whole windows or has an id outside the vocabulary.
class FixedWindowIterator : public BatchSource {
 public:
  FixedWindowIterator(const std::filesystem::path& file, int64_t seq_len, int64_t batch_size, int64_t vocab_size);

  Batch next() override;
  BatchShape shape() const override { return {batch_size_, seq_len_, batch_size_}; }
  int64_t tokens_seen() const override { return step_ * batch_size_ * seq_len_; }
  Json save() const override;
  void load(const Json& state) override;

  int64_t windows() const { return windows_; }
  // Windows first .. first + count - 1 (modulo the file), without moving.
  Batch read(int64_t first, int64_t count) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::string hash_;
  int64_t seq_len_, batch_size_, windows_ = 0, step_ = 0;
};

}  // namespace ballast
