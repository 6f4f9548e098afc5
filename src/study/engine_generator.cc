#include "study/engine_generator.h"

#include "infer/scoped_plan.h"

namespace ballast {

EngineGenerator::EngineGenerator(Engine& engine, const Tokenizer& tokenizer, const SkipConfig& skip)
    : engine_(engine), tokenizer_(tokenizer), skip_(skip), scorer_(engine) {
  make_gate_plan(skip, engine.model().config().num_experts_per_tok);  // says now what is wrong with it
}

Completion EngineGenerator::complete(const GenerateRequest& r) {
  const auto prompt = encode_prompt(tokenizer_, {r.prompt, r.suffix}, context_length() - r.max_new_tokens);
  const GenerateOptions options{.max_new_tokens = r.max_new_tokens,
                                .temperature = r.temperature,
                                .top_p = r.top_p,
                                .seed = r.seed,
                                .stream = r.task << 32 | r.sample,
                                .stop = r.stop,
                                .skip = skip_};
  std::string text;  // so far, to see the end of the line
  const Generation g = ::ballast::generate(engine_, tokenizer_, prompt, options, [&](std::string_view piece) {
    text += piece;
    bool stopped = false;
    if (r.one_line) cut_completion(text, r, &stopped);
    return !stopped;
  });
  bool stopped = false;
  Completion c{cut_completion(g.text, r, &stopped), static_cast<int64_t>(g.tokens.size()), Completion::Finish::length};
  if (stopped || g.finish == Generation::Finish::stop)
    c.finish = Completion::Finish::stop;
  else if (g.finish == Generation::Finish::end)
    c.finish = Completion::Finish::end;
  return c;
}

std::vector<Completion> EngineGenerator::generate(std::span<const GenerateRequest> requests) {
  std::vector<Completion> completions;
  for (const GenerateRequest& r : requests) completions.push_back(complete(r));
  return completions;
}

std::vector<Score> EngineGenerator::score(std::span<const ScoreRequest> requests) {
  const ScopedPlan plan(engine_, skip_);
  std::vector<Score> scores;
  for (const ScoreRequest& r : requests) {
    TokenScores tokens;
    scorer_.window(r.tokens, r.scored, tokens);
    scores.push_back({{tokens.nll.begin(), tokens.nll.end()}, std::move(tokens.correct)});
  }
  return scores;
}

}  // namespace ballast
