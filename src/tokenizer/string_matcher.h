// Finds the strings of a set in a text: leftmost first, the longest where several begin there.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ballast {

class StringMatcher {
 public:
  struct Match {
    size_t begin, end;
    int32_t id;
  };

  void add(std::string_view text, int32_t id);  // text must not be empty
  bool empty() const { return nodes_.size() == 1; }
  // The first match at or after `from`; false where there is none.
  bool find(std::string_view text, size_t from, Match& match) const;

 private:
  struct Node {
    int32_t id = -1;
    std::vector<std::pair<uint8_t, int32_t>> next;
  };
  int32_t child(int32_t node, uint8_t byte) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> starts_{};
};

}  // namespace ballast
