#include "tokenizer/string_matcher.h"

#include "base/error.h"

namespace ballast {

int32_t StringMatcher::child(int32_t node, uint8_t byte) const {
  for (const auto& [b, next] : nodes_[node].next)
    if (b == byte) return next;
  return -1;
}

void StringMatcher::add(std::string_view text, int32_t id) {
  CHECK(!text.empty());
  starts_[static_cast<uint8_t>(text[0])] = true;
  int32_t node = 0;
  for (const char c : text) {
    int32_t next = child(node, static_cast<uint8_t>(c));
    if (next < 0) {
      next = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_[node].next.emplace_back(static_cast<uint8_t>(c), next);
    }
    node = next;
  }
  nodes_[node].id = id;
}

bool StringMatcher::find(std::string_view text, size_t from, Match& match) const {
  if (empty()) return false;
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!starts_[static_cast<uint8_t>(text[begin])]) continue;
    match.id = -1;
    int32_t node = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node < 0) break;
      if (nodes_[node].id >= 0) match = {begin, i + 1, nodes_[node].id};
    }
    if (match.id >= 0) return true;
  }
  return false;
}

}  // namespace ballast
