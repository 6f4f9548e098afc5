// Reads and writes Hugging Face's tokenizer.json (version 1.0, byte-level BPE) and the tokenizer_config.json beside it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tokenizer/spec.h"

namespace ballast {

// The tokenizer.json that is meant by its own name or its folder's. Throws Error{unsupported} where the folder has only
// a vocabulary of another kind (Moonlight's tiktoken.model, SentencePiece's tokenizer.model).
std::filesystem::path find_tokenizer_json(const std::filesystem::path& file_or_folder);

// Throws Error{file} where it cannot be read, Error{format} where it contradicts itself, Error{unsupported} where it
// needs what is not known here; each names the file and the key.
TokenizerSpec read_tokenizer_json(const std::filesystem::path& file);

// Writes the file and the tokenizer_config.json beside it (control tokens, and what that file held when it was read).
void write_tokenizer_json(const TokenizerSpec& spec, const std::filesystem::path& file);

// The text of tokenizer.json alone, from and to the spec; `where` is the name in errors.
TokenizerSpec parse_tokenizer_json(std::string_view text, const std::string& where);
std::string tokenizer_json_text(const TokenizerSpec& spec);

}  // namespace ballast
