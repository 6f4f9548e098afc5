#include "base/config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/nearest_name.h"
#include "base/toml.h"

namespace ballast {
namespace {

struct RopeConfig {
  double theta = 10000;
  std::string type = "plain";
  template <class V>
  void visit(V& v) {
    v("theta", theta, "base of the frequencies");
    v("type", type, "plain or yarn");
  }
};

struct ModelConfig {
  int num_experts_per_tok = 8;
  int hidden_size = 192;
  std::optional<int> q_lora_rank = 64;
  std::optional<std::vector<int>> layers;
  RopeConfig rope;
  template <class V>
  void visit(V& v) {
    v("num_experts_per_tok", num_experts_per_tok, "experts chosen per token");
    v("hidden_size", hidden_size, "width of the residual stream");
    v("q_lora_rank", q_lora_rank, "rank of the query latent");
    v("layers", layers, "layers to look at");
    v.section("rope", rope, "rotary embedding");
  }
};

struct RunConfig {
  ModelConfig model;
  int64_t tokens = 1500000;
  bool resume = false;
  double lr = 3e-4;
  std::string name = "a";
  std::vector<std::string> sources;
  std::vector<int> ks = {1, 2};
  std::vector<double> taus;
  template <class V>
  void visit(V& v) {
    v.section("model", model, "the architecture");
    v("tokens", tokens, "tokens to train on");
    v("resume", resume, "go on where it stopped");
    v("lr", lr, "peak learning rate");
    v("name", name, "of the run");
    v("sources", sources, "folders");
    v("ks", ks, "top-k values");
    v("taus", taus, "thresholds");
  }
};

constexpr ForeignName kForeign[] = {{"moe_router_topk", "Megatron-Core", "model.num_experts_per_tok"}};

template <class F>
std::string usage_error(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::usage);
    return e.what();
  }
  return "no error";
}

std::string reading(std::string_view json) {
  return usage_error([&] {
    RunConfig c;
    read_config(c, Json::parse(json), "a.toml", kForeign);
  });
}

std::string overriding(std::string_view key, std::string_view text) {
  return usage_error([&] {
    RunConfig c;
    apply_override(c, key, text, "command line", kForeign);
  });
}

