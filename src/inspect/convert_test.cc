#include "inspect/convert.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/testing.h"
#include "formats/safetensors_writer.h"
#include "inspect/verify.h"
#include "model/hub_tensors.h"
#include "model/weights.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

const fs::path kTiny = fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny";

// Blocks in both directions, cut ones at the edges.
ModelConfig ragged_config() {
  ModelConfig c;
  c.vocab_size = 140, c.hidden_size = 150, c.intermediate_size = 290, c.moe_intermediate_size = 131;
  c.num_hidden_layers = 2, c.num_attention_heads = 2, c.n_routed_experts = 4, c.num_experts_per_tok = 2;
  c.n_group = 2, c.topk_group = 1, c.q_lora_rank = 130, c.kv_lora_rank = 12, c.qk_nope_head_dim = 6;
  c.qk_rope_head_dim = 4, c.v_head_dim = 5, c.first_k_dense_replace = 1, c.num_nextn_predict_layers = 1;
  return c;
}

fs::path random_model(const fs::path& folder) {
  const ModelConfig config = ragged_config();
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(config), {});
  params.initialize(7, 0.02);
  save_weights(params, config, folder, {});
  write_file_atomic(folder / "tokenizer.json", "{\"a\": 1}");
  write_file_atomic(folder / "pytorch_model.bin", "old weights");
  fs::create_directory(folder / "trainer");
  return folder;
}

std::vector<std::byte> bytes_of(const Checkpoint& c, const std::string& name) {
  const auto b = c.at(name).bytes;
  return {b.begin(), b.end()};
}

void expect_equal_bytes(const fs::path& a, const fs::path& b) {
  const Checkpoint x = Checkpoint::open(a), y = Checkpoint::open(b);
  ASSERT_EQ(x.names(), y.names());
  for (const std::string& name : x.names()) {
    EXPECT_EQ(x.at(name).dtype, y.at(name).dtype) << name;
    EXPECT_TRUE(bytes_of(x, name) == bytes_of(y, name)) << name;
  }
}

void expect_verified(const fs::path& folder) {
  const auto device = Device::make(DeviceKind::cpu, 2);
  const Verification v = verify(folder, *device, DType::f32);
  EXPECT_TRUE(v.okay()) << folder << "\n" << v.worst_by_group();
}

Json config_of(const fs::path& folder) { return Json::read(folder / "config.json"); }

std::string error_of(const fs::path& from, const fs::path& to, const ConvertOptions& options) {
  try {
    convert(from, to, options);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Convert, OtherFileSizesAreTheSameModel) {
  const TemporaryFolder work;
  const ConvertReport r = convert(kTiny, work.path() / "out", {.max_shard_bytes = 20'000, .threads = 2});
  EXPECT_GT(r.files, 3);
  EXPECT_EQ(r.bytes_before, r.bytes_after);
  EXPECT_EQ(r.carried, std::vector<std::string>{"reference.safetensors"});
  EXPECT_TRUE(fs::exists(work.path() / "out/model.safetensors.index.json"));
  EXPECT_EQ(read_file(work.path() / "out/config.json"), read_file(kTiny / "config.json"));
  expect_equal_bytes(kTiny, work.path() / "out");
  expect_verified(work.path() / "out");
}

TEST(Convert, EachTensorGetsTheTypeOfTheHubsFiles) {
  const TemporaryFolder work;
  const fs::path from = random_model(work.path() / "f32");
  const ConvertReport report = convert(from, work.path() / "fp8", {.dtype = "fp8"});
  EXPECT_EQ(report.carried, std::vector<std::string>{"tokenizer.json"});
  EXPECT_EQ(report.left_out, (std::vector<std::string>{"pytorch_model.bin", "trainer/"}));
  EXPECT_EQ(report.missing, 0);
  const Checkpoint c = Checkpoint::open(work.path() / "fp8");
  const auto type = [&](const std::string& name) { return c.at(name).dtype; };
  const std::string layer = "model.layers.1.";
  for (const char* name : {"self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa", "self_attn.kv_b_proj",
                           "self_attn.o_proj", "mlp.experts.3.down_proj", "mlp.shared_experts.up_proj"}) {
    EXPECT_EQ(type(layer + name + ".weight"), FileDType::f8_e4m3) << name;
    EXPECT_EQ(type(layer + name + ".weight_scale_inv"), FileDType::f32) << name;
  }
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "model.layers.2.eh_proj.weight"})
    EXPECT_EQ(type(name), FileDType::bf16) << name;
  for (const char* name : {"input_layernorm.weight", "self_attn.q_a_layernorm.weight", "mlp.gate.weight",
                           "mlp.gate.e_score_correction_bias"})
    EXPECT_EQ(type(layer + name), FileDType::f32) << name;
  EXPECT_EQ(c.at("model.layers.0.mlp.gate_proj.weight_scale_inv").shape, (std::vector<int64_t>{3, 2}));
  const Json config = config_of(work.path() / "fp8");
  EXPECT_EQ(config.at("torch_dtype").as_string(), "bfloat16");
  EXPECT_EQ(config.at("quantization_config").at("quant_method").as_string(), "fp8");
  // Half a step of e4m3, and the rounding of the scale.
  EXPECT_LE(report.change.largest_relative_error, 1.0 / 16 + 1e-6);
  EXPECT_GT(report.change.largest_relative_error, 1.0 / 20);

  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(read_model_config(work.path() / "fp8")), {});
  EXPECT_NO_THROW(load_weights(params, c));
}

