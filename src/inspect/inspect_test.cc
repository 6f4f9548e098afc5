#include "inspect/inspect.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/testing.h"
#include "inspect/convert.h"
#include "inspect/edited_model.h"
#include "inspect/weight_statistics.h"
#include "model/weights.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;
using testing::edited_model, testing::rewritten_model, testing::tiny_bias, testing::tiny_model;

const Json& layer_of(const Json& found, int64_t layer) {
  for (const Json& r : found.at("routers").as_array())
    if (r.at("layer").as_int() == layer) return r;
  static const Json none;
  return none;
}

TEST(Inspect, AModelFolder) {
  const Json found = inspect(tiny_model(), false);
  const Checkpoint c = Checkpoint::open(tiny_model());
  int64_t elements = 0;
  for (const std::string& name : c.names())
    if (!name.ends_with("e_score_correction_bias")) elements += c.at(name).elements();
  EXPECT_EQ(found.at("parameters").at("total").as_int(), elements);
  EXPECT_LT(found.at("parameters").at("active").as_int(), elements);
  EXPECT_EQ(found.at("shape").at("family").as_string(), "deepseek_v3");
  EXPECT_TRUE(found.at("tensors").at("missing").as_array().empty());
  EXPECT_FALSE(found.find("list"));
  const Json& memory = found.at("memory");
  EXPECT_EQ(memory.at("serve").at("bf16").as_int(), 2 * elements);
  EXPECT_EQ(memory.at("serve").at("as_stored").as_int(), static_cast<int64_t>(c.total_bytes()));
  EXPECT_EQ(memory.at("train").at("bf16").at("total").as_int(), (2 + 4 + 4 + 8) * elements);
  EXPECT_EQ(memory.at("train").at("f32").at("total").as_int(), (4 + 4 + 8) * elements);

  const auto bias = testing::floats_of(tiny_model(), tiny_bias(1));
  double mean = 0, squares = 0;
  for (const float b : bias) mean += b / 12;
  for (const float b : bias) squares += (b - mean) * (b - mean) / 12;
  const Json& router = layer_of(found, 1);
  EXPECT_NEAR(router.at("bias").at("mean").as_double(), mean, 1e-9);
  EXPECT_NEAR(router.at("bias").at("deviation").as_double(), std::sqrt(squares), 1e-9);
  EXPECT_EQ(router.at("bias").at("max").as_double(), *std::max_element(bias.begin(), bias.end()));
  const auto gate = testing::floats_of(tiny_model(), "model.layers.1.mlp.gate.weight");
  double longest = 0;
  for (size_t e = 0; e < 12; ++e) {
    double norm = 0;
    for (size_t i = 0; i < 26; ++i) norm += static_cast<double>(gate[e * 26 + i]) * gate[e * 26 + i];
    longest = std::max(longest, std::sqrt(norm));
  }
  EXPECT_NEAR(router.at("gate").at("row_norm_max").as_double(), longest, 1e-9);
  EXPECT_EQ(found.at("routers").as_array().size(), 2u);

  const std::string text = inspect_text(found);
  for (const char* part :
       {"all that the shape needs are there", "to serve", "to train", "routers", "layer   2", "cache"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_NE(inspect_text(inspect(tiny_model(), true)).find("model.layers.2.eh_proj.weight"), std::string::npos);
}

TEST(Inspect, NamesWhatIsMissingUnexpectedOrOfAnotherShape) {
  const TemporaryFolder work;
  const std::string gone = "model.layers.1.mlp.experts.3.up_proj.weight";
  const fs::path folder =
      edited_model(work.path() / "m", {{gone, {}},
                                       {"model.layers.1.mlp.gate.bias", {{{1, 2}}, FileDType::f32, {2}}},
                                       {"model.layers.2.embed_tokens.weight", {{{1}}, FileDType::f32, {1}}}});
  Json config = Json::read(folder / "config.json");
  config["vocab_size"] = 66;
  write_file_atomic(folder / "config.json", config.dump());
  const Json found = inspect(folder, false), &tensors = found.at("tensors");
  ASSERT_EQ(tensors.at("missing").as_array().size(), 1u);
  EXPECT_EQ(tensors.at("missing").as_array()[0].as_string(), gone);
  ASSERT_EQ(tensors.at("unexpected").as_array().size(), 1u);
  EXPECT_EQ(tensors.at("unexpected").as_array()[0].as_string(), "model.layers.1.mlp.gate.bias");
  EXPECT_EQ(tensors.at("copies_of_embedding_and_head").as_array().size(), 1u);
  EXPECT_EQ(tensors.at("of_another_shape").as_array().size(), 2u);
  const std::string text = inspect_text(found);
  EXPECT_NE(text.find("1 missing:\n  " + gone), std::string::npos) << text;
  EXPECT_NE(text.find("lm_head.weight is (67, 26), the shape needs (66, 26)"), std::string::npos) << text;
}

TEST(Inspect, AConfigOrAWeightFileAlone) {
  const Json shape = inspect(tiny_model() / "config.json", false);
  EXPECT_TRUE(shape.find("memory"));
  EXPECT_FALSE(shape.find("weights"));
  EXPECT_NE(inspect_text(shape).find("parameters"), std::string::npos);
  const Json file = inspect(tiny_model() / "model.safetensors", false);
  EXPECT_FALSE(file.find("shape"));
  EXPECT_EQ(file.at("list").as_array().size(), static_cast<size_t>(file.at("weights").at("tensors").as_int()));
  EXPECT_NE(inspect_text(file).find("lm_head.weight"), std::string::npos);
  EXPECT_THROW(inspect(tiny_model() / "none", false), Error);
  EXPECT_THROW(inspect(fs::path(BALLAST_SOURCE_DIR) / "README.md", false), Error);
}

// As transformers saves a model: config.json goes on naming the MTP layer.
TEST(Inspect, MtpLayersThatTheFilesLeaveOut) {
  const TemporaryFolder work;
  const std::string mtp = "model.layers." + std::to_string(read_model_config(tiny_model()).num_hidden_layers) + ".";
  std::map<std::string, testing::Edit> without;
  const Checkpoint whole = Checkpoint::open(tiny_model());
  for (const std::string& name : whole.names())
    if (name.starts_with(mtp)) without[name] = {};
  ASSERT_FALSE(without.empty());
  edited_model(work.path(), without);
  EXPECT_EQ(read_model_config(work.path()).num_nextn_predict_layers, 1);
  EXPECT_EQ(read_model_config(work.path(), Checkpoint::open(work.path())).num_nextn_predict_layers, 0);
  const Json found = inspect(work.path(), false);
  EXPECT_TRUE(found.at("tensors").at("missing").as_array().empty());
  EXPECT_NE(inspect_text(found).find("1 layer that config.json names"), std::string::npos) << inspect_text(found);
  without.erase(without.begin());  // one tensor left: the layer is there, and torn
  edited_model(work.path(), without);
  EXPECT_EQ(inspect(work.path(), false).at("tensors").at("missing").as_array().size(), without.size());
}

TEST(Inspect, Fp8Scales) {
  const TemporaryFolder work;
  convert(tiny_model(), work.path() / "fp8", {.dtype = "fp8"});
  const Json found = inspect(work.path() / "fp8", false), &fp8 = found.at("fp8");
  EXPECT_GT(fp8.at("scales").as_int(), 20);
  EXPECT_EQ(fp8.at("degenerate_scales").as_int(), 0);
  EXPECT_EQ(found.at("tensors").at("scales").as_int(), fp8.at("tensors").as_int());
  double low = INFINITY, high = 0;
  const Checkpoint c = Checkpoint::open(work.path() / "fp8");
  for (const std::string& name : c.names())
    if (name.ends_with("_scale_inv"))
      for (const float s : testing::floats_of(work.path() / "fp8", name))
        low = std::min<double>(low, s), high = std::max<double>(high, s);
  EXPECT_EQ(fp8.at("smallest_scale").as_double(), low);
  EXPECT_EQ(fp8.at("largest_scale").as_double(), high);
  EXPECT_NE(inspect_text(found).find("0 degenerate"), std::string::npos);
}

TEST(Inspect, Fp8ScalesThatCannotBe) {
  const TemporaryFolder work;
  const std::vector<std::byte> codes(200 * 130);
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> scales = {1, 0, inf, 1e-40f}, few = {1, 1};
  const std::vector<TensorSpec> specs = {{"a", FileDType::f8_e4m3, {200, 130}},
                                         {"a_scale_inv", FileDType::f32, {2, 2}},
                                         {"b", FileDType::f8_e4m3, {200, 130}},
                                         {"b_scale_inv", FileDType::f32, {1, 2}},
                                         {"c", FileDType::f8_e4m3, {200, 130}}};
  write_safetensors(work.path() / "m.safetensors", specs, [&](size_t i, const TensorSink& sink) {
    if (i == 1)
      sink(std::as_bytes(std::span(scales)));
    else if (i == 3)
      sink(std::as_bytes(std::span(few)));
    else
      sink(codes);
  });
  const Fp8Statistics s = fp8_statistics(Checkpoint::open(work.path() / "m.safetensors"));
  EXPECT_EQ(s.tensors, 3);
  EXPECT_EQ(s.scales, 4);
  EXPECT_EQ(s.degenerate, 3);
  EXPECT_EQ(s.smallest, 1);
  EXPECT_EQ(s.bad,
            (std::vector<std::string>{"a: 3 degenerate scales, 1 of them not finite",
                                      "b of (200, 130): its scales are of (1, 2)", "c: its scales are missing"}));
  EXPECT_EQ(s.lost, s.bad);
}

TEST(Inspect, ShardsWithoutTheirIndex) {
  const TemporaryFolder work;
  const fs::path folder = edited_model(work / "m", {});
  fs::rename(folder / "model.safetensors", folder / "weights-1.safetensors");
  const Json found = inspect(folder, false);
  EXPECT_EQ(found.at("files_without_index").dump(), "[\"weights-1.safetensors\"]");
  const std::string text = inspect_text(found);
  EXPECT_NE(text.find("model.safetensors.index.json"), std::string::npos) << text;
  EXPECT_NE(text.find("1 safetensors:\n  weights-1.safetensors"), std::string::npos) << text;
  EXPECT_EQ(text.find("none here"), std::string::npos) << text;
}

TEST(Inspect, TypesThatNothingHereComputesIn) {
  const TemporaryFolder work;
  const std::string gate = "model.layers.1.mlp.gate.weight";
  const fs::path folder = rewritten_model(tiny_model(), work / "m", [&](auto& tensors) {
    tensors["extra"] = {{"extra", FileDType::i8, {3}}, std::vector<std::byte>(3)};
    tensors[gate].spec.dtype = FileDType::u32;
  });
  const Json found = inspect(folder, true);
  EXPECT_EQ(found.at("weights").at("dtypes").at("I8").as_int(), 1);
  EXPECT_EQ(found.at("tensors").at("unexpected").dump(), "[\"extra\"]");
  EXPECT_FALSE(layer_of(found, 1).at("gate").find("row_norm_min"));
  const std::string text = inspect_text(found);
  EXPECT_NE(text.find("layer   1  U32 cannot be decoded"), std::string::npos) << text;
}

TEST(Inspect, NamesDoNotWriteToTheTerminal) {
  const TemporaryFolder work;
  const std::string name = "a\x1B[31m\nlayer";
  const fs::path folder = edited_model(work / "m", {{name, {{{1}}, FileDType::f32, {1}}}});
  const Json found = inspect(folder, true);
  const std::string text = inspect_text(found);
  EXPECT_EQ(text.find('\x1B'), std::string::npos) << text;
  EXPECT_NE(text.find("1 unexpected, not used:\n  a\\x1b[31m\\nlayer\n"), std::string::npos) << text;
  EXPECT_EQ(found.at("tensors").at("unexpected").as_array()[0].as_string(), name);
}

}  // namespace
}  // namespace ballast
