#include "data/corpus/near_duplicates.h"

#include <algorithm>
#include <limits>

namespace ballast {
namespace {

constexpr int kHashes = kMinHashBands * kMinHashRows;
// Files that share a band are mutually dissimilar once they are kept; a longer chain than this is boilerplate.
constexpr int kLongestChain = 256;

uint64_t mix(uint64_t x) {  // the finalizer of MurmurHash3
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDull;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ull;
  return x ^ (x >> 33);
}

// Multiply-shift (Dietzfelbinger et al. 1997): odd random multipliers and offsets.
struct Functions {
  std::array<uint64_t, kHashes> a, b;
  Functions() {
    for (size_t i = 0; i < kHashes; ++i) {
      a[i] = mix(2 * i + 1) | 1;
      b[i] = mix(2 * i + 2);
    }
  }
};

}  // namespace

std::vector<uint64_t> line_set(std::string_view text) {
  std::vector<uint64_t> lines;
  uint64_t hash = 0;
  bool empty = true;
  for (const char c : text) {
    if (c == '\n') {
      if (!empty) lines.push_back(mix(hash));
      hash = 0;
      empty = true;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v') {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull + 0x9E3779B97F4A7C15ull;
      empty = false;
    }
  }
  if (!empty) lines.push_back(mix(hash));
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return lines;
}

double jaccard(std::span<const uint64_t> a, std::span<const uint64_t> b) {
  size_t both = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    both += a[i] == b[j];
    const bool step_a = a[i] <= b[j], step_b = b[j] <= a[i];
    i += step_a;
    j += step_b;
  }
  const size_t all = a.size() + b.size() - both;
  return all == 0 ? 0 : static_cast<double>(both) / static_cast<double>(all);
}

MinHash min_hash(std::span<const uint64_t> lines) {
  static const Functions f;
  std::array<uint32_t, kHashes> least;
  least.fill(std::numeric_limits<uint32_t>::max());
  for (const uint64_t line : lines) {
    const uint64_t x = line >> 32;
    for (size_t i = 0; i < kHashes; ++i) {
      least[i] = std::min(least[i], static_cast<uint32_t>((f.a[i] * x + f.b[i]) >> 32));
    }
  }
  MinHash out;
  for (size_t i = 0; i < kHashes; ++i) out.signature[i] = static_cast<uint8_t>(mix(least[i]));
  for (size_t band = 0; band < kMinHashBands; ++band) {
    uint64_t key = band;
    for (size_t row = 0; row < kMinHashRows; ++row) key = mix(key ^ least[band * kMinHashRows + row]);
    out.band[band] = static_cast<uint32_t>(key);
  }
  return out;
}

double estimated_jaccard(const MinHash& a, const MinHash& b) {
  int equal = 0;
  for (size_t i = 0; i < kHashes; ++i) equal += a.signature[i] == b.signature[i];
  const double chance = 1.0 / 256;  // that eight bits agree where the minima do not
  return (static_cast<double>(equal) / kHashes - chance) / (1 - chance);
}

NearDuplicateIndex::NearDuplicateIndex(const std::vector<MinHash>& hashes) : hashes_(hashes), heads_(1 << 12) {}

void NearDuplicateIndex::grow() {
  heads_.assign(heads_.size() * 2, 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    uint32_t& head = heads_[entries_[i].key & (heads_.size() - 1)];
    entries_[i].next = head;
    head = static_cast<uint32_t>(i) + 1;
  }
}

void NearDuplicateIndex::add(uint32_t file) {
  if (entries_.size() + kMinHashBands > heads_.size()) grow();
  for (int band = 0; band < kMinHashBands; ++band) {
    const uint32_t key = key_of(band, hashes_[file].band[static_cast<size_t>(band)]);
    uint32_t& head = heads_[key & (heads_.size() - 1)];
    entries_.push_back({key, file, head});
    head = static_cast<uint32_t>(entries_.size());
  }
}

std::vector<uint32_t> NearDuplicateIndex::candidates(const MinHash& hash, double least, size_t most) const {
  std::vector<uint32_t> files;
  for (int band = 0; band < kMinHashBands; ++band) {
    const uint32_t key = key_of(band, hash.band[static_cast<size_t>(band)]);
    int steps = 0;
    for (uint32_t at = heads_[key & (heads_.size() - 1)]; at != 0 && steps < kLongestChain;
         at = entries_[at - 1].next) {
      if (entries_[at - 1].key != key) continue;
      files.push_back(entries_[at - 1].file);
      ++steps;
    }
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  std::vector<std::pair<double, uint32_t>> alike;
  for (const uint32_t file : files) {
    const double estimate = estimated_jaccard(hash, hashes_[file]);
    if (estimate >= least) alike.push_back({-estimate, file});
  }
  std::sort(alike.begin(), alike.end());
  if (alike.size() > most) alike.resize(most);
  files.clear();
  for (const auto& [estimate, file] : alike) files.push_back(file);
  return files;
}

}  // namespace ballast
