// Experts used where they lie in the checkpoint's files, against the same checkpoint loaded as a whole.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "base/testing.h"
#include "formats/fp8_blocks.h"
#include "formats/safetensors_writer.h"
#include "infer/golden_test.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

template <class T>
std::vector<std::byte> bytes_of(std::span<const T> v) {
  const auto b = std::as_bytes(v);
  return {b.begin(), b.end()};
}

// The reference checkpoint with its experts in another type. Experts in `poison` (layer, expert) are NaN.
void write_checkpoint(const fs::path& folder, FileDType experts, const std::set<std::pair<int, int>>& poison = {}) {
  const Checkpoint from = Checkpoint::open(Golden::folder());
  std::vector<TensorSpec> specs;
  std::vector<std::vector<std::byte>> data;
  for (const std::string& name : from.names()) {
    const FileTensor& t = from.at(name);
    int layer = -1, expert = -1;
    if (std::sscanf(name.c_str(), "model.layers.%d.mlp.experts.%d.", &layer, &expert) != 2) {
      specs.push_back({name, t.dtype, t.shape});
      data.emplace_back(t.bytes.begin(), t.bytes.end());
      continue;
    }
    std::vector<float> values(static_cast<size_t>(t.elements()));
    from.read(name, t.shape, std::span<float>(values));
    const bool poisoned = poison.contains({layer, expert});
    if (experts == FileDType::bf16) {
      std::vector<bf16> narrow;
      for (const float v : values) narrow.push_back(bf16(poisoned ? NAN : v));
      specs.push_back({name, FileDType::bf16, t.shape});
      data.push_back(bytes_of(std::span<const bf16>(narrow)));
    } else {
      Fp8Matrix m = quantize_fp8({t.shape[0], t.shape[1]}, values, name);
      if (poisoned) std::fill(m.codes.begin(), m.codes.end(), std::byte{0x7f});
      specs.push_back({name, FileDType::f8_e4m3, t.shape});
      data.push_back(m.codes);
      specs.push_back({scale_name(name), FileDType::f32, {m.shape.block_rows(), m.shape.block_cols()}});
      data.push_back(bytes_of(std::span<const float>(m.scales)));
    }
  }
  write_model_folder(folder, specs, [&](size_t i, const TensorSink& sink) { sink(data[i]); });
  write_file_atomic(folder / "config.json", read_file(Golden::folder() / "config.json"));
}

// A model whose experts are all loaded.
struct Loaded {
  Loaded(const fs::path& folder, DeviceKind kind, DType storage)
      : device(Device::make(kind, 2)),
        config(read_model_config(folder)),
        params(*device, make_param_table(config), {.storage = storage}),
        model((load_weights(params, Checkpoint::open(folder)), config), params) {}
  std::unique_ptr<Device> device;
  ModelConfig config;
  ParamStore params;
  Model model;
};

// As an engine for users sees it.
struct Mapped {
  Mapped(const fs::path& folder, DeviceKind kind, DType storage, int threads = 2)
      : device(Device::make(kind, threads)), loaded(load_model(folder, *device, storage)) {}
  std::unique_ptr<Device> device;
  LoadedModel loaded;
};

// More tokens than the reference has: experts then get more rows than the products of a few rows take.
std::vector<int32_t> many_ids() {
  auto ids = Golden::ids(24);
  while (ids.size() < 100) ids.push_back((ids[ids.size() - 24] * 7 + 3) % 67);
  return ids;
}

// Logits of every position by prefill, then of a few by decoding.
std::vector<double> all_logits(Model& model, const GatePlan* plan = nullptr, std::vector<int64_t>* executed = nullptr,
                               size_t tokens = 100) {
  const auto ids = many_ids();
  const std::span<const int32_t> all = std::span(ids).first(tokens);
  Engine engine(model, {.context = 128, .prefill_chunk = 128});
  engine.set_plan(plan);
  std::vector<double> logits;
  engine.score(0, all, [&](int64_t, const Tensor& rows) { logits = values(rows); });
  engine.prefill(0, all.first(tokens - 4));
  for (size_t i = tokens - 4; i < tokens; ++i) {
    engine.decode(all.subspan(i, 1));
    const auto last = row(engine.logits(), 0);
    logits.insert(logits.end(), last.begin(), last.end());
  }
  if (executed) *executed = engine.executed();
  return logits;
}

int64_t expert_elements(const ParamTable& table) {
  int64_t n = 0;
  for (const Param& p : table.list) n += p.shape.size() == 3 ? p.size() : 0;
  return n;
}

