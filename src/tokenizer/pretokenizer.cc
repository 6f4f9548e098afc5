#include "tokenizer/pretokenizer.h"

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
    const std::string& behavior = section.at("behavior", where).as_string(where + ".behavior");
    if (behavior != "Isolated")  // the other ones drop text or glue pieces; no model of the family has them
      fail(ErrorKind::unsupported, where, "Split with the behavior '{}' (only Isolated is known)", behavior);
    const Json& pattern = section.at("pattern", where);
    if (const Json* literal = pattern.find("String")) {
      add_split(quote_regex(literal->as_string(where + ".pattern.String")), where);
    } else {
      add_split(pattern.at("Regex", where + ".pattern").as_string(where + ".pattern.Regex"), where);
    }
  } else if (type == "Digits") {
    add_split(flag(section, "individual_digits", false, where) ? R"(\p{N})" : R"(\p{N}+)", where);
  } else if (type == "ByteLevel") {
    if (flag(section, "add_prefix_space", true, where))
      fail(ErrorKind::unsupported, where, "add_prefix_space changes the text: decode would not give it back");
    if (flag(section, "use_regex", true, where)) add_split(std::string(kGpt2Pattern), where);
    ended_ = true;
  } else {
    fail(ErrorKind::unsupported, where, "the pre_tokenizer '{}' is not known (Sequence, Split, Digits, ByteLevel are)",
         type);
  }
}

void PreTokenizer::add_split(const std::string& pattern, const std::string& where) {
  steps_.emplace_back(pattern, where);
}

void PreTokenizer::run(const Regex& regex, std::string_view text, const std::vector<uint32_t>& in,
                       std::vector<uint32_t>& out, RegexScratch& scratch) const {
  uint32_t begin = 0;
  for (const uint32_t end : in) {
    const std::string_view piece = text.substr(begin, end - begin);
    size_t done = 0, from = 0, first = 0, last = 0;
    while (from < piece.size() && regex.find(piece, from, first, last, scratch)) {
      if (first > done) out.push_back(begin + static_cast<uint32_t>(first));
      if (last > first) out.push_back(begin + static_cast<uint32_t>(last));
      done = last;
      from = last > first ? last : last + 1;  // past a character where nothing was matched
      while (from < piece.size() && (static_cast<uint8_t>(piece[from]) & 0xC0) == 0x80) ++from;
    }
    if (done < piece.size()) out.push_back(end);
    begin = end;
  }
}

void PreTokenizer::split(std::string_view text, std::vector<uint32_t>& ends, Scratch& scratch) const {
  if (text.size() >= UINT32_MAX)
    fail(ErrorKind::unsupported, "tokenizer", "a text of {} bytes (4 GiB are too many)", text.size());
  ends.clear();
  if (text.empty()) return;
  ends.push_back(static_cast<uint32_t>(text.size()));
  for (const Regex& step : steps_) {
    scratch.swap.clear();
    run(step, text, ends, scratch.swap, scratch.regex);
    ends.swap(scratch.swap);
  }
}

}  // namespace ballast
