#include "infer/generate.h"

#include <gtest/gtest.h>

#include "infer/golden_test.h"
#include "tokenizer/sample_test.h"

namespace ballast {
namespace {

// A small random model over the tests' tokenizer: it writes nonsense, but always the same.
struct Babbler {
  explicit Babbler(DeviceKind kind = DeviceKind::cpu, int64_t context = 64)
      : device(Device::make(kind, 2)),
        tokenizer(sample_tokenizer()),
        config(shape(tokenizer.vocab_size())),
        params(*device, make_param_table(config), {.storage = DType::f32}),
        model((params.initialize(3, 0.3), config), params),
        engine(model, {.slots = 1, .context = context, .prefill_chunk = 16}) {}

  static ModelConfig shape(int vocab) {
    ModelConfig c = read_model_config(Golden::folder());
    c.vocab_size = vocab;
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

std::string text_of(const Tokenizer& tokenizer, std::vector<int32_t> ids) {
  std::erase_if(ids, [&](int32_t id) { return tokenizer.is_control(id); });
  return tokenizer.decode(ids);
}

TEST(Generate, GreedyIsTheArgmaxAndRepeats) {
  Babbler b;
  const auto prompt = encode_prompt(b.tokenizer, {"def add(", {}});
  EXPECT_EQ(prompt.front(), b.tokenizer.control().bos);
  const Generation g = generate(b.engine, b.tokenizer, prompt, {.max_new_tokens = 20});
  EXPECT_EQ(g.prompt_tokens, static_cast<int64_t>(prompt.size()));
  int32_t token = b.engine.prefill_argmax(0, prompt);
  for (size_t i = 0; i < g.tokens.size(); ++i) {
    EXPECT_EQ(g.tokens[i], token);
    token = b.engine.decode_argmax(0, token);
  }
  EXPECT_EQ(generate(b.engine, b.tokenizer, prompt, {.max_new_tokens = 20}).tokens, g.tokens);
  EXPECT_TRUE(text_of(b.tokenizer, g.tokens).starts_with(g.text));
}

TEST(Generate, SamplesDependOnSeedAndStreamAlone) {
  Babbler b;
  const auto prompt = encode_prompt(b.tokenizer, {"x = ", {}});
  GenerateOptions o{.max_new_tokens = 24, .temperature = 1.0, .top_p = 0.95, .seed = 7};
  const auto first = generate(b.engine, b.tokenizer, prompt, o).tokens;
  EXPECT_EQ(generate(b.engine, b.tokenizer, prompt, o).tokens, first);
  o.stream = 1;
  EXPECT_NE(generate(b.engine, b.tokenizer, prompt, o).tokens, first);
  o = {.max_new_tokens = 24, .temperature = 1.0, .top_p = 0.95, .seed = 8};
  EXPECT_NE(generate(b.engine, b.tokenizer, prompt, o).tokens, first);
}

TEST(Generate, StreamsExactlyTheText) {
  Babbler b;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    GenerateOptions o{.max_new_tokens = 40, .temperature = 1.2, .seed = seed};
    std::string streamed;
    const Generation whole = generate(b.engine, b.tokenizer, Prompt{"a", {}}, o, [&](std::string_view piece) {
      streamed += piece;
      return true;
    });
    EXPECT_EQ(streamed, whole.text);
    // Whatever two bytes the text holds, as a stop string they end it there.
    if (whole.text.size() < 12) continue;
    const std::string stop = whole.text.substr(whole.text.size() / 2, 2);
    o.stop = {stop, "never to be seen"};
    streamed.clear();
    const Generation cut = generate(b.engine, b.tokenizer, Prompt{"a", {}}, o, [&](std::string_view piece) {
      streamed += piece;
      return true;
    });
    EXPECT_EQ(cut.finish, Generation::Finish::stop);
    std::string want = whole.text.substr(0, whole.text.find(stop));
    want.resize(want.size() - unfinished_utf8(want));  // nonsense is no UTF-8
    EXPECT_EQ(cut.text, want);
    EXPECT_EQ(streamed, cut.text);
    EXPECT_LT(cut.tokens.size(), whole.tokens.size());
  }
}

TEST(Generate, EndsAtEos) {
  Babbler b;
  const auto prompt = encode_prompt(b.tokenizer, {"a", {}});
  // At a high temperature eos comes up sooner or later.
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Generation g =
        generate(b.engine, b.tokenizer, prompt, {.max_new_tokens = 50, .temperature = 100, .seed = seed});
    if (g.finish != Generation::Finish::end) continue;
    EXPECT_EQ(g.tokens.back(), b.tokenizer.control().eos);
    EXPECT_LT(g.tokens.size(), 51u);
    EXPECT_EQ(g.decode_steps, static_cast<int64_t>(g.tokens.size()) - 1);
    EXPECT_EQ(g.text.find("<\xEF\xBD\x9C"), std::string::npos) << "control tokens are no text";
    return;
  }
  FAIL() << "no eos in 200 tries";
}

TEST(Generate, FillsInTheMiddle) {
  Babbler b;
  const ControlTokens c = b.tokenizer.control();
  std::vector<int32_t> want{c.bos, c.fim_begin};
  for (const int32_t id : b.tokenizer.encode("def f(")) want.push_back(id);
  want.push_back(c.fim_hole);
  for (const int32_t id : b.tokenizer.encode("):\n")) want.push_back(id);
  want.push_back(c.fim_end);
  EXPECT_EQ(encode_prompt(b.tokenizer, {"def f(", "):\n"}), want);
  TokenizerSpec spec = b.tokenizer.spec();
  spec.control.fim_hole = -1;
  const Tokenizer without(spec);
  try {
    encode_prompt(without, {"a", "b"});
    FAIL() << "no fim_hole, but no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::usage);
    EXPECT_NE(std::string(e.what()).find("fim_hole"), std::string::npos);
    EXPECT_EQ(std::string(e.what()).find("fim_begin"), std::string::npos);
  }
}

TEST(Generate, CutsPromptsToALimit) {
  Babbler b;
  const std::string text = "def f(first, second):", suffix = "return first + second";
  const auto whole = encode_prompt(b.tokenizer, {text, {}});
  const auto cut = encode_prompt(b.tokenizer, {text, {}}, 5);
  ASSERT_EQ(cut.size(), 5u);
  EXPECT_EQ(cut.front(), b.tokenizer.control().bos);
  EXPECT_TRUE(std::equal(cut.rbegin(), cut.rbegin() + 4, whole.rbegin())) << "the left is lost";
  EXPECT_EQ(encode_prompt(b.tokenizer, {text, {}}, 100), whole);
  const auto all = encode_prompt(b.tokenizer, {text, suffix});
  EXPECT_EQ(encode_prompt(b.tokenizer, {text, suffix}, static_cast<int64_t>(all.size())), all);
  for (const int64_t limit : {6, 7, 12, static_cast<int>(all.size()) - 1}) {
    const auto fim = encode_prompt(b.tokenizer, {text, suffix}, limit);
    EXPECT_EQ(static_cast<int64_t>(fim.size()), limit);
    const auto hole = std::find(fim.begin(), fim.end(), b.tokenizer.control().fim_hole);
    EXPECT_EQ(*(hole + 1), b.tokenizer.encode(suffix).front()) << "the suffix loses its right";
    EXPECT_EQ(*(hole - 1), b.tokenizer.encode(text).back());
  }
  EXPECT_THROW(encode_prompt(b.tokenizer, {text, suffix}, 4), Error);
}

TEST(Generate, RefusesBadOptions) {
  Babbler b;
  const auto prompt = encode_prompt(b.tokenizer, {"a", {}});
  const auto refused = [&](const GenerateOptions& o) {
    try {
      generate(b.engine, b.tokenizer, prompt, o);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refused({.max_new_tokens = 64}).find("at most 62"), std::string::npos) << refused({.max_new_tokens = 64});
  EXPECT_NE(refused({.max_new_tokens = 0}).find("max_new_tokens"), std::string::npos);
  EXPECT_NE(refused({.max_new_tokens = 4, .temperature = -1}).find("temperature"), std::string::npos);
  EXPECT_NE(refused({.max_new_tokens = 4, .top_p = 0}).find("top_p"), std::string::npos);
  EXPECT_NE(refused({.max_new_tokens = 4, .stop = {""}}).find("stop"), std::string::npos);
  EXPECT_NE(refused({.max_new_tokens = 4, .skip = policy("topk", 9)}).find("skip.top_k"), std::string::npos);
  EXPECT_THROW(generate(b.engine, b.tokenizer, std::vector<int32_t>{}, {}), Error);
  EXPECT_EQ(refused({.max_new_tokens = 62}), "accepted");
}

TEST(Generate, SkipsAndPutsThePlanBack) {
  Babbler b;
  const auto prompt = encode_prompt(b.tokenizer, {"abc", {}});
  const RecordingPlan outer(nullptr);
  b.engine.set_plan(&outer);
  SkipConfig decode_only = policy("topk", 1);
  decode_only.prefill = false;
  for (const bool skips : {false, true}) {
    b.engine.prefill(0, prompt);
    b.engine.reset_executed();
    const int64_t prefill_reads = outer.reads[0];
    b.engine.prefill(0, prompt);
    const int64_t one_prefill = outer.reads[0] - prefill_reads;
    b.engine.reset_executed();
    const Generation g =
        generate(b.engine, b.tokenizer, prompt, {.max_new_tokens = 10, .skip = skips ? decode_only : policy("off")});
    const int k = skips ? 1 : b.config.num_experts_per_tok;
    EXPECT_EQ(b.engine.executed()[0], one_prefill + k * g.decode_steps);
    EXPECT_EQ(b.engine.plan(), &outer);
  }
}

TEST(TextStream, HoldsBackWhatMayBecomeAStop) {
  std::vector<std::string> pieces;
  TextStream s({"stop", "top!"}, [&](std::string_view p) {
    pieces.emplace_back(p);
    return true;
  });
  for (const char* token : {"a st", "o", "re", " s", "to"}) EXPECT_TRUE(s.append(token));
  EXPECT_EQ(pieces, (std::vector<std::string>{"a ", "store", " "}));
  EXPECT_FALSE(s.append("p! and more"));  // both are complete; "stop" begins first
  s.finish();
  EXPECT_EQ(s.text(), "a store ");
  EXPECT_EQ(pieces.back(), " ");
}

TEST(TextStream, HoldsBackHalfCharacters) {
  const std::string text =
      "Gr\xC3\xB6\xC3\x9F"
      "e \xE6\x95\xB0 \xF0\x9F\xA6\x99!";
  std::string streamed;
  TextStream s({}, [&](std::string_view p) {
    EXPECT_EQ(unfinished_utf8(p), 0u);
    streamed += p;
    return true;
  });
  for (const char c : text) EXPECT_TRUE(s.append(std::string_view(&c, 1)));
  EXPECT_TRUE(s.append("\xF0\x9F"));
  s.finish();
  EXPECT_EQ(streamed, text);
  EXPECT_EQ(s.text(), text) << "half a character is dropped";
}

TEST(TextStream, MatchesAcrossTokens) {
  TextStream s({"\n\n"}, {});
  EXPECT_TRUE(s.append("x = 1\n"));
  EXPECT_FALSE(s.append("\ny"));
  EXPECT_EQ(s.text(), "x = 1");
}

TEST(TextStream, TheReceiverMayHaveEnough) {
  int calls = 0;
  TextStream s({}, [&](std::string_view) { return ++calls < 2; });
  EXPECT_TRUE(s.append("a"));
  EXPECT_FALSE(s.append("b"));
  s.finish();
  EXPECT_EQ(calls, 2);
}

TEST(TextStream, UnfinishedUtf8) {
  EXPECT_EQ(unfinished_utf8(""), 0u);
  EXPECT_EQ(unfinished_utf8("a"), 0u);
  EXPECT_EQ(unfinished_utf8("\xC3"), 1u);
  EXPECT_EQ(unfinished_utf8("\xC3\xB6"), 0u);
  EXPECT_EQ(unfinished_utf8("\xF0\x9F\xA6"), 3u);
  EXPECT_EQ(unfinished_utf8("\x80\x80\x80\x80"), 0u) << "no character begins here";
}

TEST(LoadModel, SaysWhatIsWrong) {
  auto device = Device::make(DeviceKind::cpu, 1);
  EXPECT_THROW(load_model("/nonexistent", *device, DType::f32), Error);
  const LoadedModel m = load_model(Golden::folder(), *device, DType::f32);
  EXPECT_EQ(m.config.hidden_size, 26);
  EXPECT_THROW(m.tokenizer(), Error);
}

}  // namespace
}  // namespace ballast
