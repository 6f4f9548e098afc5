#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace ballast {
namespace {

constexpr char kBlanks[] = " \t\n\r\f\v";

// Code points as opaque numbers; a byte that is not UTF-8 counts as one.
std::vector<uint32_t> characters(std::string_view text) {
  std::vector<uint32_t> out;
  for (size_t at = 0; at < text.size();) {
    const int length = std::max(1, utf8_length(text.substr(at)));
    uint32_t c = 0;
    for (int i = 0; i < length; ++i) c = c << 8 | static_cast<unsigned char>(text[at + i]);
    out.push_back(c);
    at += static_cast<size_t>(length);
  }
  return out;
}

// Longest common subsequence, row by row.
int64_t common_subsequence(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  std::vector<int32_t> row(b.size() + 1, 0);
  for (const uint32_t c : a) {
    int32_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const int32_t above = row[j];
      row[j] = c == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(kBlanks, end);
  }
  return out;
}

}  // namespace

double bits_per_byte(double nats, double bytes) { return nats / (std::numbers::ln2 * bytes); }

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  CHECK(n >= 1 && 0 <= c && c <= n && 1 <= k && k <= n);
  if (n - c < k) return 1;
  double none = 1;  // the share of k-subsets without a right sample
  for (int64_t i = n - c + 1; i <= n; ++i) none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

std::string resolve_literals(std::string_view line) {
  static constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"<NUM_LIT", "0"}, {"<STR_LIT", ""}, {"<CHAR_LIT", ""}};
  std::string out;
  for (size_t at = 0; at < line.size();) {
    bool replaced = false;
    for (const auto& [mark, plain] : kKinds) {
      const std::string_view rest = line.substr(at);
      if (!rest.starts_with(mark)) continue;
      const size_t end = rest.find('>');
      if (end == std::string_view::npos) continue;
      if (end == mark.size()) {
        out += plain;
      } else if (rest[mark.size()] == ':') {
        out += rest.substr(mark.size() + 1, end - mark.size() - 1);
      } else {
        continue;
      }
      at += end + 1;
      replaced = true;
      break;
    }
    if (!replaced) out += line[at++];
  }
  return out;
}

bool exact_match_line(std::string_view prediction, std::string_view truth) {
  return words(resolve_literals(prediction)) == words(resolve_literals(truth));
}

int edit_similarity(std::string_view a, std::string_view b) {
  const std::vector<uint32_t> x = characters(a), y = characters(b);
  const auto total = static_cast<int64_t>(x.size() + y.size());
  if (total == 0) return 100;
  // In integers, so that a half is a half.
  const int64_t numerator = 200 * common_subsequence(x, y), whole = numerator / total, rest = 2 * (numerator % total);
  const bool up = rest > total || (rest == total && whole % 2 == 1);
  return static_cast<int>(whole + up);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

int edit_similarity_line(std::string_view prediction, std::string_view truth) {
  const std::string a = resolve_literals(prediction), b = resolve_literals(truth);
  return edit_similarity(trimmed(a), trimmed(b));
}

}  // namespace ballast
