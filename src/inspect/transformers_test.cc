// What we write opens in transformers, which computes the same logits from it, and the same MTP logits in its MtpModel
// (tools/open_in_transformers.py). Each family, initialized at random, saved as training saves; converted; in FP8.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "base/testing.h"
#include "formats/safetensors_writer.h"
#include "inspect/convert.h"
#include "model/weights.h"
#include "train/step.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kRows = 2, kLength = 12;

ModelConfig v3() {
  ModelConfig c;
  c.vocab_size = 61, c.hidden_size = 24, c.intermediate_size = 40, c.moe_intermediate_size = 12;
  c.num_hidden_layers = 3, c.num_attention_heads = 2, c.n_routed_experts = 12, c.num_experts_per_tok = 3;
  c.n_group = 4, c.topk_group = 2, c.q_lora_rank = 14, c.kv_lora_rank = 10, c.qk_nope_head_dim = 6;
  c.qk_rope_head_dim = 8, c.v_head_dim = 5, c.first_k_dense_replace = 1;
  c.rope_scaling = {
      .type = "yarn", .factor = 4, .mscale = 1, .mscale_all_dim = 0.8, .original_max_position_embeddings = 64};
  c.max_position_embeddings = 256;
  return c;
}
ModelConfig moonlight() {
  ModelConfig c = v3();
  c.q_lora_rank = std::nullopt, c.n_group = c.topk_group = 1, c.n_shared_experts = 2, c.num_nextn_predict_layers = 0;
  c.routed_scaling_factor = 2.446, c.rms_norm_eps = 1e-5, c.rope_scaling = {}, c.rope_theta = 50000;
  return c;
}
ModelConfig v2() {
  ModelConfig c = v3();
  c.scoring_func = "softmax", c.topk_method = "group_limited_greedy", c.norm_topk_prob = false,
  c.num_nextn_predict_layers = 0;
  c.routed_scaling_factor = 16, c.n_shared_experts = 2, c.rope_scaling = {};
  return c;
}
ModelConfig v2_lite() {
  ModelConfig c = v2();
  c.q_lora_rank = std::nullopt, c.topk_method = "greedy", c.n_group = c.topk_group = 1, c.routed_scaling_factor = 1;
  return c;
}

// Weights large enough for decisive routing, and biases on both sides of zero.
void fill(ParamStore& params, const ModelConfig& config) {
  params.initialize(5, 0.15);
  std::vector<double> bias(static_cast<size_t>(config.n_routed_experts));
  for (size_t e = 0; e < bias.size(); ++e) bias[e] = 0.1 * std::sin(3.0 * static_cast<double>(e));
  for (const int layer : config.moe_layers())
    if (const ParamId id = params.table().model.block(layer).moe.bias; id != kNoParam)
      params.write(id, 0, bias.data(), std::ssize(bias));
  params.refresh();
}

std::vector<float> rows_of(const Tensor& t, const std::vector<int64_t>& rows) {
  std::vector<float> out;
  for (const int64_t r : rows) out.insert(out.end(), t.as<float>() + r * t[1], t.as<float>() + (r + 1) * t[1]);
  return out;
}

// Writes what we compute from a folder's weights.
void write_results(const fs::path& folder, const fs::path& file) {
  const ModelConfig config = read_model_config(folder);
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(config), {});
  load_weights(params, Checkpoint::open(folder));
  Model model(config, params);
  Batch batch(kRows, kLength, kRows);
  std::vector<int64_t> ids;
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < kLength; ++i)
      tokens.push_back(static_cast<int32_t>((r * 29 + i * i * 5 + i) % config.vocab_size));
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    set_row(batch, r, tokens, std::vector<int64_t>(kLength, 0), true);
  }
  TrainStep step(model, batch, {.backward = false});
  step.begin();
  Trace trace;
  step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true, &trace);
  std::vector<float> memory(static_cast<size_t>(kRows * kLength * config.vocab_size));
  const Tensor logits(memory.data(), DType::f32, {kRows * kLength, config.vocab_size});
  model.logits(step.context(), trace.hidden.back(), logits);
  const std::vector<float> next = memory;
  std::vector<TensorSpec> specs = {{"input_ids", FileDType::i64, {kRows, kLength}},
                                   {"logits", FileDType::f32, {kRows, kLength, config.vocab_size}}};
  std::vector<float> mtp;
  if (config.num_nextn_predict_layers > 0) {
    model.logits(step.context(), trace.mtp_hidden, logits);
    std::vector<int64_t> with_next;
    for (int64_t t = 0; t < kRows * kLength; ++t)
      if (t % kLength + 1 < kLength) with_next.push_back(t);
    mtp = rows_of(logits, with_next);
    specs.push_back({"mtp_logits", FileDType::f32, {kRows, kLength - 1, config.vocab_size}});
  }
  write_safetensors(file, specs, [&](size_t i, const TensorSink& sink) {
    if (i == 0)
      sink(std::as_bytes(std::span(ids)));
    else
      sink(std::as_bytes(std::span(i == 1 ? next : mtp)));
  });
}

