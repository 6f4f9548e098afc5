#include "eval/ngram.h"

#include <cmath>

#include "base/error.h"

namespace ballast {
namespace {

constexpr int kSymbolBits = 9;
constexpr uint64_t kStart = 256;

// The last n symbols.
uint64_t last(uint64_t symbols, int n) { return symbols & ((uint64_t{1} << (kSymbolBits * n)) - 1); }

}  // namespace

size_t ByteNgram::Table::slot(uint64_t key) const {
  const size_t mask = cells_.size() - 1;
  size_t at = (key * 0x9E3779B97F4A7C15u) >> 20 & mask;
  while (cells_[at].key != 0 && cells_[at].key != key + 1) at = (at + 1) & mask;
  return at;
}

ByteNgram::Cell& ByteNgram::Table::insert(uint64_t key) {
  if (used_ * 2 >= cells_.size()) grow();
  Cell& cell = cells_[slot(key)];
  if (cell.key == 0) {
    cell.key = key + 1;
    ++used_;
  }
  return cell;
}

const ByteNgram::Cell* ByteNgram::Table::find(uint64_t key) const {
  const Cell& cell = cells_[slot(key)];
  return cell.key == 0 ? nullptr : &cell;
}

void ByteNgram::Table::grow() {
  std::vector<Cell> old(cells_.size() * 2);
  old.swap(cells_);
  for (const Cell& cell : old) {
    if (cell.key != 0) cells_[slot(cell.key - 1)] = cell;
  }
}

ByteNgram::ByteNgram(int order) : order_(order), start_(0), grams_(order + 1), contexts_(order + 1) {
  CHECK(order >= 1 && order * kSymbolBits < 64);
  for (int i = 1; i < order; ++i) start_ = start_ << kSymbolBits | kStart;
}

void ByteNgram::add(std::string_view document) {
  CHECK(discounts_.empty());
  uint64_t history = start_;
  for (const char c : document) {
    const uint64_t gram = history << kSymbolBits | static_cast<unsigned char>(c);
    ++grams_[order_].insert(gram).count;
    history = last(gram, order_ - 1);
  }
}

void ByteNgram::finish() {
  for (int n = order_ - 1; n >= 1; --n) {  // counts of distinct left neighbours
    for (const Cell& cell : grams_[n + 1].cells()) {
      if (cell.key != 0) ++grams_[n].insert(last(cell.key - 1, n)).count;
    }
  }
  discounts_.assign(order_ + 1, 0);
  for (int n = 1; n <= order_; ++n) {
    double once = 0, twice = 0;
    for (const Cell& cell : grams_[n].cells()) {
      if (cell.key == 0) continue;
      once += cell.count == 1;
      twice += cell.count == 2;
      Cell& context = contexts_[n].insert((cell.key - 1) >> kSymbolBits);
      context.count += cell.count;
      ++context.types;
    }
    // Too little text to estimate a discount: the usual half.
    discounts_[n] = once > 0 && twice > 0 ? once / (once + 2 * twice) : 0.5;
  }
}

double ByteNgram::probability_of(uint64_t history, uint8_t byte) const {
  double p = 1.0 / 256;
  for (int n = 1; n <= order_; ++n) {
    const uint64_t before = last(history, n - 1);
    const Cell* context = contexts_[n].find(before);
    if (context == nullptr) break;  // then longer ones are unknown too
    const Cell* gram = grams_[n].find(before << kSymbolBits | byte);
    const double count = gram == nullptr ? 0 : gram->count - discounts_[n];
    p = (count + discounts_[n] * context->types * p) / context->count;
  }
  return p;
}

double ByteNgram::probability(std::string_view before, uint8_t byte) const {
  uint64_t history = start_;
  for (const char c : before) history = last(history << kSymbolBits | static_cast<unsigned char>(c), order_ - 1);
  return probability_of(history, byte);
}

double ByteNgram::bits(std::string_view document) const {
  CHECK(!discounts_.empty());
  double bits = 0;
  uint64_t history = start_;
  for (const char c : document) {
    bits -= std::log2(probability_of(history, static_cast<unsigned char>(c)));
    history = last(history << kSymbolBits | static_cast<unsigned char>(c), order_ - 1);
  }
  return bits;
}

}  // namespace ballast
