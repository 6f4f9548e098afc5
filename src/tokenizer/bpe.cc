#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "base/error.h"

namespace ballast {
namespace {

constexpr size_t kShort = 40;  // up to here scanning all pairs for the best one beats a heap

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

uint64_t mix(uint64_t x) {
  x *= 0x9E3779B97F4A7C15;
  return x ^ x >> 29;
}

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids, const std::vector<std::pair<int32_t, int32_t>>& merges,
         const std::vector<int32_t>& results, std::unordered_map<std::string, int32_t> whole)
    : byte_ids_(byte_ids), whole_(std::move(whole)) {
  CHECK(merges.size() == results.size());
  table_.resize(std::bit_ceil(2 * merges.size() + 2));
  mask_ = table_.size() - 1;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    if (results[rank] < 0) continue;  // a merge that must not happen
    const uint64_t pair = key_of(merges[rank].first, merges[rank].second);
    uint64_t i = mix(pair) & mask_;
    while (table_[i].rank >= 0 && table_[i].pair != pair) i = (i + 1) & mask_;
    table_[i] = {pair, static_cast<int32_t>(rank), results[rank]};
  }
}

const Bpe::Merge* Bpe::find(int32_t left, int32_t right) const {
  const uint64_t pair = key_of(left, right);
  for (uint64_t i = mix(pair) & mask_; table_[i].rank >= 0; i = (i + 1) & mask_)
    if (table_[i].pair == pair) return &table_[i];
  return nullptr;
}

void Bpe::merge_short(std::vector<int32_t>& ids) const {
  const Merge* pairs[kShort];
  size_t n = ids.size();
  for (size_t i = 0; i + 1 < n; ++i) pairs[i] = find(ids[i], ids[i + 1]);
  while (n > 1) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; ++i) {
      if (pairs[i] && (!best || pairs[i]->rank < best->rank)) {
        best = pairs[i];
        at = i;
      }
    }
    if (!best) break;
    ids[at] = best->result;
    for (size_t i = at + 1; i + 1 < n; ++i) {
      ids[i] = ids[i + 1];
      pairs[i - 1] = pairs[i];
    }
    --n;
    pairs[at] = at + 1 < n ? find(ids[at], ids[at + 1]) : nullptr;
    if (at > 0) pairs[at - 1] = find(ids[at - 1], ids[at]);
  }
  ids.resize(n);
}

// A linked list of symbols and a heap of (rank, position). Stale entries are recognized because the pair that now
// stands at their position has another rank. O(n log n): a megabyte of one character must not take hours.
void Bpe::merge_long(Scratch& s) const {
  const auto n = static_cast<int32_t>(s.ids.size());
  s.next.resize(n);
  s.previous.resize(n);
  s.heap.clear();
  const auto entry = [](int32_t rank, int32_t at) {
    return uint64_t{static_cast<uint32_t>(rank)} << 32 | static_cast<uint32_t>(at);
  };
  for (int32_t i = 0; i < n; ++i) {
    s.next[i] = i + 1 < n ? i + 1 : -1;
    s.previous[i] = i - 1;
    if (i + 1 < n)
      if (const Merge* merge = find(s.ids[i], s.ids[i + 1])) s.heap.push_back(entry(merge->rank, i));
  }
  std::make_heap(s.heap.begin(), s.heap.end(), std::greater<>());
  const auto push = [&](int32_t left) {
    if (left < 0 || s.next[left] < 0) return;
    if (const Merge* merge = find(s.ids[left], s.ids[s.next[left]])) {
      s.heap.push_back(entry(merge->rank, left));
      std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    }
  };
  while (!s.heap.empty()) {
    const auto rank = static_cast<int32_t>(s.heap.front() >> 32), at = static_cast<int32_t>(s.heap.front());
    std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    s.heap.pop_back();
    const int32_t right = s.ids[at] < 0 ? -1 : s.next[at];
    if (right < 0) continue;
    const Merge* merge = find(s.ids[at], s.ids[right]);
    if (!merge || merge->rank != rank) continue;
    s.ids[at] = merge->result;
    s.ids[right] = -1;
    s.next[at] = s.next[right];
    if (s.next[at] >= 0) s.previous[s.next[at]] = at;
    push(s.previous[at]);
    push(at);
  }
  std::erase(s.ids, -1);
}

void Bpe::encode(std::string_view piece, std::vector<int32_t>& out, Scratch& scratch) const {
  if (!whole_.empty()) {
    const auto token = whole_.find(std::string(piece));
    if (token != whole_.end()) {
      out.push_back(token->second);
      return;
    }
  }
  scratch.ids.clear();
  for (const char c : piece) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
    if (id >= 0) {
      scratch.ids.push_back(id);
    } else {
      for (const uint8_t b : {0xEF, 0xBF, 0xBD}) scratch.ids.push_back(byte_ids_[b]);
    }
  }
  if (scratch.ids.size() <= kShort) {
    merge_short(scratch.ids);
  } else {
    merge_long(scratch);
  }
  out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
}

void PieceCache::encode(std::string_view piece, const Bpe& bpe, std::vector<int32_t>& out, Bpe::Scratch& scratch) {
  if (piece.size() > kLongest) return bpe.encode(piece, out, scratch);
  uint64_t hash = piece.size();
  size_t i = 0;
  for (; i + 8 <= piece.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, piece.data() + i, 8);
    hash = mix(hash ^ word);
  }
  uint64_t tail = 0;
  for (; i < piece.size(); ++i) tail = tail << 8 | static_cast<uint8_t>(piece[i]);
  hash = mix(mix(hash ^ tail));
  Slot& slot = slots_[hash >> 50];
  static_assert(kSlots == size_t{1} << (64 - 50));
  if (slot.length == piece.size() && std::memcmp(slot.text, piece.data(), piece.size()) == 0) {
    out.insert(out.end(), slot.ids, slot.ids + slot.count);
    return;
  }
  const size_t before = out.size();
  bpe.encode(piece, out, scratch);
  const size_t count = out.size() - before;
  if (count > kMostIds) return;
  slot.length = static_cast<uint8_t>(piece.size());
  slot.count = static_cast<uint8_t>(count);
  std::memcpy(slot.text, piece.data(), piece.size());
  std::copy(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), slot.ids);
}

}  // namespace ballast
