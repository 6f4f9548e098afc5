// From a prompt to a completion.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infer/engine.h"
#include "infer/text_stream.h"
#include "model/moe/skip.h"
#include "tokenizer/tokenizer.h"

namespace ballast {

struct Prompt {
  std::string text;
  std::optional<std::string> suffix;  // given: fill in the middle between text and suffix
};

// bos text, or bos <fim_begin> text <fim_hole> suffix <fim_end>, the spans tokenized each by itself, as in training.
// Control strings in the text stay text. Throws Error{usage} where the tokenizer lacks a FIM token that is needed. A
// tokenizer without bos gives a prompt without it. With a `limit` above 0 the ids are at most so many: the text loses
// tokens from its left, the suffix from its right, and only what is more than half of the room.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt, int64_t limit = 0);

struct GenerateOptions {
  int max_new_tokens = 128;
  double temperature = 0;  // 0: greedy
  double top_p = 1;
  uint64_t seed = 0;
  uint64_t stream = 0;  // of the random numbers: one per request
  std::vector<std::string> stop;
  std::vector<int32_t> end_tokens;  // that end the text as the model's eos does
  SkipConfig skip;
};

struct Generation {
  enum class Finish { stop, end, length };  // a stop string or the receiver, the model's eos, max_new_tokens
  std::string text;                         // without the stop string; control tokens give no text
  std::vector<int32_t> tokens;              // all that were drawn, with eos and those of a stop string
  Finish finish = Finish::length;
  int64_t prompt_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  int64_t decode_steps = 0;  // tokens that went through the model after the prompt
};

// Uses slot 0 of the engine, whose plan is options.skip's meanwhile. Throws Error{usage} where the prompt is empty or
// it and max_new_tokens exceed the context, and for options out of range.
Generation generate(Engine& engine, const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                    const GenerateOptions& options, const OnText& on_text = {});
Generation generate(Engine& engine, const Tokenizer& tokenizer, const Prompt& prompt, const GenerateOptions& options,
                    const OnText& on_text = {});

}  // namespace ballast
