#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/control.h"

namespace ballast {
namespace {

// Ids are indices into tables: up to here, and few of them may be holes (a small file must not ask for a large table).
constexpr int64_t kMostIds = int64_t{1} << 22, kFreeIds = int64_t{1} << 16, kIdsPerToken = 4;

// Keys are views into symbols, whose strings do not move once the table is built.
using IdTable = std::unordered_map<std::string_view, int32_t>;

int32_t checked_id(int64_t id, size_t tokens, const std::string& where) {
  const int64_t limit = std::min(kMostIds, kFreeIds + kIdsPerToken * static_cast<int64_t>(tokens));
  if (id < 0 || id >= limit)
    fail(ErrorKind::format, where, "the id {} is out of range (0 to {} for {} tokens)", id, limit - 1, tokens);
  return static_cast<int32_t>(id);
}

void refuse_setting(const Json& model, const char* key, const std::string& where) {
  const Json* value = model.find(key);
  if (!value || value->is_null()) return;
  if (value->is_bool() && !value->as_bool()) return;
  if (value->is_string() && value->as_string().empty()) return;
  if (value->is_number() && value->as_double() == 0) return;
  fail(ErrorKind::unsupported, where + ": model." + key, "the setting {} is not supported", value->dump());
}

// Reads one file; the members follow the file's sections.
class Reader {
 public:
  Reader(const Json& root, const std::string& where) : root_(root), where_(where) {}

  TokenizerSpec run() {
    root_.as_object(where_);
    check_normalizer();
    read_vocab();
    read_added();
    check_alphabet();
    read_merges();
    read_processors();
    return std::move(spec_);
  }

 private:
  std::string at(const std::string& key) const { return where_ + ": " + key; }

  void check_normalizer() const {
    const Json* normalizer = root_.find("normalizer");
    if (!normalizer || normalizer->is_null()) return;
    const std::string& type = normalizer->at("type", at("normalizer")).as_string(at("normalizer.type"));
    if (type == "Sequence") {
      const Json::Array& list = normalizer->at("normalizers", at("normalizer")).as_array(at("normalizer.normalizers"));
      if (list.empty()) return;
      fail(ErrorKind::unsupported, at("normalizer"), "the normalizer {} is not supported", list[0].dump());
    }
    fail(ErrorKind::unsupported, at("normalizer"), "the normalizer '{}' is not supported (no model of the family has one)", type);
  }

  const Json& model() const { return root_.at("model", where_); }

  void read_vocab() {
    const std::string& type = model().at("type", at("model")).as_string(at("model.type"));
    if (type != "BPE") fail(ErrorKind::unsupported, at("model.type"), "the model '{}' is not supported (BPE is)", type);
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"})
      refuse_setting(model(), key, where_);
    if (const Json* ignore = model().find("ignore_merges"))
      spec_.ignore_merges = ignore->as_bool(at("model.ignore_merges"));
    const std::string place = at("model.vocab");
    const Json::Object& vocab = model().at("vocab", at("model")).as_object(place);
    for (const auto& [symbol, id] : vocab) {
      if (symbol.empty()) fail(ErrorKind::format, place, "a token is the empty string");
      if (!id.is_int()) fail(ErrorKind::format, place, "the id of '{}' is {}, not an integer", symbol, id.type_name());
      set_symbol(checked_id(id.as_int(), vocab.size(), place + "." + symbol), symbol, place);
    }
    if (spec_.symbols.empty()) fail(ErrorKind::format, place, "the vocabulary is empty");
    for (size_t id = 0; id < spec_.symbols.size(); ++id)
      if (!spec_.symbols[id].empty()) ids_.emplace(spec_.symbols[id], static_cast<int32_t>(id));
  }

  void set_symbol(int32_t id, const std::string& symbol, const std::string& place) {
    if (static_cast<size_t>(id) >= spec_.symbols.size()) spec_.symbols.resize(id + 1);
    if (!spec_.symbols[id].empty())
      fail(ErrorKind::format, place, "'{}' and '{}' have the same id {}", spec_.symbols[id], symbol, id);
    spec_.symbols[id] = symbol;
  }

