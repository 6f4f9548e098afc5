#include "tokenizer/chat.h"

#include <utility>

#include "base/error.h"
#include "tokenizer/string_matcher.h"

namespace ballast {
namespace {

constexpr const char* kWhere = "chat_template";

// "text", or a list of {"name", "template"} of which "default" counts.
std::string source_of(const Tokenizer& tokenizer) {
  const Json& config = tokenizer.spec().config;
  const Json* value = config.is_object() ? config.find(kWhere) : nullptr;
  if (!value || value->is_null())
    fail(ErrorKind::usage, kWhere,
         "the tokenizer has no chat template (tokenizer_config.json or chat_template.jinja): this model was not trained "
         "to chat; leave out --chat");
  if (value->is_string()) return value->as_string();
  for (const Json& entry : value->as_array(kWhere))
    if (entry.at("name", kWhere).as_string(kWhere) == "default")
      return entry.at("template", kWhere).as_string(kWhere);
  fail(ErrorKind::unsupported, kWhere, "none of the templates is named 'default'");
}

// What a template may ask for besides the messages: bos_token and the like.
Json variables_of(const Tokenizer& tokenizer) {
  Json variables = Json::Object{{"tools", nullptr}, {"documents", nullptr}};
  const ControlTokens& c = tokenizer.control();
  for (const auto& [name, id] : {std::pair("bos_token", c.bos), {"eos_token", c.eos}, {"pad_token", c.pad}})
    if (id >= 0) variables[name] = tokenizer.token_bytes(id);
  return variables;
}

// Control strings in a message go through the template as bytes that no text has (0xFF is never UTF-8), and come out as
// plain text.
class Disguise {
 public:
  explicit Disguise(const Tokenizer& tokenizer) : strings_(tokenizer.control_strings()) {
    for (size_t i = 0; i < strings_.size(); ++i) matcher_.add(strings_[i], static_cast<int32_t>(i));
    strings_.push_back("\xFF");
    matcher_.add("\xFF", static_cast<int32_t>(strings_.size()) - 1);
  }

  std::string on(std::string_view text) const {
    std::string out;
    size_t from = 0;
    for (StringMatcher::Match match; matcher_.find(text, from, match); from = match.end)
      out += std::string(text.substr(from, match.begin - from)) + "\xFF" + std::to_string(match.id) + ";";
    return out + std::string(text.substr(from));
  }

  std::string off(std::string_view text) const {
    std::string out;
    for (size_t at = text.find('\xFF'); at != std::string_view::npos; at = text.find('\xFF')) {
      out += text.substr(0, at);
      size_t i = 0, end = at + 1;
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') i = 10 * i + static_cast<size_t>(text[end++] - '0');
      const bool whole = end > at + 1 && end < text.size() && text[end] == ';' && i < strings_.size();
      if (!whole) fail(ErrorKind::unsupported, kWhere, "the template takes the messages' texts apart");
      out += strings_[i];
      text.remove_prefix(end + 1);
    }
    return out + std::string(text);
  }

 private:
  std::vector<std::string> strings_;
  StringMatcher matcher_;
};

std::string render_with(const Jinja& jinja, const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                        bool answer, const Disguise& disguise) {
  Json::Array list;
  for (const ChatMessage& m : messages)
    list.push_back(Json::Object{{"role", m.role}, {"content", disguise.on(m.content)}});
  Json variables = variables_of(tokenizer);
  variables["messages"] = std::move(list);
  variables["add_generation_prompt"] = answer;
  return jinja.render(variables);
}

}  // namespace

ChatTemplate::ChatTemplate(Tokenizer tokenizer)
    : tokenizer_(std::move(tokenizer)), template_(source_of(tokenizer_), kWhere) {}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, bool answer) const {
  const Disguise disguise(tokenizer_);
  return disguise.off(render_with(template_, tokenizer_, messages, answer, disguise));
}

std::vector<int32_t> ChatTemplate::encode(std::span<const ChatMessage> messages, bool answer) const {
  const Disguise disguise(tokenizer_);
  const std::string text = render_with(template_, tokenizer_, messages, answer, disguise);
  StringMatcher control;
  for (const std::string& s : tokenizer_.control_strings()) control.add(s, *tokenizer_.token_id(s));
  std::vector<int32_t> ids;
  size_t from = 0;
  for (StringMatcher::Match match; control.find(text, from, match); from = match.end) {
    tokenizer_.encode(disguise.off(std::string_view(text).substr(from, match.begin - from)), ids);
    ids.push_back(match.id);
  }
  tokenizer_.encode(disguise.off(std::string_view(text).substr(from)), ids);
  return ids;
}

std::vector<int32_t> ChatTemplate::end_tokens() const {
  const std::string mark = "the assistant's answer";
  const std::string text = render(std::vector<ChatMessage>{{"user", "question"}, {"assistant", mark}}, false);
  const size_t at = text.rfind(mark);
  StringMatcher control;
  for (const std::string& s : tokenizer_.control_strings()) control.add(s, *tokenizer_.token_id(s));
  StringMatcher::Match match;
  if (at == std::string::npos || !control.find(text, at + mark.size(), match)) return {};
  return {match.id};
}

}  // namespace ballast
