#include "data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "data/test_shard.h"

namespace ballast {
namespace {

class PackingTest : public FolderTest {
 protected:
  ShardReader shard(int documents, uint64_t longest, uint64_t seed = 5) {
    Rng rng(seed);
    std::vector<std::string> texts;
    for (int d = 0; d < documents; ++d) texts.push_back(random_text(rng, longest));
    return write_shard(folder / "s.shard", texts);
  }
};

void expect_shape(BatchSource& source) {
  const BatchShape known = source.shape(), got = source.next();
  EXPECT_EQ(known.rows, got.rows);
  EXPECT_EQ(known.seq_len, got.seq_len);
  EXPECT_EQ(known.segments, got.segments);
}

TEST_F(PackingTest, TheShapeIsKnownBeforeABatch) {
  const ShardReader reader = shard(60, 40);
  for (const bool isolate : {true, false}) {
    BatchIterator batches(reader, {7, 3, 0, isolate});
    expect_shape(batches);
  }
  write_file_atomic(folder / "w.u16", std::string(2 * 7 * 5, '\1'));
  FixedWindowIterator windows(folder / "w.u16", 7, 3, 300);
  expect_shape(windows);
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.targets, b.targets);
  EXPECT_EQ(a.mtp_targets, b.mtp_targets);
  EXPECT_EQ(a.positions, b.positions);
  EXPECT_EQ(a.segment_offsets, b.segment_offsets);
  EXPECT_EQ(a.segments, b.segments);
  EXPECT_EQ(a.n_valid, b.n_valid);
  EXPECT_EQ(a.n_valid_mtp, b.n_valid_mtp);
}

TEST_F(PackingTest, WindowsOfAnEpochAreTheDocuments) {
  const ShardReader reader = shard(60, 40);
  for (const int64_t seq_len : {1, 7, 16, 300}) {
    const EpochStream epoch(reader, seq_len, 9, 2);
    std::vector<int32_t> stream, all, tokens;
    std::vector<int64_t> documents;
    for (const int64_t d : epoch.document_order()) {
      const auto ids = reader.document(d);
      all.insert(all.end(), ids.begin(), ids.end());
    }
    ASSERT_EQ(epoch.windows(), static_cast<int64_t>(all.size()) / seq_len);
    std::set<int64_t> seen;
    for (int64_t i = 0; i < epoch.windows(); ++i) seen.insert(epoch.window_at(i));
    EXPECT_EQ(static_cast<int64_t>(seen.size()), epoch.windows());
    for (int64_t w = 0; w < epoch.windows(); ++w) {
      epoch.read(w, tokens, documents);
      stream.insert(stream.end(), tokens.begin(), tokens.begin() + seq_len);
    }
    all.resize(stream.size());
    EXPECT_EQ(stream, all);
    std::set<int64_t> order(epoch.document_order().begin(), epoch.document_order().end());
    EXPECT_EQ(static_cast<int64_t>(order.size()), reader.documents());
  }
}

// The definition, written a second time and slowly: what may token t of a window predict?
TEST_F(PackingTest, TargetsPositionsAndSegmentsFollowTheDefinition) {
  const ShardReader reader = shard(80, 12);
  const int64_t T = 16;
  for (const bool isolate : {true, false}) {
    const EpochStream epoch(reader, T, 3, 0);
    std::vector<std::pair<int32_t, int64_t>> stream;  // token, document
    for (const int64_t d : epoch.document_order()) {
      for (const int32_t id : reader.document(d)) stream.push_back({id, d});
    }
    BatchIterator batches(reader, {.seq_len = T, .batch_size = 1, .seed = 3, .isolate = isolate});
    for (int64_t i = 0; i < epoch.windows(); ++i) {
      const Batch b = batches.next();
      const int64_t base = epoch.window_at(i) * T;
      int64_t segments = 0, valid = 0, valid_mtp = 0;
      for (int64_t t = 0, position = 0; t < T; ++t, ++position) {
        const auto at = static_cast<size_t>(base + t);
        const auto ahead = [&](size_t by) {
          if (at + by >= stream.size()) return -1;
          return !isolate || stream[at + by].second == stream[at].second ? stream[at + by].first : -1;
        };
        if (t == 0 || (isolate && stream[at].second != stream[at - 1].second)) {
          EXPECT_EQ(b.segment_offsets[segments++], t);
          position = 0;
        }
        EXPECT_EQ(b.ids[t], stream[at].first);
        EXPECT_EQ(b.targets[t], ahead(1));
        EXPECT_EQ(b.mtp_targets[t], ahead(2));
        EXPECT_EQ(b.positions[t], position);
        if (isolate && b.ids[t] == 1) {
          EXPECT_EQ(b.targets[t], -1) << "eos predicts nothing";
        }
        valid += ahead(1) >= 0;
        valid_mtp += ahead(2) >= 0;
      }
      EXPECT_EQ(b.segments, segments);
      for (size_t s = segments; s < b.segment_offsets.size(); ++s) EXPECT_EQ(b.segment_offsets[s], T);
      EXPECT_EQ(b.n_valid, valid);
      EXPECT_EQ(b.n_valid_mtp, valid_mtp);
    }
  }
}

TEST_F(PackingTest, ManyTinyDocumentsFitTheSegmentCapacity) {
  const ShardReader reader = shard(400, 0);  // bos eos each
  BatchIterator batches(reader, {.seq_len = 9, .batch_size = 3});
  const size_t capacity = batches.next().segment_offsets.size();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(batches.next().segment_offsets.size(), capacity);
}

TEST_F(PackingTest, GoesOnIntoTheNextEpochInAnotherOrder) {
  const ShardReader reader = shard(50, 30);
  BatchIterator batches(reader, {.seq_len = 16, .batch_size = 4, .seed = 1});
  const int64_t windows = batches.windows_per_epoch();
  std::vector<std::vector<int32_t>> rows;
  while (static_cast<int64_t>(rows.size()) < 3 * windows) {
    const Batch b = batches.next();
    for (int64_t r = 0; r < 4; ++r) rows.emplace_back(b.ids.begin() + r * 16, b.ids.begin() + (r + 1) * 16);
  }
  EXPECT_EQ(batches.tokens_seen(), static_cast<int64_t>(rows.size()) * 16);
  EXPECT_GE(batches.epoch(), 2);
  EXPECT_FALSE(std::equal(rows.begin(), rows.begin() + windows, rows.begin() + windows));
}

TEST_F(PackingTest, SavedHalfwayEqualsUninterrupted) {
  const ShardReader reader = shard(30, 30);
  for (const bool isolate : {true, false}) {
    const PackingOptions options{.seq_len = 16, .batch_size = 4, .seed = 4, .isolate = isolate};
    BatchIterator whole(reader, options);
    for (int i = 0; i < 40; ++i) {
      const Json before = whole.save();
      const Batch expected = whole.next();
      BatchIterator again(reader, options);
      again.load(Json::parse(before.dump()));
      EXPECT_EQ(again.tokens_seen() + expected.tokens(), whole.tokens_seen());
      expect_equal(again.next(), expected);
      EXPECT_EQ(again.save().dump(), whole.save().dump());
    }
    EXPECT_LT(whole.save().dump().size(), 300u);
  }
}

TEST_F(PackingTest, PositionOfOtherDataIsRefused) {
  const ShardReader reader = shard(30, 30);
  BatchIterator batches(reader, {.seq_len = 16, .seed = 4});
  const Json state = batches.save();
  EXPECT_NE(error_text(ErrorKind::usage, [&] { BatchIterator(reader, {.seq_len = 32, .seed = 4}).load(state); })
                .find("seq_len = 16"),
            std::string::npos);
  EXPECT_NE(
      error_text(ErrorKind::usage, [&] { BatchIterator(reader, {.seq_len = 16, .seed = 5}).load(state); }).find("seed"),
      std::string::npos);
  const ShardReader other = shard(30, 30, 6);
  EXPECT_NE(
      error_text(ErrorKind::usage, [&] { BatchIterator(other, {.seq_len = 16, .seed = 4}).load(state); }).find("shard"),
      std::string::npos);
}

TEST_F(PackingTest, TooLittleTextIsRefused) {
  const ShardReader reader = write_shard(folder / "s.shard", {"abc"});
  EXPECT_NE(error_text(ErrorKind::usage, [&] { BatchIterator(reader, {.seq_len = 6}); }).find("5 tokens"),
            std::string::npos);
  EXPECT_NO_THROW(BatchIterator(reader, {.seq_len = 5}));
}

TEST_F(PackingTest, FixedWindowsWrapAround) {
  const std::filesystem::path file = folder / "w.u16";
  std::string raw;
  for (int i = 0; i < 5 * 4; ++i) raw += {static_cast<char>(i), static_cast<char>(1)};
  write_file_atomic(file, raw);
  FixedWindowIterator windows(file, 4, 2, 512);
  EXPECT_EQ(windows.windows(), 5);
  std::vector<int> first;
  Json state;
  for (int step = 0; step < 6; ++step) {
    if (step == 3) state = windows.save();
    const Batch b = windows.next();
    EXPECT_EQ(b.targets[3], -1);
    EXPECT_EQ(b.targets[0], b.ids[1]);
    EXPECT_EQ(b.mtp_targets[1], b.ids[3]);
    EXPECT_EQ(b.mtp_targets[2], -1);
    EXPECT_EQ(b.n_valid, 6);
    EXPECT_EQ(b.n_valid_mtp, 4);
    EXPECT_EQ(b.segment_offsets, (std::vector<int32_t>{0, 4, 8}));
    first.push_back((b.ids[0] - 256) / 4);
    first.push_back((b.ids[4] - 256) / 4);
  }
  EXPECT_EQ(first, (std::vector<int>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1}));
  EXPECT_EQ(windows.tokens_seen(), 48);
  FixedWindowIterator other(file, 4, 2, 512);
  other.load(state);
  EXPECT_EQ(other.next().ids[0], 256 + 4);
  error_text(ErrorKind::format, [&] { FixedWindowIterator(file, 3, 2, 512); });
  EXPECT_NE(error_text(ErrorKind::format, [&] { FixedWindowIterator(file, 4, 2, 275); }).find("id 275 at place 19"),
            std::string::npos);
}

}  // namespace
}  // namespace ballast
