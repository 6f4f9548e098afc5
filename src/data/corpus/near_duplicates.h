// Files that are nearly the same: Jaccard similarity of their sets of lines, blanks left out. MinHash signatures with
// bands (Broder, "On the resemblance and containment of documents", 1997; Leskovec et al., "Mining of Massive
// Datasets", chapter 3) find the candidates; the exact similarity decides.
//
// 20 bands of 5 rows: a pair at similarity 0.75 is a candidate with probability 0.995, at 0.8 with 0.9996. What a file
// costs in memory is its signature (180 bytes) and, while it is kept, 20 entries of the index.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ballast {

inline constexpr int kMinHashBands = 20, kMinHashRows = 5;

// Hashes of the lines without any blanks, sorted, each once; lines with nothing but blanks are left out.
std::vector<uint64_t> line_set(std::string_view text);

// |a and b| / |a or b| of two sorted sets; 0 for two empty ones.
double jaccard(std::span<const uint64_t> a, std::span<const uint64_t> b);

struct MinHash {
  std::array<uint8_t, kMinHashBands * kMinHashRows> signature{};  // the low bits of each minimum: for the estimate
  std::array<uint32_t, kMinHashBands> band{};                     // hash of the rows of each band
};
MinHash min_hash(std::span<const uint64_t> lines);

// The estimate of jaccard() from two signatures; its standard error at 0.75 is 0.043.
double estimated_jaccard(const MinHash& a, const MinHash& b);

// Finds files that share a band. Files are numbers; `hashes[file]` must stay as it was when the file was added.
class NearDuplicateIndex {
 public:
  explicit NearDuplicateIndex(const std::vector<MinHash>& hashes);
  void add(uint32_t file);
  // The files added before whose estimate is at least `least`, the most similar first, `most` of them at most.
  std::vector<uint32_t> candidates(const MinHash& hash, double least, size_t most) const;

 private:
  struct Entry {
    uint32_t key, file, next;  // next: index + 1 in entries_, 0 at the end
  };
  static uint32_t key_of(int band, uint32_t value) {
    return value * 0x9E3779B1u + static_cast<uint32_t>(band) * 0x85EBCA6Bu;
  }
  void grow();

  const std::vector<MinHash>& hashes_;
  std::vector<uint32_t> heads_;  // a power of two of them; index + 1 in entries_
  std::vector<Entry> entries_;
};

}  // namespace ballast
