// Which added tokens are control tokens (they steer the model and never come out of plain text), and which play which
// role.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/spec.h"

namespace ballast {

// The strings of DeepSeek's tokenizers, in the order of ControlTokens: bos, eos, pad, fim_begin, fim_hole, fim_end.
// The bars are U+FF5C and the low lines U+2581.
const std::vector<std::string>& deepseek_control_strings();

// Sets AddedToken::control and spec.control. Control tokens are: those that tokenizer_config.json names (bos_token,
// eos_token, pad_token, additional_special_tokens), those that either file flags as special, and those that look like
// one: <｜...｜>, <|...|>, <pad>. Roles come from tokenizer_config.json, then from well-known strings. Throws
// Error{format} where tokenizer_config.json names a token that does not exist.
void assign_control(TokenizerSpec& spec, const std::string& config_where);

}  // namespace ballast