TEST(Convert, Fp8PassesThroughUntouched) {
  const TemporaryFolder work;
  convert(random_model(work.path() / "f32"), work.path() / "fp8", {.dtype = "fp8"});
  const ConvertReport r =
      convert(work.path() / "fp8", work.path() / "again", {.dtype = "fp8", .max_shard_bytes = 50'000});
  EXPECT_EQ(r.quantized, 0);
  EXPECT_GT(r.files, 2);
  expect_equal_bytes(work.path() / "fp8", work.path() / "again");
  EXPECT_EQ(config_of(work.path() / "again").dump(), config_of(work.path() / "fp8").dump());
}

// What a quantized matrix says is in f32 exactly: quantizing it anew finds every code again. bf16 moves the scales by
// up to 2^-8, and codes are 2^-4 apart.
TEST(Convert, ThereAndBack) {
  const TemporaryFolder work;
  const fs::path fp8 = work.path() / "fp8";
  convert(random_model(work.path() / "origin"), fp8, {.dtype = "fp8"});
  convert(fp8, work.path() / "f32", {.dtype = "f32"});
  const Checkpoint wide = Checkpoint::open(work.path() / "f32");
  for (const std::string& name : wide.names()) EXPECT_EQ(wide.at(name).dtype, FileDType::f32) << name;
  const ConvertReport exact = convert(work.path() / "f32", work.path() / "back", {.dtype = "fp8", .compare = fp8});
  EXPECT_TRUE(exact.compared);
  EXPECT_GT(exact.change.codes, 100'000);
  EXPECT_EQ(exact.change.changed_codes, 0);
  EXPECT_LE(exact.change.largest_relative_error, 2e-7);

  convert(fp8, work.path() / "bf16", {.dtype = "bf16"});
  EXPECT_FALSE(config_of(work.path() / "bf16").find("quantization_config"));
  EXPECT_EQ(config_of(work.path() / "bf16").at("torch_dtype").as_string(), "bfloat16");
  const ConvertReport rounded =
      convert(work.path() / "bf16", work.path() / "bf16-back", {.dtype = "fp8", .compare = fp8});
  EXPECT_GT(rounded.change.changed_scale_share(), 0.5);
  EXPECT_EQ(rounded.change.changed_codes, 0);
  EXPECT_LT(rounded.change.largest_relative_error, 1.0 / 128);
  EXPECT_GT(rounded.change.largest_relative_error, 1.0 / 2048);
  EXPECT_NE(rounded.to_text().find("scales changed"), std::string::npos);
  EXPECT_EQ(rounded.to_json().at("quantized").at("codes").as_int(), rounded.change.codes);
  EXPECT_EQ(Checkpoint::open(fp8).names(), Checkpoint::open(work.path() / "bf16-back").names());
}

TEST(Convert, TheSameBytesWithAnyNumberOfThreads) {
  const TemporaryFolder work;
  const fs::path from = random_model(work.path() / "f32");
  const ConvertReport one = convert(from, work.path() / "one", {.dtype = "fp8", .threads = 1});
  const ConvertReport three = convert(from, work.path() / "three", {.dtype = "fp8", .threads = 3});
  EXPECT_EQ(read_file(work.path() / "one/model.safetensors"), read_file(work.path() / "three/model.safetensors"));
  EXPECT_EQ(one.change.largest_relative_error, three.change.largest_relative_error);
}

TEST(Convert, SharedFp8IsVerifiedInF32) {
  const fs::path golden = shared_dir() / "data/goldens/v3-fp8";
  if (!fs::exists(golden)) GTEST_SKIP() << "no reference folder at " << golden;
  const TemporaryFolder work;
  convert(golden, work.path() / "f32", {.dtype = "f32"});
  expect_verified(work.path() / "f32");
  convert(golden, work.path() / "fp8", {.dtype = "fp8", .max_shard_bytes = 100'000});
  expect_equal_bytes(golden, work.path() / "fp8");
  expect_verified(work.path() / "fp8");
  const ConvertReport back = convert(work.path() / "f32", work.path() / "back", {.dtype = "fp8", .compare = golden});
  EXPECT_EQ(back.change.changed_codes, 0);
  expect_verified(work.path() / "back");
}

TEST(Convert, ABiasLosesItsMean) {
  const TemporaryFolder work;
  convert(kTiny, work.path() / "out", {.center_bias = true});
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias";
  const Checkpoint before = Checkpoint::open(kTiny), after = Checkpoint::open(work.path() / "out");
  std::vector<float> b(12), a(12);
  before.read(name, before.at(name).shape, std::span<float>(b));
  after.read(name, before.at(name).shape, std::span<float>(a));
  double mean = 0;
  for (const float v : a) mean += v / 12;
  EXPECT_NEAR(mean, 0, 1e-7);
  EXPECT_GT(std::abs(a[0] - b[0]), 1e-4);
  for (size_t e = 1; e < a.size(); ++e) EXPECT_NEAR(a[e] - a[0], b[e] - b[0], 1e-6);
}

TEST(Convert, RefusesAndLeavesNothing) {
  const TemporaryFolder work;
  const fs::path from = random_model(work.path() / "f32"), to = work.path() / "out";
  const auto entries = [&] { return std::distance(fs::directory_iterator(work.path()), {}); };
  EXPECT_NE(error_of(from, from, {}).find("is there already"), std::string::npos);
  EXPECT_NE(error_of(from, to, {.dtype = "int8"}).find("f32, bf16 or fp8"), std::string::npos);
  EXPECT_NE(error_of(from, to, {.compare = from}).find("--dtype fp8"), std::string::npos);
  EXPECT_NE(error_of(from, to, {.dtype = "fp8", .compare = from}).find("nothing to compare with"), std::string::npos);
  EXPECT_NE(error_of(from, to, {.max_shard_bytes = 100}).find("--shard-size"), std::string::npos);
  EXPECT_NE(error_of(work.path() / "none", to, {}).find("not a model folder"), std::string::npos);

  // A weight that is not finite, found in the middle of writing.
  std::fstream file(from / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  const Checkpoint c = Checkpoint::open(from);
  const std::string name = "model.layers.1.mlp.experts.2.up_proj.weight";
  const float bad = std::numeric_limits<float>::infinity();
  const auto offset = static_cast<int64_t>(fs::file_size(from / "model.safetensors") - c.total_bytes());
  const std::byte* first = nullptr;
  for (const std::string& n : c.names()) first = first ? std::min(first, c.at(n).bytes.data()) : c.at(n).bytes.data();
  file.seekp(offset + (c.at(name).bytes.data() - first) + 4 * 151);
  file.write(reinterpret_cast<const char*>(&bad), sizeof bad);
  file.close();
  const std::string message = error_of(from, to, {.dtype = "fp8"});
  EXPECT_NE(message.find(name), std::string::npos) << message;
  EXPECT_NE(message.find("(1, 1) is inf"), std::string::npos) << message;
  EXPECT_EQ(entries(), 1);
  // Two at a time would mix their files.
  fs::create_directory(work.path() / ".partial-out");
  EXPECT_NE(error_of(from, to, {}).find(".partial-out"), std::string::npos);
  EXPECT_TRUE(fs::exists(work.path() / ".partial-out"));
}

TEST(Convert, AnInterruptLeavesNothing) {
  const TemporaryFolder work;
  const fs::path from = random_model(work.path() / "f32");
  const auto interrupted_conversion = [&] {  // in a process of its own: the flag stays set
    install_interrupt_handler();
    std::raise(SIGINT);
    try {
      convert(from, work.path() / "out", {.dtype = "bf16"});
    } catch (const Error& e) {
      const bool alone = std::distance(fs::directory_iterator(work.path()), {}) == 1;
      _exit(e.kind == ErrorKind::interrupted && alone ? 7 : 8);
    }
    _exit(9);
  };
  EXPECT_EXIT(interrupted_conversion(), ::testing::ExitedWithCode(7), "");
}

TEST(Convert, SaysWhatDoesNotFit) {
  const TemporaryFolder work;
  const fs::path from = random_model(work.path() / "f32");
  Json config = config_of(from);
  config["vocab_size"] = 141;
  write_file_atomic(from / "config.json", config.dump());
  const std::string message = error_of(from, work.path() / "out", {.dtype = "bf16"});
  EXPECT_NE(message.find("model.embed_tokens.weight"), std::string::npos) << message;
  EXPECT_NE(message.find("(141, 150)"), std::string::npos) << message;
  config["vocab_size"] = 140;
  config["num_hidden_layers"] = 4;  // its MTP layer would be the third now, and the fourth is missing
  write_file_atomic(from / "config.json", config.dump());
  EXPECT_GT(convert(from, work.path() / "out", {.dtype = "bf16"}).missing, 5);
}

// Kilobytes of /proc/self/status.
int64_t status_of(const std::string& key) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1));
  return 0;
}

TEST(SlowConvert, ACheckpointLargerThanItsMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer holds on to memory that was freed";
#endif
  const TemporaryFolder work;
  ModelConfig config = ragged_config();
  config.hidden_size = 1024, config.moe_intermediate_size = 1024, config.n_routed_experts = 64;
  config.num_nextn_predict_layers = 0;
  std::vector<TensorSpec> specs;
  for (const Param& p : make_param_table(config).list)
    for (const HubTensor& t : p.hub) specs.push_back({t.name, FileDType::bf16, t.shape});
  std::vector<bf16> pattern(1 << 16);
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = bf16(std::sin(static_cast<float>(i)));
  const auto bytes = std::as_bytes(std::span<const bf16>(pattern));
  const fs::path from = work.path() / "bf16";
  write_model_folder(from, specs, [&](size_t i, const TensorSink& sink) {
    for (uint64_t left = specs[i].bytes(); left > 0;) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(left, bytes.size()));
      sink(bytes.subspan(0, n));
      left -= n;
    }
  });
  write_file_atomic(from / "config.json", to_hf_config(config, "bfloat16").dump());
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
  const int64_t before = status_of("VmRSS");
  if (status_of("VmHWM") > before + 4096)
    GTEST_SKIP() << "the kernel does not let the peak of resident memory be reset";
  const ConvertReport report = convert(from, work.path() / "fp8", {.dtype = "fp8", .threads = 2});
  const int64_t peak = status_of("VmHWM") - before;
  std::printf("%.0f MB converted with %.0f MB of resident memory\n", double(report.bytes_before) / 1e6,
              double(peak) * 1.024e-3);
  EXPECT_GT(report.bytes_before, uint64_t{380} << 20);
  EXPECT_LT(peak, 64 << 10);
}

}  // namespace
}  // namespace ballast
