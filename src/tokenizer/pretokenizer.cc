#include "tokenizer/pretokenizer.h"

#include <algorithm>

#include "base/error.h"

namespace ballast {

const std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string_view kCodePattern =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

namespace {

Json byte_level(bool use_regex) {
  return Json::Object{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

const std::string& type_of(const Json& section, const std::string& where) {
  return section.at("type", where).as_string(where + ".type");
}

bool flag(const Json& section, const char* key, bool otherwise, const std::string& where) {
  const Json* value = section.find(key);
  return value ? value->as_bool(where + "." + key) : otherwise;
}

}  // namespace

Json gpt2_pre_tokenizer() { return byte_level(true); }

Json code_pre_tokenizer() {
  Json split = Json::Object{{"type", "Split"},
                            {"pattern", Json::Object{{"Regex", kCodePattern}}},
                            {"behavior", "Isolated"},
                            {"invert", false}};
  return Json::Object{{"type", "Sequence"}, {"pretokenizers", Json::Array{std::move(split), byte_level(false)}}};
}

PreTokenizer::PreTokenizer(const Json& section, const std::string& where) {
  if (section.is_null())
    fail(ErrorKind::unsupported, where, "there is no pre_tokenizer; a byte-level tokenizer ends in ByteLevel");
  add_section(section, where);
  if (!ended_) fail(ErrorKind::unsupported, where, "the pre_tokenizer does not end in ByteLevel");
}

void PreTokenizer::add_section(const Json& section, const std::string& where) {
  const std::string& type = type_of(section, where);
  if (ended_) fail(ErrorKind::unsupported, where, "'{}' comes after ByteLevel, which must be the last step", type);
  if (type == "Sequence") {
    const std::string list = where + ".pretokenizers";
    const Json::Array& steps = section.at("pretokenizers", where).as_array(list);
    for (size_t i = 0; i < steps.size(); ++i) add_section(steps[i], fmt::format("{}[{}]", list, i));
  } else if (type == "Split") {
    add_split(section, where);
  } else if (type == "Digits") {
    const bool single = flag(section, "individual_digits", false, where);
    steps_.push_back({.regex = Regex(single ? R"(\p{N})" : R"(\p{N}+)", where), .where = where});
  } else if (type == "ByteLevel") {
    if (flag(section, "add_prefix_space", true, where))
      fail(ErrorKind::unsupported, where, "add_prefix_space changes the text: decode would not give it back");
    if (flag(section, "use_regex", true, where)) steps_.push_back({.regex = Regex(kGpt2Pattern, where), .where = where});
    ended_ = true;
  } else {
    fail(ErrorKind::unsupported, where, "the pre_tokenizer '{}' is not known (Sequence, Split, Digits, ByteLevel are)",
         type);
  }
}

void PreTokenizer::add_split(const Json& section, const std::string& where) {
  static constexpr std::pair<std::string_view, Behavior> kBehaviors[] = {
      {"Isolated", Behavior::isolated},
      {"Removed", Behavior::removed},
      {"MergedWithPrevious", Behavior::merged_with_previous},
      {"MergedWithNext", Behavior::merged_with_next},
      {"Contiguous", Behavior::contiguous}};
  const std::string& name = section.at("behavior", where).as_string(where + ".behavior");
  const auto behavior =
      std::find_if(std::begin(kBehaviors), std::end(kBehaviors), [&](const auto& b) { return b.first == name; });
  if (behavior == std::end(kBehaviors))
    fail(ErrorKind::unsupported, where, "Split with the behavior '{}' is not known", name);
  const bool invert = flag(section, "invert", false, where);
  if (behavior->second == Behavior::removed && !invert)
    fail(ErrorKind::unsupported, where, "Split with the behavior 'Removed' drops text: decode would not give it back");
  const Json& pattern = section.at("pattern", where);
  const Json* literal = pattern.find("String");
  Regex regex = literal ? Regex(quote_regex(literal->as_string(where + ".pattern.String")), where)
                        : Regex(pattern.at("Regex", where + ".pattern").as_string(where + ".pattern.Regex"), where);
  steps_.push_back({std::move(regex), behavior->second, invert, where});
}

// Cuts a piece into matches and what is between, and joins neighbors as the behavior says.
void PreTokenizer::run(const Step& step, std::string_view text, const std::vector<uint32_t>& in,
                       std::vector<uint32_t>& out, RegexScratch& scratch) {
  uint32_t begin = 0;
  for (const uint32_t end : in) {
    const std::string_view piece = text.substr(begin, end - begin);
    bool first = true, previous = false;  // no span yet; whether the last one was a match
    // A span of the piece ends at `to`. A cut that the behavior does not want is not made: the end before it goes.
    const auto span = [&](size_t to, bool match) {
      match ^= step.invert;
      if (step.behavior == Behavior::removed && match)
        fail(ErrorKind::unsupported, step.where, "Split (Removed, inverted) would drop a part of the text '{}'",
             piece.substr(0, 40));
      const bool join = (step.behavior == Behavior::merged_with_previous && match && !previous) ||
                        (step.behavior == Behavior::merged_with_next && previous && !match) ||
                        (step.behavior == Behavior::contiguous && match == previous);
      if (!first && join) out.pop_back();
      out.push_back(begin + static_cast<uint32_t>(to));
      first = false;
      previous = match;
    };
    size_t done = 0, from = 0, match_begin = 0, match_end = 0;
    while (from < piece.size() && step.regex.find(piece, from, match_begin, match_end, scratch)) {
      if (match_begin > done) span(match_begin, false);
      if (match_end > match_begin) span(match_end, true);
      done = std::max(done, match_end);
      from = match_end > match_begin ? match_end : match_end + 1;  // past a character where nothing was matched
      while (from < piece.size() && (static_cast<uint8_t>(piece[from]) & 0xC0) == 0x80) ++from;
    }
    if (done < piece.size()) span(piece.size(), false);
    begin = end;
  }
}

void PreTokenizer::split(std::string_view text, std::vector<uint32_t>& ends, Scratch& scratch) const {
  if (text.size() >= UINT32_MAX)
    fail(ErrorKind::unsupported, "tokenizer", "a text of {} bytes (4 GiB are too many)", text.size());
  ends.clear();
  if (text.empty()) return;
  ends.push_back(static_cast<uint32_t>(text.size()));
  for (const Step& step : steps_) {
    scratch.swap.clear();
    run(step, text, ends, scratch.swap, scratch.regex);
    ends.swap(scratch.swap);
  }
}

}  // namespace ballast
