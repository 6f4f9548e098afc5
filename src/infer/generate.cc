#include "infer/generate.h"

#include <algorithm>

#include "base/human.h"
#include "infer/sampler.h"
#include "infer/scoped_plan.h"

namespace ballast {
namespace {

void check_room(const Engine& engine, size_t prompt, const GenerateOptions& options) {
  if (options.max_new_tokens < 1)
    fail(ErrorKind::usage, "max_new_tokens", "{}: at least one token is generated", options.max_new_tokens);
  const int64_t context = engine.options().context, left = context - static_cast<int64_t>(prompt);
  if (left < options.max_new_tokens)
    fail(ErrorKind::usage, "context", "{} prompt tokens and {} new ones do not fit {} positions: {}", prompt,
         options.max_new_tokens, context,
         left > 0 ? fmt::format("ask for at most {} new tokens, or shorten the prompt", left) : "shorten the prompt");
}

void require_fim(const ControlTokens& c) {
  std::string missing;
  for (const auto& [id, name] :
       {std::pair(c.fim_begin, "fim_begin"), std::pair(c.fim_hole, "fim_hole"), std::pair(c.fim_end, "fim_end")})
    if (id < 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
  if (!missing.empty())
    fail(ErrorKind::usage, "suffix", "the tokenizer has no {} token: this model cannot fill in the middle", missing);
}

}  // namespace

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt, int64_t limit) {
  const ControlTokens& c = tokenizer.control();
  if (prompt.suffix) require_fim(c);
  std::vector<int32_t> text = tokenizer.encode(prompt.text), suffix;
  if (prompt.suffix) suffix = tokenizer.encode(*prompt.suffix);
  if (limit > 0) {
    const int64_t room = limit - (c.bos >= 0) - (prompt.suffix ? 3 : 0);
    if (room < 1) fail(ErrorKind::usage, "context", "{} tokens leave no room for the prompt's text", limit);
    const int64_t n = static_cast<int64_t>(text.size());
    const int64_t kept_suffix = std::min(static_cast<int64_t>(suffix.size()), std::max(room / 2, room - n));
    suffix.resize(static_cast<size_t>(kept_suffix));
    text.erase(text.begin(), text.begin() + std::max<int64_t>(0, n - (room - kept_suffix)));
  }
  std::vector<int32_t> ids;
  const auto append = [&](const std::vector<int32_t>& more) { ids.insert(ids.end(), more.begin(), more.end()); };
  if (c.bos >= 0) ids.push_back(c.bos);
  if (prompt.suffix) ids.push_back(c.fim_begin);
  append(text);
  if (!prompt.suffix) return ids;
  ids.push_back(c.fim_hole);
  append(suffix);
  ids.push_back(c.fim_end);
  return ids;
}

Generation generate(Engine& engine, const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                    const GenerateOptions& options, const OnText& on_text) {
  check_room(engine, prompt.size(), options);
  const ScopedPlan plan(engine, options.skip);
  Sampler sampler(
      engine.device(), engine.logits().dtype,
      {.temperature = options.temperature, .top_p = options.top_p, .seed = options.seed, .stream = options.stream});
  TextStream stream(options.stop, on_text);
  Generation g;
  g.prompt_tokens = static_cast<int64_t>(prompt.size());
  g.tokens.reserve(static_cast<size_t>(options.max_new_tokens));
  const double start = steady_seconds();
  engine.prefill(0, prompt);
  const double prefilled = steady_seconds();
  g.prefill_seconds = prefilled - start;
  while (true) {
    const int32_t token = sampler.draw(engine.logits().rows(0, 1), engine.length(0));
    g.tokens.push_back(token);
    if (token == tokenizer.control().eos ||
        std::find(options.end_tokens.begin(), options.end_tokens.end(), token) != options.end_tokens.end()) {
      g.finish = Generation::Finish::end;
      break;
    }
    if (!stream.append(tokenizer.is_control(token) ? std::string_view() : tokenizer.token_bytes(token))) {
      g.finish = Generation::Finish::stop;
      break;
    }
    if (static_cast<int>(g.tokens.size()) == options.max_new_tokens) break;
    engine.decode(std::span(&token, 1));
    ++g.decode_steps;
  }
  g.decode_seconds = steady_seconds() - prefilled;
  stream.finish();
  g.text = stream.text();
  return g;
}

Generation generate(Engine& engine, const Tokenizer& tokenizer, const Prompt& prompt, const GenerateOptions& options,
                    const OnText& on_text) {
  return generate(engine, tokenizer, encode_prompt(tokenizer, prompt), options, on_text);
}

}  // namespace ballast
