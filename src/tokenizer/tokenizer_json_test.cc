// What a tokenizer.json may hold and what it gets when it is wrong.
#include "tokenizer/tokenizer_json.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "tokenizer/sample_test.h"

namespace ballast {
namespace {

const Json& sample_json() {
  static const Json json = Json::parse(tokenizer_json_text(sample_tokenizer(270).spec()));
  return json;
}

// The message of the error that the file gets, "" where it is accepted.
std::string text_message(std::string_view text) {
  try {
    TokenizerSpec spec = parse_tokenizer_json(text, "t.json");
    assign_control(spec, "config");
    Tokenizer(std::move(spec), "t.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
std::string message(const Json& json) { return text_message(json.dump()); }

#define EXPECT_MESSAGE(json, part) EXPECT_NE(message(json).find(part), std::string::npos) << message(json)

TEST(TokenizerJson, AcceptsWhatItWrites) { EXPECT_EQ(message(sample_json()), ""); }

TEST(TokenizerJson, MergesAsTextOrPairsAndUnknownFields) {
  Json json = sample_json();
  json["a_new_field"] = Json::Array{1, 2};
  json["model"]["another"] = "x";
  const Json pairs = json;
  for (Json& merge : json["model"]["merges"].as_array())
    merge = merge.as_array()[0].as_string() + " " + merge.as_array()[1].as_string();
  EXPECT_EQ(parse_tokenizer_json(json.dump(), "a").merges, parse_tokenizer_json(pairs.dump(), "b").merges);
}

TEST(TokenizerJson, EveryTruncationIsAnError) {
  const std::string text = sample_json().dump();
  for (size_t n = 0; n < text.size(); n += n < 3000 ? 7 : 101) EXPECT_NE(text_message(text.substr(0, n)), "") << n;
}

TEST(TokenizerJson, RandomDamageIsAnErrorOrHarmless) {
  const std::string text = sample_json().dump();
  Rng rng(5);
  for (int i = 0; i < 400; ++i) {
    std::string damaged = text;
    for (uint64_t n = 1 + rng.below(3); n > 0; --n) {
      const size_t at = rng.below(4) ? rng.below(damaged.size()) : rng.below(1500);  // more often in the small sections
      damaged[at] = static_cast<char>(rng.below(3) ? damaged[rng.below(damaged.size())] : rng.below(256));
    }
    try {
      TokenizerSpec spec = parse_tokenizer_json(damaged, "t.json");
      assign_control(spec, "config");
      const Tokenizer t(std::move(spec), "t.json");
      EXPECT_EQ(t.decode(t.encode(kSampleCode)), kSampleCode) << damaged.substr(0, 2000);
    } catch (const Error&) {
    }
  }
}

TEST(TokenizerJson, EveryMissingOrMistypedKeyIsAnErrorOrHarmless) {
  for (size_t i = 0; i < sample_json().as_object().size(); ++i) {
    for (const Json& value : {Json(), Json(7), Json("x"), Json(Json::Array{Json(), Json(1)}), Json::object()}) {
      Json json = sample_json();
      json.as_object()[i].second = value;
      message(json);  // must not crash
    }
  }
  for (size_t i = 0; i < sample_json().at("model").as_object().size(); ++i) {
    for (const Json& value : {Json(), Json(7), Json("x"), Json(Json::Array{Json(), Json(1)}), Json::object()}) {
      Json json = sample_json();
      json["model"].as_object()[i].second = value;
      message(json);
    }
  }
  Json json = sample_json();
  json.as_object().pop_back();
  EXPECT_MESSAGE(json, "t.json: key 'model' is missing");
}

TEST(TokenizerJson, Ids) {
  Json json = sample_json();
  json["model"]["vocab"]["x!"] = int64_t{1} << 40;
  EXPECT_MESSAGE(json, "t.json: model.vocab.x!: the id 1099511627776 is out of range");
  json["model"]["vocab"]["x!"] = -1;
  EXPECT_MESSAGE(json, "out of range");
  json["model"]["vocab"]["x!"] = 20;
  EXPECT_MESSAGE(json, "have the same id 20");
  json["model"]["vocab"]["x!"] = "20";
  EXPECT_MESSAGE(json, "the id of 'x!' is a string, not an integer");
  json["model"]["vocab"]["x!"] = 80000;  // a small file that asks for a large table
  EXPECT_MESSAGE(json, "the id 80000 is out of range (0 to 6");
  json["model"]["vocab"]["x!"] = 5000;  // holes are fine
  EXPECT_EQ(message(json), "");
  json = sample_json();
  json["model"]["vocab"].as_object().erase(json["model"]["vocab"].as_object().begin() + 50);
  EXPECT_MESSAGE(json, "there is no token for the byte 0x4D ('M')");
}

TEST(TokenizerJson, Merges) {
  Json json = sample_json();
  json["model"]["merges"].push_back(Json::Array{"a", "nobody"});
  EXPECT_MESSAGE(json, "t.json: model.merges[8]: the token 'nobody' is not in model.vocab");
  json["model"]["merges"].as_array().back() = Json::Array{"#", "!"};
  EXPECT_MESSAGE(json, "the token '#!' is not in model.vocab");
  json["model"]["merges"].as_array().back() = "a b c";
  EXPECT_MESSAGE(json, "'a b c' is not two tokens");
  json["model"]["merges"].as_array().back() = Json::Array{"a"};
  EXPECT_MESSAGE(json, "a merge of 1 tokens");
  json["model"]["merges"].as_array().back() = 3;
  EXPECT_MESSAGE(json, "model.merges[8]");
}

TEST(TokenizerJson, AddedTokens) {
  const auto with = [](Json token) {
    Json json = sample_json();
    json["added_tokens"].push_back(std::move(token));
    return json;
  };
  EXPECT_EQ(message(with(Json::Object{{"id", 300}, {"content", "<x>"}})), "");
  EXPECT_MESSAGE(with(Json::Object{{"id", 300}, {"content", ""}}),
                 "t.json: added_tokens[6]: an added token is the empty");
  EXPECT_MESSAGE(with(Json::Object{{"id", 100}, {"content", "<x>"}}), "which is that of");
  EXPECT_MESSAGE(with(Json::Object{{"id", 300}, {"content", "a"}}), "in model.vocab");
  EXPECT_MESSAGE(with(Json::Object{{"id", 0}, {"content", "<x>"}}), "which is that of");
  EXPECT_MESSAGE(with(Json::Object{{"id", 0}, {"content", "<｜begin▁of▁sentence｜>"}}), "is listed twice");
  EXPECT_MESSAGE(with(Json::Object{{"id", 300}, {"content", "<x>"}, {"lstrip", true}}), "lstrip");
  EXPECT_MESSAGE(with(Json::Object{{"content", "<x>"}}), "key 'id' is missing");
  EXPECT_MESSAGE(with(Json::Object{{"id", int64_t{1} << 33}, {"content", "<x>"}}), "out of range");
}

TEST(TokenizerJson, UnknownComponentsAreRefusedByName) {
  const auto with = [](const char* section, const char* text) {
    Json json = sample_json();
    json[section] = Json::parse(text);
    return json;
  };
  EXPECT_MESSAGE(with("normalizer", R"({"type": "NFC"})"), "t.json: normalizer: the normalizer 'NFC' is not supported");
  EXPECT_EQ(message(with("normalizer", R"({"type": "Sequence", "normalizers": []})")), "");
  EXPECT_MESSAGE(with("pre_tokenizer", R"({"type": "Whitespace"})"), "t.json: pre_tokenizer: the pre_tokenizer 'White");
  EXPECT_MESSAGE(with("decoder", R"({"type": "WordPiece"})"), "t.json: decoder: 'WordPiece' is not supported");
  EXPECT_MESSAGE(with("decoder", "null"), "there is no decoder");
  EXPECT_MESSAGE(with("post_processor", R"({"type": "BertProcessing"})"), "'BertProcessing' is not supported");
  EXPECT_EQ(message(with("post_processor", R"({"type": "TemplateProcessing", "single": []})")), "");
  EXPECT_MESSAGE(with("model", R"({"type": "Unigram", "vocab": []})"), "model.type: the model 'Unigram'");
  Json json = sample_json();
  json["model"]["byte_fallback"] = true;
  EXPECT_MESSAGE(json, "t.json: model.byte_fallback: the setting true is not supported");
}

class TokenizerConfig : public FolderTest {
 protected:
  void SetUp() override {
    Json json = sample_json();
    for (const char* text : {"<s>", "[turn]", "<|User|>", "<pad>", "plain"})
      json["added_tokens"].push_back(Json::Object{{"id", next_id_++}, {"content", text}, {"special", false}});
    write_file_atomic(folder / "tokenizer.json", json.dump());
  }
  Tokenizer load(std::string_view config) {
    write_file_atomic(folder / "tokenizer_config.json", config);
    return Tokenizer::load(folder / "tokenizer.json");
  }
  int next_id_ = 300;
};

TEST_F(TokenizerConfig, NamesControlTokens) {
  const Tokenizer t = load(R"({"bos_token": "<s>", "eos_token": {"content": "<｜end▁of▁sentence｜>"}, "pad_token": null,
                               "additional_special_tokens": ["[turn]"], "chat_template": "{{ x }}"})");
  EXPECT_EQ(t.control().bos, 300);
  EXPECT_EQ(t.control().eos, 1);
  EXPECT_EQ(t.control().pad, 2);
  for (const int32_t id : {0, 1, 5, 300, 301, 302, 303}) EXPECT_TRUE(t.is_control(id)) << id;
  EXPECT_EQ(t.encode("plain"), (std::vector<int32_t>{304}));
  EXPECT_EQ(t.encode_with_control("[turn]<|User|>"), (std::vector<int32_t>{301, 302}));
  EXPECT_GT(t.encode("[turn]").size(), 1u);
  t.save(folder / "tokenizer.json");
  const Tokenizer again = Tokenizer::load(folder / "tokenizer.json");
  EXPECT_EQ(again.control_strings(), t.control_strings());
  EXPECT_EQ(again.control().bos, 300);
  EXPECT_EQ(Json::read(folder / "tokenizer_config.json").at("chat_template").as_string(), "{{ x }}");
}

TEST_F(TokenizerConfig, MistakesAreNamed) {
  const auto error = [&](std::string_view config) -> std::string {
    try {
      load(config);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_NE(error(R"({"bos_token": "<none>"})").find("tokenizer_config.json: bos_token: the token '<none>' is not in"),
            std::string::npos);
  EXPECT_NE(error(R"({"eos_token": 3})").find("tokenizer_config.json: eos_token"), std::string::npos);
  EXPECT_NE(error(R"({"pad_token": "!"})").find("the control token '!' is also the token of a byte"),
            std::string::npos);
  EXPECT_NE(error("[]").find("expected an object"), std::string::npos);
  EXPECT_NE(error("{").find("tokenizer_config.json:1"), std::string::npos);
}

}  // namespace
}  // namespace ballast
