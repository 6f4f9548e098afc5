// One training step's tokens, and the interface of what produces them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/json.h"

namespace ballast {

// `rows` windows of `seq_len` tokens, row after row; T = rows * seq_len. A segment is a run of tokens of one row that
// attend to each other: with isolation a document's part in the window, without it the whole window.
struct Batch {
  Batch() = default;
  // No tokens yet; all targets -1. segment_capacity: the most segments that this source can ever give.
  Batch(int64_t rows, int64_t seq_len, int64_t segment_capacity);

  int64_t rows = 0, seq_len = 0;
  std::vector<int32_t> ids;        // (T)
  std::vector<int32_t> targets;    // (T): the next token, -1 where there is none to predict
  std::vector<int32_t> positions;  // (T): from 0 at the start of a segment
  // (T): the token after the next, -1 where it is not of the same document (without isolation: of the stream).
  // A multi-token-prediction module of depth 1 reads mtp_ids() beside the hidden states and predicts these
  // (DeepSeek-V3, arXiv 2412.19437, eq. 21-24).
  std::vector<int32_t> mtp_targets;
  const std::vector<int32_t>& mtp_ids() const { return targets; }  // the next token, -1 where there is none

  // (capacity + 1): segment s is [segment_offsets[s], segment_offsets[s + 1]); segments beyond `segments` are empty,
  // so that the array's size never changes.
  std::vector<int32_t> segment_offsets;
  int64_t segments = 0;
  int64_t n_valid = 0, n_valid_mtp = 0;  // targets that are not -1

  int64_t tokens() const { return rows * seq_len; }
};

// What is known of a source's batches before any is read.
struct BatchShape {
  BatchShape() = default;
  BatchShape(int64_t rows, int64_t seq_len, int64_t segments) : rows(rows), seq_len(seq_len), segments(segments) {}
  BatchShape(const Batch& b) : BatchShape(b.rows, b.seq_len, static_cast<int64_t>(b.segment_offsets.size()) - 1) {}
  int64_t rows = 0, seq_len = 0;
  int64_t segments = 0;  // the capacity
  int64_t tokens() const { return rows * seq_len; }
};

// Writes row `row` of the batch and its segments; rows are given in order. `tokens` holds the window and up to two
// tokens that follow it; `documents` says which document each is of. A target is predicted where both tokens are of one
// document, or anywhere when not isolated.
void set_row(Batch& batch, int64_t row, std::span<const int32_t> tokens, std::span<const int64_t> documents,
             bool isolate);

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual Batch next() = 0;
  virtual BatchShape shape() const = 0;
  virtual int64_t tokens_seen() const = 0;  // by all calls of next(), also those before load()
  // The position, of constant size. load() of it on a source with the same data and options makes next() go on exactly
  // there; anything else throws Error{usage} that names what differs.
  virtual Json save() const = 0;
  virtual void load(const Json& state) = 0;
};

}  // namespace ballast
