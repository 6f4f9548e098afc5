#include "data/corpus/benchmarks.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/jsonl.h"

namespace ballast {
namespace {

constexpr size_t kFewestSentenceWords = 4;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0; }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDull;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ull;
  return x ^ (x >> 33);
}

struct Token {
  uint64_t hash;
  bool identifier;
};

uint64_t hash_token(std::string_view token) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : token) hash = (hash ^ static_cast<unsigned char>(lower(c))) * 0x100000001B3ull;
  return mix(hash);
}

template <class F>
void for_each_token(std::string_view text, F&& on_token) {
  for (size_t at = 0; at < text.size();) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    size_t end = at + 1;
    if (is_word(text[at])) {
      while (end < text.size() && is_word(text[end])) ++end;
    }
    const bool identifier = is_word(text[at]) && std::isdigit(static_cast<unsigned char>(text[at])) == 0;
    on_token(Token{hash_token(text.substr(at, end - at)), identifier});
    at = end;
  }
}

constexpr uint64_t kBase = 0x9E3779B97F4A7C15ull;
constexpr uint64_t power(int n) { return n == 0 ? 1 : kBase * power(n - 1); }

// The runs of ten tokens, as hashes: a polynomial over the tokens' hashes, so that each next one costs two products.
class Runs {
 public:
  // Calls on_run(hash) where a run ends with this token.
  template <class F>
  void push(const Token& token, F&& on_run) {
    const size_t place = static_cast<size_t>(count_ % kRunTokens);
    if (count_ >= kRunTokens) {
      sum_ -= last_[place].hash * kOldest;
      identifiers_ -= last_[place].identifier;
    }
    sum_ = sum_ * kBase + token.hash;
    identifiers_ += token.identifier;
    last_[place] = token;
    if (++count_ >= kRunTokens && identifiers_ >= kRunIdentifiers) on_run(mix(sum_));
  }

 private:
  static constexpr uint64_t kOldest = power(kRunTokens - 1);

  std::array<Token, kRunTokens> last_{};
  uint64_t sum_ = 0;
  int64_t count_ = 0;
  int identifiers_ = 0;
};

std::string plain(std::string_view text) {  // lower case, single blanks
  std::string out;
  for (const char c : text) {
    if (!is_blank(c)) {
      out += lower(c);
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string first_sentence(std::string_view text) {
  std::string sentence = plain(text);
  for (size_t i = 0; i + 1 < sentence.size(); ++i) {
    if ((sentence[i] == '.' || sentence[i] == '?' || sentence[i] == '!') && sentence[i + 1] == ' ') {
      sentence.resize(i + 1);
      break;
    }
  }
  return static_cast<size_t>(std::count(sentence.begin(), sentence.end(), ' ')) + 1 >= kFewestSentenceWords
             ? sentence
             : std::string();
}

// The text between the last pair of triple quotes, which is the docstring of a prompt's last function.
std::string_view docstring_of(std::string_view prompt) {
  for (const std::string_view quote : {"\"\"\"", "'''"}) {
    const size_t end = prompt.rfind(quote);
    if (end == std::string_view::npos || end == 0) continue;
    const size_t begin = prompt.rfind(quote, end - 1);
    if (begin != std::string_view::npos) return prompt.substr(begin + 3, end - begin - 3);
  }
  return {};
}

std::string_view name_after_def(std::string_view code) {
  size_t at = code.rfind("def ");
  if (at == std::string_view::npos) return {};
  const std::string_view rest = code.substr(at + 4);
  const auto end = std::find_if(rest.begin(), rest.end(), [](char c) { return !is_word(c); });
  return rest.substr(0, static_cast<size_t>(end - rest.begin()));
}

template <class F>
void for_each_string(const Json& value, F&& on_text) {
  if (value.is_string()) return on_text(value.as_string());
  if (value.is_array()) {
    for (const Json& v : value.as_array()) for_each_string(v, on_text);
  } else if (value.is_object()) {
    for (const auto& [key, v] : value.as_object()) for_each_string(v, on_text);
  }
}

std::string text_of(const Json& record, std::string_view key) {
  const Json* value = record.is_object() ? record.find(key) : nullptr;
  return value != nullptr && value->is_string() ? value->as_string() : std::string();
}

}  // namespace

void BenchmarkTexts::add_text(std::string_view text, uint32_t file) {
  Runs runs;
  for_each_token(text, [&](const Token& t) { runs.push(t, [&](uint64_t run) { runs_.emplace(run, file); }); });
}

// HumanEval and its kin name the entry point and have the docstring in the prompt; MBPP's problems are a sentence and a
// solution.
void BenchmarkTexts::add_problem(const Json& record, uint32_t file, int64_t line) {
  const std::string prompt = text_of(record, "prompt"), text = text_of(record, "text"), code = text_of(record, "code");
  std::string name = text_of(record, "entry_point");
  if (name.empty()) name = name_after_def(code.empty() ? prompt : code);
  const std::string_view docstring = docstring_of(prompt);
  const std::string sentence = first_sentence(!docstring.empty() ? docstring
                                              : !text.empty()    ? std::string_view(text)
                                                                 : prompt);
  if (name.empty() || sentence.empty()) return;
  std::string label = text_of(record, "task_id");
  if (label.empty()) label = files_[file] + ":" + std::to_string(line);
  entry_points_[hash_token(name)].push_back({file, label, sentence});
}

void BenchmarkTexts::add_file(const std::filesystem::path& path) {
  const auto file = static_cast<uint32_t>(files_.size());
  files_.push_back(path.filename().string());
  const auto add = [&](const Json& record, int64_t line) {
    for_each_string(record, [&](const std::string& text) { add_text(text, file); });
    add_problem(record, file, line);
  };
  if (path.extension() == ".gz")
    fail(ErrorKind::unsupported, path.string(), "compressed benchmark files are not read; unpack it with gunzip -k");
  if (path.extension() != ".json") {
    JsonlReader reader(path);
    for (Json record; reader.next(record);) add(record, reader.line());
    return;
  }
  const Json all = Json::read(path);
  if (!all.is_array()) return add(all, 1);
  int64_t line = 0;
  for (const Json& record : all.as_array()) add(record, ++line);
}

std::string BenchmarkTexts::reason(std::string_view text) const {
  Runs runs;
  std::set<uint64_t> found;
  std::vector<uint32_t> of_file(files_.size(), 0);
  std::set<const std::vector<Problem>*> named;
  for_each_token(text, [&](const Token& token) {
    runs.push(token, [&](uint64_t run) {
      const auto it = runs_.find(run);
      if (it != runs_.end() && found.insert(run).second) ++of_file[it->second];
    });
    if (!token.identifier) return;
    if (const auto it = entry_points_.find(token.hash); it != entry_points_.end()) named.insert(&it->second);
  });
  if (found.size() >= static_cast<size_t>(kMostRuns)) {
    const size_t most = static_cast<size_t>(std::max_element(of_file.begin(), of_file.end()) - of_file.begin());
    return fmt::format("benchmark text: {} runs of ten tokens, most of {}", found.size(), files_[most]);
  }
  if (named.empty()) return {};
  const std::string low = plain(text);
  std::string first;  // by name, whatever the order of the set
  for (const std::vector<Problem>* problems : named) {
    for (const Problem& p : *problems) {
      if (low.find(p.sentence) != std::string::npos && (first.empty() || p.name < first)) first = p.name;
    }
  }
  return first.empty() ? std::string() : "benchmark problem: " + first;
}

}  // namespace ballast
