#include "data/batch.h"

#include "base/error.h"

namespace ballast {

Batch::Batch(int64_t rows, int64_t seq_len, int64_t segment_capacity)
    : rows(rows),
      seq_len(seq_len),
      ids(rows * seq_len, -1),
      targets(rows * seq_len, -1),
      positions(rows * seq_len, 0),
      mtp_targets(rows * seq_len, -1),
      segment_offsets(segment_capacity + 1, static_cast<int32_t>(rows * seq_len)) {
  segment_offsets[0] = 0;
}

void set_row(Batch& batch, int64_t row, std::span<const int32_t> tokens, std::span<const int64_t> documents,
             bool isolate) {
  const auto n = static_cast<size_t>(batch.seq_len);
  CHECK(tokens.size() >= n && documents.size() == tokens.size());
  const size_t base = static_cast<size_t>(row) * n;
  const auto follows = [&](size_t t, size_t by) {
    return t + by < tokens.size() && (!isolate || documents[t + by] == documents[t]);
  };
  size_t start = 0;
  for (size_t t = 0; t < n; ++t) {
    if (t == 0 || (isolate && documents[t] != documents[t - 1])) {
      start = t;
      CHECK(batch.segments + 1 < static_cast<int64_t>(batch.segment_offsets.size()));
      batch.segment_offsets[batch.segments++] = static_cast<int32_t>(base + t);
    }
    batch.ids[base + t] = tokens[t];
    batch.positions[base + t] = static_cast<int32_t>(t - start);
    if (follows(t, 1)) {
      batch.targets[base + t] = tokens[t + 1];
      ++batch.n_valid;
    }
    if (follows(t, 2)) {
      batch.mtp_targets[base + t] = tokens[t + 2];
      ++batch.n_valid_mtp;
    }
  }
}

}  // namespace ballast
