// Byte-pair encoding of one piece (Sennrich et al. 2016, on bytes as in GPT-2): start from bytes, then again and again
// join the neighbouring pair of the lowest rank, the leftmost first.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ballast {

class Bpe {
 public:
  struct Scratch {
    std::vector<int32_t> ids, next, previous;
    std::vector<uint64_t> heap;
  };

  // byte_ids: the token of each byte, -1 where there is none. merges and results by rank. A pair listed twice counts
  // with its last rank. whole: pieces that are one token without merging (ignore_merges), usually empty.
  Bpe(const std::array<int32_t, 256>& byte_ids, const std::vector<std::pair<int32_t, int32_t>>& merges,
      const std::vector<int32_t>& results, std::unordered_map<std::string, int32_t> whole);

  // Appends the ids of `piece`. A byte without a token (it can only be one that is not UTF-8) becomes those of U+FFFD.
  void encode(std::string_view piece, std::vector<int32_t>& out, Scratch& scratch) const;

 private:
  struct Merge {
    uint64_t pair = ~uint64_t{0};
    int32_t rank = -1, result = -1;
  };
  const Merge* find(int32_t left, int32_t right) const;
  void merge_short(std::vector<int32_t>& ids) const;
  void merge_long(Scratch& scratch) const;

  std::array<int32_t, 256> byte_ids_;
  std::vector<Merge> table_;  // open addressing, a power of two long
  uint64_t mask_ = 0;
  std::unordered_map<std::string, int32_t> whole_;
};

// The ids of pieces met before: most pieces of a text are words that it repeats. Direct-mapped, so it is bounded and a
// look-up touches one cache line.
class PieceCache {
 public:
  PieceCache() : slots_(kSlots) {}
  // Appends the ids of `piece`, asking `bpe` where they are not known.
  void encode(std::string_view piece, const Bpe& bpe, std::vector<int32_t>& out, Bpe::Scratch& scratch);

 private:
  static constexpr size_t kSlots = 1 << 14, kLongest = 30, kMostIds = 8;  // 1 MiB: it should live in the second level
  struct alignas(64) Slot {
    uint8_t length = 0, count = 0;
    char text[kLongest] = {};
    int32_t ids[kMostIds];
  };
  static_assert(sizeof(Slot) == 64);
  std::vector<Slot> slots_;
};

}  // namespace ballast
