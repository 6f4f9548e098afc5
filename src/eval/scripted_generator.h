// A Generator for tests: byte tokens (id = byte, bos = 256), answers and probabilities from functions.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "eval/generator.h"

namespace ballast {

struct ScriptedGenerator : Generator {
  std::function<std::string(const GenerateRequest&)> answer = [](const GenerateRequest&) { return std::string(); };
  std::function<double(std::span<const int32_t> before, int32_t token)> probability = [](std::span<const int32_t>,
                                                                                         int32_t) { return 1.0 / 256; };
  int64_t context = 32;
  int32_t bos = 256;
  std::vector<GenerateRequest> asked;
  std::vector<ScoreRequest> scored;

  std::vector<Completion> generate(std::span<const GenerateRequest> requests) override {
    std::vector<Completion> out;
    for (const GenerateRequest& r : requests) {
      asked.push_back(r);
      const std::string text = answer(r);
      bool stopped = false;
      const std::string cut = cut_completion(text, r, &stopped);
      out.push_back(
          {cut, static_cast<int64_t>(text.size()), stopped ? Completion::Finish::stop : Completion::Finish::end});
    }
    return out;
  }
  std::vector<Score> score(std::span<const ScoreRequest> requests) override {
    std::vector<Score> out;
    for (const ScoreRequest& r : requests) {
      CHECK(static_cast<int64_t>(r.tokens.size()) <= context);
      CHECK(0 < r.scored && r.scored < static_cast<int64_t>(r.tokens.size()));
      scored.push_back(r);
      Score s;
      for (size_t i = r.tokens.size() - static_cast<size_t>(r.scored); i < r.tokens.size(); ++i) {
        const std::span<const int32_t> before = std::span(r.tokens).first(i);
        const double p = probability(before, r.tokens[i]);
        s.nll.push_back(static_cast<float>(-std::log(p)));
        bool best = true;
        for (int32_t other = 0; other < 256; ++other) {
          const double q = probability(before, other);
          best = best && (q < p || (q == p && other >= r.tokens[i]));
        }
        s.top1.push_back(best);
      }
      out.push_back(std::move(s));
    }
    return out;
  }
  int64_t context_length() const override { return context; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  ControlTokens control() const override { return {.bos = bos}; }
  int64_t vocab_size() const override { return 257; }
};

}  // namespace ballast
