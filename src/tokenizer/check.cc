#include "tokenizer/check.h"

#include <charconv>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace ballast {
namespace {

constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
constexpr size_t kMostDifferences = 10;

void compare(const Tokenizer& tokenizer, std::string_view text, std::vector<int32_t> expected, TokenizerCheck& check) {
  std::vector<int32_t> found = tokenizer.encode(text);
  const bool decodes = tokenizer.decode(found) == text;
  const int64_t index = check.texts++;
  if (decodes && found == expected) {
    ++check.equal;
  } else if (check.differences.size() < kMostDifferences) {
    check.differences.push_back({index, std::string(text), std::move(expected), std::move(found), decodes});
  }
}

// Takes the part of `rest` before `separator` off its front.
std::string_view take(std::string_view& rest, std::string_view separator) {
  const size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + separator.size());
  return part;
}

std::vector<int32_t> ids_of_line(std::string_view line, const std::string& where) {
  std::vector<int32_t> ids;
  while (!line.empty()) {
    const std::string_view word = take(line, " ");
    if (word.empty()) continue;
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size())
      fail(ErrorKind::format, where, "'{}' is not an id", word.substr(0, 40));
    ids.push_back(id);
  }
  return ids;
}

TokenizerCheck check_pair(const Tokenizer& tokenizer, const std::filesystem::path& inputs) {
  std::filesystem::path outputs = inputs;
  outputs.replace_extension(".out");
  const std::string texts = read_file(inputs), lines = read_file(outputs);
  std::string_view rest = texts, rest_lines = lines;
  TokenizerCheck check;
  while (!rest.empty()) {
    const std::string where = fmt::format("{}:{}", outputs.string(), check.texts + 1);
    const std::string_view text = take(rest, kSeparator);
    if (rest_lines.empty()) fail(ErrorKind::format, where, "there are fewer lines than texts in {}", inputs.string());
    compare(tokenizer, text, ids_of_line(take(rest_lines, "\n"), where), check);
  }
  if (!rest_lines.empty())
    fail(ErrorKind::format, outputs.string(), "there are more lines than the {} texts of {}", check.texts,
         inputs.string());
  return check;
}

TokenizerCheck check_lines(const Tokenizer& tokenizer, const std::filesystem::path& file) {
  const std::string lines = read_file(file);
  std::string_view rest = lines;
  TokenizerCheck check;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = take(rest, "\n");
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", file.string(), number);
    const Json record = Json::parse(line, where);
    std::vector<int32_t> ids;
    for (const Json& id : record.at("ids", where).as_array(where + ": ids"))
      ids.push_back(static_cast<int32_t>(id.as_int(where + ": ids")));
    compare(tokenizer, record.at("text", where).as_string(where + ": text"), std::move(ids), check);
  }
  return check;
}

}  // namespace

TokenizerCheck check_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& vectors) {
  if (vectors.extension() == ".inp") return check_pair(tokenizer, vectors);
  if (vectors.extension() == ".jsonl") return check_lines(tokenizer, vectors);
  fail(ErrorKind::usage, vectors.string(), "vectors are a .jsonl file or llama.cpp's .inp beside its .out");
}

}  // namespace ballast