class SlowTransformers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!python_accepts("import torch, transformers, safetensors"))
      GTEST_SKIP()
          << "no Python with torch, transformers and safetensors (tools/transformers_venv makes one, BALLAST_PYTHON "
             "names it)";
  }
  fs::path saved(const ModelConfig& config, const std::string& name, DType dtype = DType::f32) {
    const auto device = Device::make(DeviceKind::cpu, 1);
    ParamStore params(*device, make_param_table(config), {});
    fill(params, config);
    save_weights(params, config, work_.path() / name, {.dtype = dtype});
    return work_.path() / name;
  }
  // The exit status of the script; what it printed is in `said`.
  int open_in_transformers(const fs::path& folder, std::string& said) {
    const fs::path results = work_.path() / (folder.filename().string() + ".safetensors"), log = work_.path() / "log";
    if (!fs::exists(results)) write_results(folder, results);
    const std::string command = python_program() + " " + BALLAST_SOURCE_DIR + "/tools/open_in_transformers.py " +
                                folder.string() + " " + results.string() + " >" + log.string() + " 2>&1";
    const int status = std::system(command.c_str());
    said = read_file(log);
    std::printf("%s\n%s", folder.filename().c_str(), said.c_str());
    return status;
  }
  void expect_equal(const fs::path& folder) {
    std::string said;
    EXPECT_EQ(open_in_transformers(folder, said), 0) << folder << "\n" << said;
  }

  TemporaryFolder work_;
};

TEST_F(SlowTransformers, EveryFamilyAsTrainingSavesIt) {
  expect_equal(saved(v3(), "v3"));
  expect_equal(saved(moonlight(), "moonlight"));
  expect_equal(saved(v2(), "v2"));
  expect_equal(saved(v2_lite(), "v2-lite"));
}

TEST_F(SlowTransformers, TiedBiasedAndInBf16) {
  ModelConfig c = v3();
  c.tie_word_embeddings = c.attention_bias = true;
  expect_equal(saved(c, "tied", DType::bf16));
}

TEST_F(SlowTransformers, AConvertedOneInSeveralFiles) {
  const fs::path from = saved(v3(), "v3"), to = work_.path() / "converted";
  convert(from, to, {.dtype = "bf16", .max_shard_bytes = 20'000});
  expect_equal(to);
}

// Sides up to 128, or multiples of it: transformers 5.23 takes the rows over the rows of scales for a block's height.
TEST_F(SlowTransformers, InFp8) {
  if (!python_accepts("import accelerate"))
    GTEST_SKIP() << "no Python with accelerate, which transformers needs for FP8";
  ModelConfig c = v3();
  c.hidden_size = 128, c.intermediate_size = 256, c.num_nextn_predict_layers = 0, c.moe_intermediate_size = 128;
  const fs::path to = work_.path() / "fp8";
  convert(saved(c, "wide"), to, {.dtype = "fp8"});
  expect_equal(to);
}

TEST_F(SlowTransformers, AWrongWeightIsFound) {
  const fs::path folder = saved(v3(), "v3");
  write_results(folder, work_.path() / "v3.safetensors");
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(v3()), {});
  load_weights(params, Checkpoint::open(folder));
  const double other = 0.5;
  params.write(params.table().model.mtp[0].projection, 3, &other, 1);
  save_weights(params, v3(), folder, {});
  std::string said;
  EXPECT_NE(open_in_transformers(folder, said), 0);
  EXPECT_NE(said.find("mtp_logits differs"), std::string::npos) << said;
  EXPECT_EQ(said.find(": logits differs"), std::string::npos) << said;
}

}  // namespace
}  // namespace ballast
