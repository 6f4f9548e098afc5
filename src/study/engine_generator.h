// The engine as evaluation sees it.
#pragma once

#include <memory>

#include "eval/generator.h"
#include "infer/generate.h"
#include "infer/score.h"

namespace ballast {

// Requests run one after the other through slot 0. `engine` and `tokenizer` outlive it.
class EngineGenerator : public Generator {
 public:
  // `skip` applies to completions and scores alike. Throws as make_gate_plan.
  EngineGenerator(Engine& engine, const Tokenizer& tokenizer, const SkipConfig& skip = {});

  std::vector<Completion> generate(std::span<const GenerateRequest> requests) override;
  std::vector<Score> score(std::span<const ScoreRequest> requests) override;

  int64_t context_length() const override { return engine_.options().context; }
  std::vector<int32_t> encode(std::string_view text) const override { return tokenizer_.encode(text); }
  ControlTokens control() const override { return tokenizer_.control(); }
  int64_t vocab_size() const override { return engine_.model().config().vocab_size; }

 private:
  Completion complete(const GenerateRequest& request);

  Engine& engine_;
  const Tokenizer& tokenizer_;
  SkipConfig skip_;
  Scorer scorer_;
};

}  // namespace ballast
