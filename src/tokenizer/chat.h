// A conversation as the model was trained to read it: the chat template of tokenizer_config.json or chat_template.jinja
// (Jinja, as Hugging Face's apply_chat_template renders it), then ids. A message can spell control strings as it likes:
// only the template's own become control tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/jinja.h"
#include "tokenizer/tokenizer.h"

namespace ballast {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"; what the template knows
  std::string content;
};

class ChatTemplate {
 public:
  // Throws Error{usage} where the tokenizer has no template, and as Jinja does.
  explicit ChatTemplate(Tokenizer tokenizer);

  // The text, with the opening of the assistant's answer where `answer`. Throws as Jinja does.
  std::string render(std::span<const ChatMessage> messages, bool answer = true) const;
  // Its ids. Text and template are tokenized as one, as the model saw them.
  std::vector<int32_t> encode(std::span<const ChatMessage> messages, bool answer = true) const;
  // The control token that ends an assistant's turn (Moonlight's is not its eos); empty where there is none.
  std::vector<int32_t> end_tokens() const;

 private:
  Tokenizer tokenizer_;
  Jinja template_;
};

}  // namespace ballast
