// What evaluation asks of a model: text for a prompt, and how probable a given text is. The engine, a remote server and
// the tests' scripted fake implement it; nothing here knows what is behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/spec.h"

namespace ballast {

struct GenerateRequest {
  std::string prompt;                 // after a bos; what does not fit the context is cut from its left
  std::optional<std::string> suffix;  // given: fill in the middle between prompt and suffix
  int max_new_tokens = 64;
  double temperature = 0;  // 0: greedy
  double top_p = 1;
  std::vector<std::string> stop;  // the completion ends before the earliest of these in it
  bool one_line = false;          // it also ends before the first line break that follows a character that is no blank
  // Keys of the sampler's counter-based generator: a sample does not depend on what else is generated beside it.
  uint64_t seed = 0, task = 0, sample = 0;
};

struct Completion {
  enum class Finish { stop, end, length };  // a stop rule, the model's eos, max_new_tokens
  std::string text;                         // without the stop string
  int64_t tokens = 0;                       // generated, with those of a stop string
  Finish finish = Finish::stop;
};

// A piece of one document's token ids: the last `scored` of them are to be scored, each given all before it in `tokens`
// and nothing else. tokens.size() <= context_length(), 0 < scored < tokens.size().
struct ScoreRequest {
  std::vector<int32_t> tokens;
  int64_t scored = 0;
};

struct Score {
  std::vector<float> nll;     // (scored): -log p in nats
  std::vector<uint8_t> top1;  // (scored): 1 where the token was the most probable one (the first of equals)
};

struct Generator {
  virtual ~Generator() = default;
  // Answers in the order of the requests.
  virtual std::vector<Completion> generate(std::span<const GenerateRequest> requests) = 0;
  virtual std::vector<Score> score(std::span<const ScoreRequest> requests) = 0;

  virtual int64_t context_length() const = 0;  // tokens
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  virtual ControlTokens control() const = 0;
  virtual int64_t vocab_size() const = 0;
};

// The completion's text as GenerateRequest's `stop` and `one_line` want it; sets `stopped` where one of them cut.
std::string cut_completion(std::string_view text, const GenerateRequest& request, bool* stopped = nullptr);

}  // namespace ballast