  void read_added() {
    const Json* list = root_.find("added_tokens");
    if (!list || list->is_null()) return;
    const Json::Array& tokens = list->as_array(at("added_tokens"));
    for (size_t i = 0; i < tokens.size(); ++i) add_token(tokens[i], at(fmt::format("added_tokens[{}]", i)));
    std::sort(spec_.added.begin(), spec_.added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    for (size_t i = 1; i < spec_.added.size(); ++i) {
      const AddedToken &a = spec_.added[i - 1], &b = spec_.added[i];
      if (a.id == b.id)
        fail(ErrorKind::format, at("added_tokens"), "'{}' and '{}' have the same id {}", a.content, b.content, a.id);
    }
  }

  void add_token(const Json& entry, const std::string& place) {
    AddedToken token;
    token.content = entry.at("content", place).as_string(place + ".content");
    token.id = checked_id(entry.at("id", place).as_int(place + ".id"), ids_.size() + spec_.added.size(), place + ".id");
    if (token.content.empty()) fail(ErrorKind::format, place, "an added token is the empty string");
    const auto flag = [&](const char* key) {
      const Json* value = entry.find(key);
      return value && value->as_bool(place + "." + key);
    };
    token.special = flag("special");
    token.normalized = flag("normalized");
    for (const char* key : {"single_word", "lstrip", "rstrip"})
      if (flag(key)) fail(ErrorKind::unsupported, place, "'{}' has {}, which is not supported", token.content, key);
    const auto known = ids_.find(token.content);
    if (known != ids_.end() && known->second != token.id)
      fail(ErrorKind::format, place, "'{}' has the id {} here and {} in model.vocab", token.content, token.id,
           known->second);
    if (static_cast<size_t>(token.id) < spec_.symbols.size()) {
      const std::string& symbol = spec_.symbols[token.id];
      if (!symbol.empty() && symbol != token.content)
        fail(ErrorKind::format, place, "'{}' has the id {}, which is that of '{}' in model.vocab", token.content,
             token.id, symbol);
    }
    if (!contents_.emplace(token.content, token.id).second)
      fail(ErrorKind::format, place, "'{}' is listed twice", token.content);
    spec_.added.push_back(std::move(token));
  }

  // Every byte that valid UTF-8 can hold needs its token, or text would be lost without a word.
  void check_alphabet() const {
    for (int b = 0; b < 256; ++b) {
      const bool in_utf8 = b != 0xC0 && b != 0xC1 && b < 0xF5;
      if (in_utf8 && !ids_.contains(byte_symbol(static_cast<uint8_t>(b))))
        fail(ErrorKind::unsupported, at("model.vocab"),
             "there is no token for the byte 0x{:02X} ('{}'): not a byte-level vocabulary", b,
             byte_symbol(static_cast<uint8_t>(b)));
    }
  }

  void read_merges() {
    const Json::Array& list = model().at("merges", at("model")).as_array(at("model.merges"));
    spec_.merges.reserve(list.size());
    for (size_t i = 0; i < list.size(); ++i) {
      const auto [left, right] = merge_of(list[i], i);
      const int32_t a = merge_id(left, i), b = merge_id(right, i);
      merge_id(std::string(left) + std::string(right), i);
      spec_.merges.emplace_back(a, b);
    }
  }

  std::string merge_place(size_t i) const { return at(fmt::format("model.merges[{}]", i)); }

  std::pair<std::string_view, std::string_view> merge_of(const Json& entry, size_t i) const {
    if (entry.is_string()) {
      const std::string_view text = entry.as_string();
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
        fail(ErrorKind::format, merge_place(i), "'{}' is not two tokens with a space between", text);
      return {text.substr(0, space), text.substr(space + 1)};
    }
    const Json::Array& pair = entry.as_array(merge_place(i));
    if (pair.size() != 2) fail(ErrorKind::format, merge_place(i), "a merge of {} tokens instead of 2", pair.size());
    return {pair[0].as_string(merge_place(i)), pair[1].as_string(merge_place(i))};
  }

  int32_t merge_id(std::string_view symbol, size_t i) const {
    const auto id = ids_.find(symbol);
    if (id == ids_.end()) fail(ErrorKind::format, merge_place(i), "the token '{}' is not in model.vocab", symbol);
    return id->second;
  }

  void check_type(const Json& section, const std::string& place, std::initializer_list<std::string_view> known) const {
    const std::string& type = section.at("type", place).as_string(place + ".type");
    if (std::find(known.begin(), known.end(), type) == known.end())
      fail(ErrorKind::unsupported, place, "'{}' is not supported", type);
  }

  void read_processors() {
    const auto section = [&](const char* key) {
      const Json* value = root_.find(key);
      return value ? *value : Json();
    };
    spec_.pre_tokenizer = section("pre_tokenizer");
    spec_.decoder = section("decoder");
    spec_.post_processor = section("post_processor");
    if (spec_.decoder.is_null())
      fail(ErrorKind::unsupported, at("decoder"), "there is no decoder (ByteLevel is needed)");
    check_type(spec_.decoder, at("decoder"), {"ByteLevel"});
    if (spec_.post_processor.is_null()) return;
    check_type(spec_.post_processor, at("post_processor"), {"ByteLevel", "TemplateProcessing", "Sequence"});
    if (const Json* list = spec_.post_processor.find("processors"))
      for (const Json& part : list->as_array(at("post_processor.processors")))
        check_type(part, at("post_processor.processors"), {"ByteLevel", "TemplateProcessing"});
  }

  const Json& root_;
  const std::string& where_;
  TokenizerSpec spec_;
  IdTable ids_;
  std::unordered_map<std::string, int32_t> contents_;
};

Json added_token_json(const AddedToken& token) {
  return Json::Object{{"id", token.id},  {"content", token.content},       {"single_word", false},    {"lstrip", false},
                      {"rstrip", false}, {"normalized", token.normalized}, {"special", token.special}};
}

std::string config_text(const TokenizerSpec& spec) {
  Json config = spec.config.is_null() ? Json::object() : spec.config;
  if (!config.find("tokenizer_class")) config["tokenizer_class"] = "PreTrainedTokenizerFast";
  const auto set = [&](const char* key, int32_t id) {
    for (const AddedToken& token : spec.added)
      if (token.id == id && !config.find(key)) config[key] = token.content;
  };
  set("bos_token", spec.control.bos);
  set("eos_token", spec.control.eos);
  set("pad_token", spec.control.pad);
  return config.dump(2) + "\n";
}

}  // namespace

TokenizerSpec parse_tokenizer_json(std::string_view text, const std::string& where) {
  const Json root = Json::parse(text, where);
  return Reader(root, where).run();
}

std::filesystem::path find_tokenizer_json(const std::filesystem::path& file_or_folder) {
  namespace fs = std::filesystem;
  const fs::path& given = file_or_folder;
  const fs::path folder = fs::is_directory(given) ? given : given.parent_path();
  fs::path file = fs::is_directory(given) ? given / "tokenizer.json" : given;
  if (fs::exists(file) && file.extension() != ".model") return file;
  for (const char* other : {"tiktoken.model", "tokenizer.model"})
    if (fs::exists(folder / other))
      fail(ErrorKind::unsupported, (folder / other).string(),
           "only tokenizer.json is read; write one with transformers in Python: "
           "AutoTokenizer.from_pretrained(folder).save_pretrained(folder), or take it from a conversion of the model");
  return file;  // reading it says that it is absent
}

TokenizerSpec read_tokenizer_json(const std::filesystem::path& file) {
  TokenizerSpec spec = parse_tokenizer_json(read_file(file), file.string());
  const std::filesystem::path config = file.parent_path() / "tokenizer_config.json";
  if (std::filesystem::exists(config)) {
    spec.config = Json::read(config);
    spec.config.as_object(config.string());
  }
  const std::filesystem::path chat = file.parent_path() / "chat_template.jinja";  // goes before the config's, if both are
  if (std::filesystem::exists(chat)) spec.config["chat_template"] = read_file(chat);
  assign_control(spec, config.string());
  return spec;
}

std::string tokenizer_json_text(const TokenizerSpec& spec) {
  Json::Array added, merges;
  for (const AddedToken& token : spec.added) added.push_back(added_token_json(token));
  Json::Object vocab;
  for (size_t id = 0; id < spec.symbols.size(); ++id)
    if (!spec.symbols[id].empty()) vocab.emplace_back(spec.symbols[id], static_cast<int64_t>(id));
  for (const auto& [a, b] : spec.merges) merges.push_back(Json::Array{spec.symbols[a], spec.symbols[b]});
  Json model = Json::Object{{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", nullptr},
                            {"continuing_subword_prefix", nullptr},
                            {"end_of_word_suffix", nullptr},
                            {"fuse_unk", false},
                            {"byte_fallback", false},
                            {"ignore_merges", spec.ignore_merges},
                            {"vocab", std::move(vocab)},
                            {"merges", std::move(merges)}};
  const Json root = Json::Object{{"version", "1.0"},
                                 {"truncation", nullptr},
                                 {"padding", nullptr},
                                 {"added_tokens", std::move(added)},
                                 {"normalizer", nullptr},
                                 {"pre_tokenizer", spec.pre_tokenizer},
                                 {"post_processor", spec.post_processor},
                                 {"decoder", spec.decoder},
                                 {"model", std::move(model)}};
  return root.dump(1) + "\n";
}

void write_tokenizer_json(const TokenizerSpec& spec, const std::filesystem::path& file) {
  write_file_atomic(file, tokenizer_json_text(spec));
  write_file_atomic(file.parent_path() / "tokenizer_config.json", config_text(spec));
}

}  // namespace ballast