TEST(Config, ReadsWhatIsNamedAndLeavesTheRest) {
  RunConfig c;
  read_config(c, Json::parse(R"({"model": {"q_lora_rank": null, "rope": {"theta": 50000}}, "tokens": 1e6,
                                 "sources": ["x", "y"], "taus": [1, 0.5]})"),
              "a.toml");
  EXPECT_EQ(c.model.q_lora_rank, std::nullopt);
  EXPECT_EQ(c.model.rope.theta, 50000);
  EXPECT_EQ(c.model.hidden_size, 192);
  EXPECT_EQ(c.tokens, 1000000);
  EXPECT_EQ(c.sources, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(c.taus, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(c.ks, (std::vector<int>{1, 2}));
}

TEST(Config, UnknownKeysAreAnsweredWithTheNearestName) {
  EXPECT_EQ(reading(R"({"model": {"hiden_size": 1}})"),
            "a.toml: unknown key 'model.hiden_size'; the nearest known name is 'model.hidden_size'");
  EXPECT_EQ(reading(R"({"num_experts_per_tok": 1})"),
            "a.toml: unknown key 'num_experts_per_tok'; the nearest known name is 'model.num_experts_per_tok'");
  EXPECT_EQ(reading(R"({"theta": 1})"), "a.toml: unknown key 'theta'; the nearest known name is 'model.rope.theta'");
  EXPECT_EQ(reading(R"({"modle": {}})"), "a.toml: unknown key 'modle'; the nearest known name is 'model'");
  EXPECT_EQ(overriding("model.rope.tehta", "1"),
            "command line: unknown key 'model.rope.tehta'; the nearest known name is 'model.rope.theta'");
}

TEST(Config, AnotherToolsNameIsAnsweredWithOurs) {
  const std::string expected = "moe_router_topk is Megatron-Core's name; here it is model.num_experts_per_tok";
  EXPECT_EQ(reading(R"({"moe_router_topk": 4})"), "a.toml: " + expected);
  EXPECT_EQ(reading(R"({"model": {"moe_router_topk": 4}})"), "a.toml: model." + expected);
  EXPECT_EQ(overriding("moe_router_topk", "4"), "command line: " + expected);
}

TEST(Config, WrongTypesNameKeyExpectedAndFound) {
  EXPECT_EQ(reading(R"({"tokens": "many"})"), "a.toml: tokens: expected an integer, found \"many\"");
  EXPECT_EQ(reading(R"({"tokens": 1.5})"), "a.toml: tokens: expected an integer, found 1.5");
  EXPECT_EQ(reading(R"({"model": {"hidden_size": 5000000000}})"),
            "a.toml: model.hidden_size: expected a 32-bit integer, found 5000000000");
  EXPECT_EQ(reading(R"({"model": {"hidden_size": null}})"),
            "a.toml: model.hidden_size: expected a 32-bit integer, found null");
  EXPECT_EQ(reading(R"({"resume": 1})"), "a.toml: resume: expected true or false, found 1");
  EXPECT_EQ(reading(R"({"lr": true})"), "a.toml: lr: expected a number, found true");
  EXPECT_EQ(reading(R"({"name": []})"), "a.toml: name: expected a string, found an array");
  EXPECT_EQ(reading(R"({"ks": 3})"), "a.toml: ks: expected a list, found 3");
  EXPECT_EQ(reading(R"({"ks": [1, "x"]})"), "a.toml: ks: expected a 32-bit integer, found \"x\"");
  EXPECT_EQ(reading(R"({"model": 3})"), "a.toml: model: expected a section, found 3");
  EXPECT_EQ(reading("[1]"), "a.toml: expected sections and keys, found an array");
}

TEST(Config, WritesWhatItReads) {
  RunConfig c;
  c.model.q_lora_rank.reset();
  c.model.layers = std::vector<int>{3, 4};
  c.name = "quo\"te\x7f";
  c.lr = 0.1;
  const Json json = config_to_json(c);
  EXPECT_EQ(json.at("model").at("rope").at("theta").as_double(), 10000);
  EXPECT_TRUE(json.at("model").at("q_lora_rank").is_null());
  RunConfig back;
  read_config(back, Json::parse(json.dump()), "json");
  EXPECT_EQ(config_to_json(back).dump(), json.dump());
  RunConfig from_toml;  // the null survives although TOML has none
  read_config(from_toml, parse_toml(write_toml(json), "toml"), "toml");
  EXPECT_EQ(config_to_json(from_toml).dump(), json.dump());
}

TEST(Config, OverridesParseByTheFieldsType) {
  RunConfig c;
  apply_override(c, "model.rope.theta", "1e6");
  apply_override(c, "tokens", "2e6");
  apply_override(c, "resume", "true");
  apply_override(c, "name", "17");
  apply_override(c, "sources", "a,b c");
  apply_override(c, "ks", "[4, 5]");
  apply_override(c, "taus", "0.1,-2");
  apply_override(c, "model.q_lora_rank", "none");
  apply_override(c, "model.layers", "7");
  EXPECT_EQ(c.model.rope.theta, 1e6);
  EXPECT_EQ(c.tokens, 2000000);
  EXPECT_TRUE(c.resume);
  EXPECT_EQ(c.name, "17");
  EXPECT_EQ(c.sources, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(c.ks, (std::vector<int>{4, 5}));
  EXPECT_EQ(c.taus, (std::vector<double>{0.1, -2}));
  EXPECT_EQ(c.model.q_lora_rank, std::nullopt);
  EXPECT_EQ(c.model.layers, std::vector<int>{7});
  apply_override(c, "ks", "");
  EXPECT_TRUE(c.ks.empty());
}

TEST(Config, OverridesOfAnotherTypeAreRefusedAndChangeNothing) {
  EXPECT_EQ(overriding("tokens", "12x"), "command line: tokens: expected an integer, found \"12x\"");
  EXPECT_EQ(overriding("resume", "yes"), "command line: resume: expected true or false, found \"yes\"");
  EXPECT_EQ(overriding("model", "x"), "command line: 'model' is a section; set one of its fields, as in model.name");
  RunConfig c;
  EXPECT_THROW(apply_override(c, "ks", "5,x"), Error);
  EXPECT_EQ(c.ks, (std::vector<int>{1, 2}));
}

TEST(Config, ListsFieldsForHelp) {
  const std::vector<Field> fields = list_fields(RunConfig());
  ASSERT_EQ(fields.size(), 13u);
  EXPECT_EQ(fields[0].key, "model.num_experts_per_tok");
  EXPECT_EQ(fields[0].type, "int");
  EXPECT_EQ(fields[0].default_text, "8");
  EXPECT_EQ(fields[0].help, "experts chosen per token");
  EXPECT_EQ(fields[2].type, "int or none");
  EXPECT_EQ(fields[3].type, "list of ints or none");
  EXPECT_EQ(fields[3].default_text, "none");
  EXPECT_EQ(fields[12].type, "list of floats");
  RunConfig c;
  EXPECT_EQ(fields_of(c).sections()[1].key, "model.rope");
}

TEST(NearestName, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("top_k", "topk"), 1);
  EXPECT_EQ(edit_distance("sgin", "sign"), 1);  // a swap
  const std::vector<std::string> known = {"none", "sign", "sign_centered"};
  EXPECT_EQ(nearest_name("sign_centred", known), "sign_centered");
  EXPECT_EQ(nearest_name("x", {}), "");
}

}  // namespace
}  // namespace ballast
