#include "model/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/json.h"
#include "base/rng.h"
#include "base/testing.h"
#include "formats/fp8_blocks.h"
#include "formats/safetensors_writer.h"

namespace ballast {
namespace {

ModelConfig small_config() {
  ModelConfig c;
  c.vocab_size = 40, c.hidden_size = 150, c.intermediate_size = 20, c.moe_intermediate_size = 9;
  c.num_hidden_layers = 2, c.num_attention_heads = 2, c.n_routed_experts = 8, c.num_experts_per_tok = 2;
  c.n_group = 4, c.topk_group = 2, c.q_lora_rank = 130, c.kv_lora_rank = 12, c.qk_nope_head_dim = 6;
  c.qk_rope_head_dim = 4, c.v_head_dim = 5, c.first_k_dense_replace = 1, c.num_nextn_predict_layers = 0;
  return c;
}

struct FileTensorData {
  TensorSpec spec;
  std::vector<std::byte> bytes;
};

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& v) {
  const auto b = std::as_bytes(std::span<const T>(v));
  return {b.begin(), b.end()};
}

// A checkpoint of this shape in FP8 as the hub's, and what its tensors' values are.
struct Fp8Checkpoint {
  std::vector<FileTensorData> tensors;
  std::map<std::string, std::vector<float>> values;

  explicit Fp8Checkpoint(const ModelConfig& config) {
    uint64_t stream = 0;
    for (const Param& p : make_param_table(config).list)
      for (const HubTensor& t : p.hub) {
        Rng rng(9, ++stream);
        std::vector<float> v(static_cast<size_t>(t.size()));
        for (float& x : v) x = static_cast<float>(0.1 * rng.normal());
        if (p.kind == ParamKind::matrix && !t.name.ends_with("embed_tokens.weight") && t.name != "lm_head.weight") {
          const Fp8Matrix m = quantize_fp8({t.shape[0], t.shape[1]}, v, t.name);
          tensors.push_back({{t.name, FileDType::f8_e4m3, t.shape}, m.codes});
          tensors.push_back(
              {{scale_name(t.name), FileDType::f32, {m.shape.block_rows(), m.shape.block_cols()}}, bytes_of(m.scales)});
          dequantize_fp8<float>(m.shape, m.codes, m.scales, 0, t.shape[0], v);
        } else {
          tensors.push_back({{t.name, FileDType::f32, t.shape}, bytes_of(v)});
        }
        values[t.name] = v;
      }
  }

  Checkpoint write(const std::filesystem::path& folder) const {
    std::vector<TensorSpec> specs;
    for (const FileTensorData& t : tensors) specs.push_back(t.spec);
    write_model_folder(folder, specs, [&](size_t i, const TensorSink& sink) { sink(tensors[i].bytes); });
    return Checkpoint::open(folder);
  }
  FileTensorData& find(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const FileTensorData& t) { return t.spec.name == name; });
  }
};

std::string load_error(const ModelConfig& config, const Fp8Checkpoint& file) {
  const TemporaryFolder folder;
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(config), {});
  try {
    load_weights(params, file.write(folder.path()));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Weights, Fp8IsDequantizedToTheComputeType) {
  const ModelConfig config = small_config();
  const Fp8Checkpoint file(config);
  const TemporaryFolder folder;
  const Checkpoint checkpoint = file.write(folder.path());
  struct Kind {
    DeviceKind device;
    ParamStore::Options options;
  };
  for (const Kind& kind :
       {Kind{DeviceKind::cpu, {.storage = DType::f32}}, Kind{DeviceKind::cpu, {.storage = DType::bf16}},
        Kind{DeviceKind::cpu, {.storage = DType::bf16, .training = true}},
        Kind{DeviceKind::ref, {.storage = DType::f64}}, Kind{DeviceKind::ref, {.storage = DType::c128}}}) {
    const auto device = Device::make(kind.device, 1);
    ParamStore params(*device, make_param_table(config), kind.options);
    load_weights(params, checkpoint);
    const auto& list = params.table().list;
    for (size_t id = 0; id < list.size(); ++id)
      for (const HubTensor& t : list[id].hub) {
        std::vector<double> got(static_cast<size_t>(t.size()));
        params.read(static_cast<ParamId>(id), t.offset, got.data(), t.size());
        const std::vector<float>& want = file.values.at(t.name);
        const bool rounded = params.stored(static_cast<ParamId>(id)).dtype == DType::bf16;
        for (size_t i = 0; i < want.size(); ++i)
          ASSERT_EQ(got[i], rounded ? static_cast<float>(bf16(want[i])) : want[i]) << t.name;
      }
  }
}

