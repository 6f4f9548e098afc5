// A byte n-gram model with interpolated Kneser-Ney smoothing (Kneser and Ney 1995; interpolated form and discounts of
// Chen and Goodman 1998, eq. 26): the trivial rival that a language model has to beat before it is called one.
//
//   p_n(b | c) = max(count(c b) - D_n, 0) / count(c) + D_n types(c) / count(c) * p_{n-1}(b | c without its first byte)
//
// count is of occurrences at the highest order and of distinct left neighbours below it; D_n = n1 / (n1 + 2 n2);
// p_0 is 1/256. Every document starts with order - 1 start marks, so contexts never reach into another document.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ballast {

class ByteNgram {
 public:
  explicit ByteNgram(int order);  // 1 to 7

  void add(std::string_view document);  // before finish()
  void finish();

  // -log2 p of all bytes of a document.
  double bits(std::string_view document) const;
  // p(byte | the last order - 1 bytes of `before`, which begins the document).
  double probability(std::string_view before, uint8_t byte) const;

 private:
  struct Cell {
    uint64_t key = 0;  // 1 + the symbols, 9 bits each; 0: free
    uint32_t count = 0, types = 0;
  };
  class Table {  // open addressing, a power of two long
   public:
    Cell& insert(uint64_t key);
    const Cell* find(uint64_t key) const;
    const std::vector<Cell>& cells() const { return cells_; }

   private:
    size_t slot(uint64_t key) const;
    void grow();
    std::vector<Cell> cells_ = std::vector<Cell>(1024);
    size_t used_ = 0;
  };
  double probability_of(uint64_t history, uint8_t byte) const;

  int order_;
  uint64_t start_;                       // order - 1 start marks
  std::vector<Table> grams_, contexts_;  // by length of the gram
  std::vector<double> discounts_;
};

}  // namespace ballast
