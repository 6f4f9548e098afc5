#include "study/engine_generator.h"

#include <gtest/gtest.h>

#include "tokenizer/sample_test.h"

namespace ballast {
namespace {

struct Babbler {
  Babbler()
      : device(Device::make(DeviceKind::cpu, 2)),
        tokenizer(sample_tokenizer()),
        config(shape(tokenizer.vocab_size())),
        params(*device, make_param_table(config), {.storage = DType::f32}),
        model((params.initialize(3, 0.3), config), params),
        engine(model, {.slots = 1, .context = 48, .prefill_chunk = 16}) {}

  static ModelConfig shape(int vocab) {
    ModelConfig c;
    c.vocab_size = vocab;
    c.hidden_size = 32;
    c.intermediate_size = 32;
    c.moe_intermediate_size = 16;
    c.num_hidden_layers = 2;
    c.num_attention_heads = 2;
    c.n_routed_experts = 8;
    c.num_experts_per_tok = 3;
    c.n_group = c.topk_group = 1;
    c.q_lora_rank = 16;
    c.kv_lora_rank = 16;
    c.qk_nope_head_dim = c.v_head_dim = 8;
    c.qk_rope_head_dim = 8;
    c.first_k_dense_replace = 1;
    c.num_nextn_predict_layers = 0;
    return c;
  }

  std::unique_ptr<Device> device;
  Tokenizer tokenizer;
  ModelConfig config;
  ParamStore params;
  Model model;
  Engine engine;
};

TEST(EngineGenerator, CompletesAndStops) {
  Babbler s;
  EngineGenerator generator(s.engine, s.tokenizer);
  EXPECT_EQ(generator.context_length(), 48);
  EXPECT_EQ(generator.vocab_size(), s.tokenizer.vocab_size());
  int lines = 0;
  for (uint64_t task = 0; task < 40; ++task) {
    GenerateRequest r{.prompt = "def f(x):\n", .max_new_tokens = 30, .temperature = 1, .seed = 1, .task = task};
    const Completion whole = generator.generate(std::span(&r, 1))[0];
    EXPECT_LE(whole.tokens, 30);
    r.one_line = true;
    const Completion line = generator.generate(std::span(&r, 1))[0];
    bool stopped = false;
    EXPECT_EQ(line.text, cut_completion(whole.text, r, &stopped));
    EXPECT_EQ(line.finish == Completion::Finish::stop, stopped);
    EXPECT_LE(line.tokens, whole.tokens);
    lines += stopped;
  }
  EXPECT_GT(lines, 0);
}

TEST(EngineGenerator, ASampleDoesNotDependOnItsNeighbors) {
  Babbler s;
  EngineGenerator generator(s.engine, s.tokenizer);
  std::vector<GenerateRequest> requests(3, {.prompt = "x", .max_new_tokens = 12, .temperature = 1});
  requests[1].task = 1;
  requests[2].sample = 1;
  const auto all = generator.generate(requests);
  EXPECT_EQ(generator.generate(std::span(requests).subspan(1, 1))[0].text, all[1].text);
  EXPECT_NE(all[0].text, all[1].text);
  EXPECT_NE(all[0].text, all[2].text);
  EXPECT_NE(all[1].text, all[2].text);
}

TEST(EngineGenerator, CutsLongPromptsFromTheLeft) {
  Babbler s;
  EngineGenerator generator(s.engine, s.tokenizer);
  const std::string text(300, 'x');
  const GenerateRequest cut{.prompt = "lost " + text, .max_new_tokens = 8}, same{.prompt = text, .max_new_tokens = 8};
  EXPECT_EQ(generator.generate(std::span(&cut, 1))[0].text, generator.generate(std::span(&same, 1))[0].text);
}

TEST(EngineGenerator, ScoresAreTheScorersUnderThePolicy) {
  Babbler s;
  std::vector<int32_t> ids = s.tokenizer.encode("def add(first_value):");
  const ScoreRequest request{ids, 4};
  EngineGenerator plain(s.engine, s.tokenizer);
  const Score score = plain.score(std::span(&request, 1))[0];
  TokenScores want;
  Scorer(s.engine).window(ids, 4, want);
  ASSERT_EQ(score.nll.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(score.nll[i], static_cast<float>(want.nll[i]));
  EXPECT_EQ(score.top1, want.correct);
  SkipConfig skip;
  skip.policy = "topk";
  skip.top_k = 1;
  EngineGenerator skipping(s.engine, s.tokenizer, skip);
  EXPECT_NE(skipping.score(std::span(&request, 1))[0].nll, score.nll);
  EXPECT_EQ(s.engine.plan(), nullptr);
  skip.top_k = 9;
  EXPECT_THROW(EngineGenerator(s.engine, s.tokenizer, skip), Error);
}

}  // namespace
}  // namespace ballast