TEST(Mapped, Bf16ExpertsGiveTheBitsOfLoadedOnes) {
  const TemporaryFolder folder;
  write_checkpoint(folder.path(), FileDType::bf16);
  const std::pair<DeviceKind, DType> kinds[] = {
      {DeviceKind::cpu, DType::f32}, {DeviceKind::cpu, DType::bf16}, {DeviceKind::ref, DType::f32}};
  for (const auto& [kind, storage] : kinds) {
    SCOPED_TRACE(std::string(name_of(kind)) + " " + name_of(storage));
    Loaded loaded(folder.path(), kind, storage);
    Mapped mapped(folder.path(), kind, storage);
    EXPECT_LT(mapped.loaded.params->sizes().weights + mapped.loaded.params->sizes().master,
              loaded.params.sizes().weights + loaded.params.sizes().master -
                  static_cast<size_t>(expert_elements(loaded.params.table())));
    std::vector<int64_t> want_executed, executed;
    const auto want = all_logits(loaded.model, nullptr, &want_executed);
    EXPECT_EQ(all_logits(*mapped.loaded.model, nullptr, &executed), want);
    EXPECT_EQ(executed, want_executed);
  }
}

TEST(Mapped, Fp8ExpertsEqualLoadedOnes) {
  const TemporaryFolder folder;
  write_checkpoint(folder.path(), FileDType::f8_e4m3);
  // f32: the scales enter the sums at another place. bf16: a loaded copy was rounded to it, codes were not.
  const std::tuple<DeviceKind, DType, double> kinds[] = {
      {DeviceKind::ref, DType::f32, 0}, {DeviceKind::cpu, DType::f32, 2e-6}, {DeviceKind::cpu, DType::bf16, 2e-2}};
  for (const auto& [kind, storage, limit] : kinds) {
    SCOPED_TRACE(std::string(name_of(kind)) + " " + name_of(storage));
    Loaded loaded(folder.path(), kind, storage);
    Mapped mapped(folder.path(), kind, storage);
    EXPECT_LE(error(all_logits(*mapped.loaded.model), all_logits(loaded.model)), limit);
  }
}

TEST(Mapped, ResultsDoNotDependOnThreads) {
  const TemporaryFolder folder;
  write_checkpoint(folder.path(), FileDType::f8_e4m3);
  for (const DType storage : {DType::f32, DType::bf16}) {
    Mapped one(folder.path(), DeviceKind::cpu, storage, 1), five(folder.path(), DeviceKind::cpu, storage, 5);
    EXPECT_EQ(all_logits(*one.loaded.model), all_logits(*five.loaded.model));
  }
}

TEST(Mapped, SkippedExpertsAreNeverRead) {
  for (const FileDType type : {FileDType::bf16, FileDType::f8_e4m3}) {
    const TemporaryFolder clean, poisoned;
    write_checkpoint(clean.path(), type);
    Mapped model(clean.path(), DeviceKind::cpu, DType::f32);
    const auto plan = make_gate_plan(policy("topk", 1), model.loaded.config.num_experts_per_tok);
    const RecordingPlan record(plan.get());
    const auto want = all_logits(*model.loaded.model, &record, nullptr, 5);
    std::set<std::pair<int, int>> poison;
    const int dense = model.loaded.config.first_k_dense_replace;
    for (const auto& [layer, ran] : record.experts)
      for (int e = 0; e < model.loaded.config.n_routed_experts; ++e)
        if (!ran.contains(e)) poison.insert({layer + dense, e});
    ASSERT_GT(poison.size(), 3u);
    write_checkpoint(poisoned.path(), type, poison);
    Mapped other(poisoned.path(), DeviceKind::cpu, DType::f32);
    EXPECT_EQ(all_logits(*other.loaded.model, plan.get(), nullptr, 5), want);
    EXPECT_THROW(all_logits(*other.loaded.model, nullptr, nullptr, 5), Error)
        << "the poison must show without the policy";
  }
}

TEST(Mapped, SaysWhichTensorIsWrong) {
  const TemporaryFolder good;
  write_checkpoint(good.path(), FileDType::f8_e4m3);
  const Checkpoint from = Checkpoint::open(good.path());
  const std::string expert = "model.layers.1.mlp.experts.4.up_proj.weight";
  const auto load_without = [&](const std::string& missing, const std::string& cut) -> std::string {
    const TemporaryFolder folder;
    std::vector<TensorSpec> specs;
    std::vector<std::span<const std::byte>> data;
    for (const std::string& name : from.names()) {
      if (name == missing) continue;
      const FileTensor& t = from.at(name);
      TensorSpec spec{name, t.dtype, t.shape};
      if (name == cut) spec.shape[0] -= 1;
      specs.push_back(spec);
      data.push_back(t.bytes.first(spec.bytes()));
    }
    write_model_folder(folder.path(), specs, [&](size_t i, const TensorSink& sink) { sink(data[i]); });
    write_file_atomic(folder.path() / "config.json", read_file(good.path() / "config.json"));
    try {
      Mapped(folder.path(), DeviceKind::cpu, DType::f32);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(load_without("", ""), "");
  const auto names = [](const std::string& text, const std::string& what) { return text.find(what) != text.npos; };
  EXPECT_TRUE(names(load_without(expert, ""), expert));
  EXPECT_TRUE(names(load_without(scale_name(expert), ""), "its scales"));
  EXPECT_TRUE(names(load_without("", expert), "expected shape (7, 26), found (6, 26)"));
  EXPECT_TRUE(names(load_without("", scale_name(expert)), scale_name(expert)));
}

}  // namespace
}  // namespace ballast