TEST(Weights, BadFp8NamesTheTensor) {
  const ModelConfig config = small_config();
  const std::string name = "model.layers.0.mlp.gate_proj.weight";
  EXPECT_EQ(load_error(config, Fp8Checkpoint(config)), "");
  Fp8Checkpoint missing(config);
  std::erase_if(missing.tensors, [&](const FileTensorData& t) { return t.spec.name == scale_name(name); });
  EXPECT_NE(load_error(config, missing).find(name + "': is F8_E4M3, but its scales"), std::string::npos)
      << load_error(config, missing);
  Fp8Checkpoint cut(config);
  cut.find(scale_name(name)) = {{scale_name(name), FileDType::f32, {1, 1}}, std::vector<std::byte>(4)};
  EXPECT_NE(load_error(config, cut).find(scale_name(name) + "': expected shape (1, 2), found (1, 1)"),
            std::string::npos)
      << load_error(config, cut);
  Fp8Checkpoint narrow(config);
  narrow.find(name) = {{name, FileDType::f8_e4m3, {20, 149}}, std::vector<std::byte>(20 * 149)};
  EXPECT_NE(load_error(config, narrow).find("expected shape (20, 150), found (20, 149)"), std::string::npos);
  Fp8Checkpoint vector(config);
  vector.find("model.norm.weight") = {{"model.norm.weight", FileDType::f8_e4m3, {150}}, std::vector<std::byte>(150)};
  EXPECT_NE(load_error(config, vector).find("only matrices"), std::string::npos);
}

// The router's bias is f32 whatever the model computes in: at 7, a step of bf16 is 1/32, and rules move it by 1e-3.
TEST(Weights, TheRoutersBiasIsNeverRounded) {
  const ModelConfig config = small_config();
  const TemporaryFolder folder;
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(config), {.storage = DType::bf16, .training = true});
  params.initialize(1, 0.02);
  const ParamId id = params.table().model.blocks[1].moe.bias;
  const std::vector<double> bias = {6.817f, 6.818f, 6.819f, 6.820f, 7.060f, 7.061f, 7.062f, 7.063f};
  params.write(id, 0, bias.data(), 8);
  EXPECT_EQ(params.weight(id).dtype, DType::f32);  // what the gate reads
  save_weights(params, config, folder.path(), {.dtype = DType::bf16});
  const Checkpoint file = Checkpoint::open(folder.path());
  EXPECT_EQ(file.at("model.layers.1.mlp.gate.e_score_correction_bias").dtype, FileDType::f32);
  ParamStore serving(*device, make_param_table(config), {.storage = DType::bf16});
  load_weights(serving, file);
  std::vector<double> got(8);
  serving.read(id, 0, got.data(), 8);
  EXPECT_EQ(got, bias);
  EXPECT_EQ(serving.weight(id).dtype, DType::f32);
}

TEST(Weights, BiasesAndTiedHeadAreTheHubs) {
  ModelConfig config = small_config();
  config.attention_bias = config.tie_word_embeddings = true;
  const ParamTable table = make_param_table(config);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const Param& p : table.list)
    for (const HubTensor& t : p.hub) EXPECT_TRUE(shapes.emplace(t.name, t.shape).second) << t.name;
  EXPECT_EQ(shapes.count("lm_head.weight"), 0u);
  EXPECT_EQ(table.model.head, table.model.embedding);
  const std::string attention = "model.layers.1.self_attn.";
  EXPECT_EQ(shapes.at(attention + "q_a_proj.bias"), std::vector<int64_t>{130});
  EXPECT_EQ(shapes.at(attention + "kv_a_proj_with_mqa.bias"), std::vector<int64_t>{16});
  EXPECT_EQ(shapes.at(attention + "o_proj.bias"), std::vector<int64_t>{150});
  config.q_lora_rank.reset();
  const ParamTable plain = make_param_table(config);
  EXPECT_EQ(plain.list[plain.model.blocks[0].attention.down_bias].hub.size(), 1u);  // q_proj has none
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, table, {});
  params.initialize(1, 0.02);
  EXPECT_EQ(params.weight(table.model.blocks[0].attention.out_bias).at<float>(7), 0);
  EXPECT_EQ(params.weight(table.model.final_norm).at<float>(7), 1);
}

}  // namespace
}  // namespace ballast
