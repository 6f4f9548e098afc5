#include "tokenizer/control.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace ballast {
namespace {

struct Role {
  int32_t ControlTokens::*id;
  const char* config_key;                 // of tokenizer_config.json, or null
  std::array<std::string_view, 2> texts;  // well-known, most trusted first
};

constexpr Role kRoles[] = {
    {&ControlTokens::bos, "bos_token", {"<｜begin▁of▁sentence｜>", "<|begin_of_sentence|>"}},
    {&ControlTokens::eos, "eos_token", {"<｜end▁of▁sentence｜>", "<|end_of_sentence|>"}},
    {&ControlTokens::pad, "pad_token", {"<｜▁pad▁｜>", "<|pad|>"}},
    {&ControlTokens::fim_begin, nullptr, {"<｜fim▁begin｜>", "<|fim_begin|>"}},
    {&ControlTokens::fim_hole, nullptr, {"<｜fim▁hole｜>", "<|fim_hole|>"}},
    {&ControlTokens::fim_end, nullptr, {"<｜fim▁end｜>", "<|fim_end|>"}},
};

bool looks_like_control(std::string_view text) {
  const auto framed = [&](std::string_view open, std::string_view close) {
    return text.size() > open.size() + close.size() && text.starts_with(open) && text.ends_with(close);
  };
  return framed("<｜", "｜>") || framed("<|", "|>") || text == "<pad>";
}

AddedToken* find_added(TokenizerSpec& spec, std::string_view content) {
  for (AddedToken& token : spec.added)
    if (token.content == content) return &token;
  return nullptr;
}

// A token that tokenizer_config.json names. One that stands only in the vocabulary becomes an added token.
AddedToken& named(TokenizerSpec& spec, const std::string& content, const std::string& where) {
  if (AddedToken* token = find_added(spec, content)) return *token;
  const auto symbol = std::find(spec.symbols.begin(), spec.symbols.end(), content);
  if (content.empty() || symbol == spec.symbols.end())
    fail(ErrorKind::format, where, "the token '{}' is not in tokenizer.json", content);
  const auto id = static_cast<int32_t>(symbol - spec.symbols.begin());
  const auto place = std::find_if(spec.added.begin(), spec.added.end(), [&](const AddedToken& t) { return t.id > id; });
  return *spec.added.insert(place, {id, content, true, false, false});
}

// "text" or {"content": "text", ...}; null where the key is absent or null.
const std::string* token_text(const Json& value, const std::string& where) {
  if (value.is_null()) return nullptr;
  return value.is_object() ? &value.at("content", where).as_string(where + ".content") : &value.as_string(where);
}

void read_config(TokenizerSpec& spec, const std::string& where) {
  for (const Role& role : kRoles) {
    const Json* value = role.config_key ? spec.config.find(role.config_key) : nullptr;
    if (!value) continue;
    const std::string place = where + ": " + role.config_key;
    if (const std::string* text = token_text(*value, place)) {
      AddedToken& token = named(spec, *text, place);
      token.control = true;
      spec.control.*role.id = token.id;
    }
  }
  if (const Json* list = spec.config.find("additional_special_tokens"); list && !list->is_null()) {
    const std::string place = where + ": additional_special_tokens";
    for (const Json& value : list->as_array(place))
      if (const std::string* text = token_text(value, place)) named(spec, *text, place).control = true;
  }
  if (const Json* tokens = spec.config.find("added_tokens_decoder"); tokens && !tokens->is_null()) {
    const std::string place = where + ": added_tokens_decoder";
    for (const auto& [id, token] : tokens->as_object(place)) {
      const Json* special = token.find("special");
      if (!special || !special->as_bool(place + "." + id)) continue;
      named(spec, *token_text(token, place + "." + id), place + "." + id).control = true;
    }
  }
}

}  // namespace

const std::vector<std::string>& deepseek_control_strings() {
  static const std::vector<std::string> strings = [] {
    std::vector<std::string> out;
    for (const Role& role : kRoles) out.emplace_back(role.texts[0]);
    return out;
  }();
  return strings;
}

void assign_control(TokenizerSpec& spec, const std::string& config_where) {
  spec.control = {};
  if (!spec.config.is_null()) read_config(spec, config_where);
  for (AddedToken& token : spec.added) token.control |= token.special || looks_like_control(token.content);
  for (const Role& role : kRoles) {
    for (const std::string_view text : role.texts) {
      if (spec.control.*role.id >= 0) break;
      if (const AddedToken* token = find_added(spec, text)) spec.control.*role.id = token->id;
    }
  }
}

}  // namespace ballast
