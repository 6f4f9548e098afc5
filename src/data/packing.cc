#include "data/packing.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"

namespace ballast {
namespace {

// Streams of the generator: an epoch's documents and windows are shuffled independently.
enum class Shuffle : uint64_t { documents = 0, windows = 1 };

std::vector<int64_t> shuffled(int64_t n, uint64_t seed, int64_t epoch, Shuffle what) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng rng(seed, static_cast<uint64_t>(epoch) * 2 + static_cast<uint64_t>(what));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return order;
}

void require_equal(const Json& state, const char* key, const Json& ours) {
  const std::string saved = state.at(key, "data position").dump(), now = ours.dump();
  if (saved != now) {
    fail(ErrorKind::usage, "data position", "it was saved with {} = {}, but this run has {}; resume with the same data",
         key, saved, now);
  }
}

int64_t require_count(const Json& state, const char* key) {
  const int64_t value = state.at(key, "data position").as_int(key);
  if (value < 0) fail(ErrorKind::format, "data position", "{} = {} is negative", key, value);
  return value;
}

}  // namespace

EpochStream::EpochStream(const ShardReader& shard, int64_t seq_len, uint64_t seed, int64_t epoch)
    : shard_(&shard), seq_len_(seq_len) {
  document_order_ = shuffled(shard.documents(), seed, epoch, Shuffle::documents);
  starts_.reserve(document_order_.size() + 1);
  starts_.push_back(0);
  for (const int64_t d : document_order_) starts_.push_back(starts_.back() + shard.length(d));
  window_order_ = shuffled(starts_.back() / seq_len, seed, epoch, Shuffle::windows);
}

void EpochStream::read(int64_t window, std::vector<int32_t>& tokens, std::vector<int64_t>& documents) const {
  const int64_t begin = window * seq_len_, end = std::min(begin + seq_len_ + 2, starts_.back());
  tokens.resize(static_cast<size_t>(end - begin));
  documents.resize(tokens.size());
  auto place = static_cast<int64_t>(std::upper_bound(starts_.begin(), starts_.end(), begin) - starts_.begin()) - 1;
  for (int64_t at = begin; at < end; ++place) {
    const int64_t stop = std::min(end, starts_[place + 1]), n = stop - at, to = at - begin;
    shard_->read(document_order_[place], at - starts_[place], std::span(tokens).subspan(to, n));
    std::fill_n(documents.begin() + to, n, place);
    at = stop;
  }
}

BatchIterator::BatchIterator(const ShardReader& shard, const PackingOptions& options)
    : shard_(shard), options_(options), stream_(shard, options.seq_len, options.seed, 0) {
  CHECK(options.seq_len > 0 && options.batch_size > 0);
  if (stream_.windows() == 0) {
    fail(ErrorKind::usage, "data", "{} tokens are less than one window of {}; give more text or a smaller seq_len",
         shard.tokens(), options.seq_len);
  }
  const int64_t per_window = options.isolate ? options.seq_len / shard.shortest() + 2 : 1;
  segment_capacity_ = options.batch_size * std::min(per_window, options.seq_len);
}

Batch BatchIterator::next() {
  Batch batch(options_.batch_size, options_.seq_len, segment_capacity_);
  for (int64_t row = 0; row < options_.batch_size; ++row) {
    if (window_ == stream_.windows()) {
      stream_ = EpochStream(shard_, options_.seq_len, options_.seed, ++epoch_);
      window_ = 0;
    }
    stream_.read(stream_.window_at(window_++), tokens_, documents_);
    set_row(batch, row, tokens_, documents_, options_.isolate);
  }
  tokens_seen_ += batch.tokens();
  return batch;
}

Json BatchIterator::save() const {
  Json state = Json::object();
  state["shard"] = shard_.hash();
  state["seq_len"] = options_.seq_len;
  state["seed"] = std::to_string(options_.seed);
  state["isolate"] = options_.isolate;
  state["epoch"] = epoch_;
  state["window"] = window_;
  state["tokens_seen"] = tokens_seen_;
  return state;
}

// The batch size is not part of the position: windows are a stream, and a resumed run may take more of them at a time.
void BatchIterator::load(const Json& state) {
  require_equal(state, "shard", shard_.hash());
  require_equal(state, "seq_len", options_.seq_len);
  require_equal(state, "seed", std::to_string(options_.seed));
  require_equal(state, "isolate", options_.isolate);
  const int64_t epoch = require_count(state, "epoch"), window = require_count(state, "window");
  if (window > stream_.windows()) {
    fail(ErrorKind::format, "data position", "window {} of an epoch of {}", window, stream_.windows());
  }
  tokens_seen_ = require_count(state, "tokens_seen");
  stream_ = EpochStream(shard_, options_.seq_len, options_.seed, epoch);
  epoch_ = epoch;
  window_ = window;
}

FixedWindowIterator::FixedWindowIterator(const std::filesystem::path& file, int64_t seq_len, int64_t batch_size,
                                         int64_t vocab_size)
    : path_(file), file_(file), hash_(sha256_hex(file_.bytes())), seq_len_(seq_len), batch_size_(batch_size) {
  CHECK(seq_len > 0 && batch_size > 0);
  const auto bytes = static_cast<int64_t>(file_.bytes().size()), row = seq_len * 2;
  if (bytes == 0 || bytes % row != 0) {
    fail(ErrorKind::format, file.string(), "{} bytes are not whole windows of {} u16 ids ({} bytes each)", bytes,
         seq_len, row);
  }
  windows_ = bytes / row;
  for (int64_t i = 0; i < windows_ * seq_len; ++i) {
    uint16_t id;
    std::memcpy(&id, file_.bytes().data() + i * 2, 2);
    if (id >= vocab_size) {
      fail(ErrorKind::format, file.string(), "id {} at place {} is outside the vocabulary of {}", id, i, vocab_size);
    }
  }
}

Batch FixedWindowIterator::read(int64_t first, int64_t count) const {
  Batch batch(count, seq_len_, count);
  std::vector<int32_t> tokens(static_cast<size_t>(seq_len_));
  const std::vector<int64_t> documents(tokens.size(), 0);
  for (int64_t row = 0; row < count; ++row) {
    const std::byte* from = file_.bytes().data() + (first + row) % windows_ * seq_len_ * 2;
    for (size_t t = 0; t < tokens.size(); ++t) {
      uint16_t id;
      std::memcpy(&id, from + t * 2, 2);
      tokens[t] = id;
    }
    set_row(batch, row, tokens, documents, false);
  }
  return batch;
}

Batch FixedWindowIterator::next() { return read(step_++ * batch_size_ % windows_, batch_size_); }

Json FixedWindowIterator::save() const {
  Json state = Json::object();
  state["windows"] = hash_;
  state["seq_len"] = seq_len_;
  state["batch_size"] = batch_size_;
  state["step"] = step_;
  return state;
}

void FixedWindowIterator::load(const Json& state) {
  require_equal(state, "windows", hash_);
  require_equal(state, "seq_len", seq_len_);
  require_equal(state, "batch_size", batch_size_);
  step_ = require_count(state, "step");
}

}  // namespace ballast
