// The accounting of a training run: what a step counts, what it leaves alone, and what it leaves behind.
#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/file.h"
#include "base/human.h"
#include "formats/npy.h"
#include "formats/safetensors.h"
#include "model/roofline.h"
#include "model/weights.h"
#include "train/load_statistics.h"
#include "train/plan.h"
#include "train/tiny_recipe.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

std::vector<float> tensor_of(const fs::path& checkpoint, const std::string& name) {
  const Checkpoint file = Checkpoint::open(checkpoint);
  const auto& shape = file.at(name).shape;
  int64_t n = 1;
  for (const int64_t s : shape) n *= s;
  std::vector<float> values(static_cast<size_t>(n));
  file.read(name, shape, std::span<float>(values));
  return values;
}

std::string bias_name(int layer) { return "model.layers." + std::to_string(layer) + ".mlp.gate.e_score_correction_bias"; }

class Training : public FolderTest {
 protected:
  void SetUp() override { recipe = tiny_recipe(folder); }
  fs::path run(const char* name) const { return folder / name; }
  TrainSummary train_as(const char* name, const RunConfig& config, std::optional<fs::path> init_from = {}) {
    return train({.config = config, .run = run(name), .init_from = std::move(init_from), .threads = 1});
  }
  fs::path checkpoint(const char* name, int64_t step) const {
    char text[32];
    std::snprintf(text, sizeof text, "step-%06d", static_cast<int>(step));
    return run(name) / "checkpoints" / text;
  }
  // The recipe's model with one weight replaced, as a Hugging Face folder.
  fs::path plant(const char* parameter, double value) {
    const auto device = Device::make(DeviceKind::cpu, 1);
    ParamStore params(*device, make_param_table(recipe.model), {});
    params.initialize(3, recipe.model.initializer_range);
    const auto& list = params.table().list;
    for (size_t id = 0; id < list.size(); ++id)
      for (const HubTensor& t : list[id].hub)
        if (t.name == parameter) params.write(static_cast<ParamId>(id), t.offset, &value, 1);
    save_weights(params, recipe.model, folder / "planted", {});
    return folder / "planted";
  }

  RunConfig recipe;
};

TEST_F(Training, MicroBatchesAddUpToTheBatch) {
  recipe.data.batch_size = 4;
  train_as("whole", recipe);
  recipe.data.batch_size = 2;
  recipe.train.micro_batches = 2;
  train_as("parts", recipe);
  EXPECT_EQ(read_npy(run("whole") / "loads.npy").values, read_npy(run("parts") / "loads.npy").values);
  for (const char* key : {"train/loss", "train/mtp_loss", "train/aux_seq", "grad_norm"}) {
    const auto whole = series(run("whole"), key), parts = series(run("parts"), key);
    ASSERT_EQ(whole.size(), 4u);
    ASSERT_EQ(parts.size(), 4u);
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(parts[i], whole[i], 1e-6 * std::max(1.0, std::abs(whole[i]))) << key << i;
  }
  EXPECT_EQ(series(run("whole"), "tokens"), series(run("parts"), "tokens"));
}

TEST_F(Training, ValidationChangesNothing) {
  train_as("without", recipe);
  recipe.train.eval_every = 1;
  train_as("with", recipe);
  EXPECT_EQ(series(run("with"), "val/loss").size(), 5u);
  EXPECT_EQ(series(run("without"), "val/loss").size(), 2u);
  for (const char* key : {"train/loss", "grad_norm", "max_vio/worst"})
    EXPECT_EQ(series(run("without"), key), series(run("with"), key));
  EXPECT_EQ(read_file(run("without") / "loads.npy"), read_file(run("with") / "loads.npy"));
}

// Repeating layers' forward for backward, and validating and probing between steps: the counts of all steps, the losses and
// the weights are the same to the bit.
TEST_F(Training, RecomputationChangesNoBit) {
  recipe.schedule.steps = 6;
  recipe.train.micro_batches = 2;
  recipe.aux = {.seq = 0.1, .global = 0.1};
  for (const char* dtype : {"f32", "bf16"}) {
    recipe.train.dtype = dtype;
    recipe.train.recompute = false;
    recipe.train.eval_every = recipe.balance.probe_every = 0;
    train_as("kept", recipe);
    recipe.train.recompute = true;
    recipe.train.eval_every = recipe.balance.probe_every = 1;
    train_as("repeated", recipe);
    EXPECT_EQ(read_file(run("kept") / "loads.npy"), read_file(run("repeated") / "loads.npy")) << dtype;
    for (const char* key : {"train/loss", "train/mtp_loss", "train/aux_seq", "train/aux_global", "grad_norm", "max_vio/worst"})
      EXPECT_EQ(series(run("kept"), key), series(run("repeated"), key)) << dtype << " " << key;
    for (const char* file : {"model.safetensors", "trainer/moments.safetensors"})
      EXPECT_EQ(read_file(checkpoint("kept", 6) / file), read_file(checkpoint("repeated", 6) / file)) << dtype << " " << file;
  }
}

TEST_F(Training, RecomputationSavesMemory) {
  recipe.model.num_hidden_layers = 8;
  const Json kept = plan_training(recipe, 1).at("memory_bytes");
  recipe.train.recompute = true;
  const Json repeated = plan_training(recipe, 1).at("memory_bytes");
  EXPECT_LT(3 * repeated.at("saved_activations").as_int(), kept.at("saved_activations").as_int());
  EXPECT_EQ(repeated.at("scratch").as_int(), kept.at("scratch").as_int());
}

// The MTP layer's rows without a next token are padding: a window of nothing else adds nothing to its counts.
TEST_F(Training, PaddingIsNotCounted) {
  const auto device = Device::make(DeviceKind::cpu, 1);
  ParamStore params(*device, make_param_table(recipe.model), {.storage = DType::f32, .training = true});
  params.initialize(3, recipe.model.initializer_range);
  Model model(recipe.model, params);
  std::vector<int32_t> tokens(16);
  for (int i = 0; i < 16; ++i) tokens[static_cast<size_t>(i)] = 11 * i % 250;
  const std::vector<int64_t> one(16, 0);
  std::vector<int64_t> singles(16);
  std::iota(singles.begin(), singles.end(), 0);
  Loads loads[2];
  for (const int64_t padding : {0, 1}) {
    Batch batch(1 + padding, 16, 17);
    set_row(batch, 0, tokens, one, true);
    if (padding) set_row(batch, 1, tokens, singles, true);
    TrainStep step(model, batch, {});
    step.begin();
    step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true);
    loads[padding] = step.loads();
  }
  EXPECT_EQ(loads[0][1], loads[1][1]);  // MTP's
  EXPECT_EQ(std::accumulate(loads[0][1].begin(), loads[0][1].end(), int64_t{0}), 15 * 2);
  EXPECT_NE(loads[0][0], loads[1][0]);
}

// Every key of bias health comes with every probe, and says what the checkpoint's bias says.
TEST_F(Training, ReportsTheBiasesHealth) {
  recipe.schedule.steps = 6;
  recipe.balance.probe_every = 2;
  recipe.balance.rule = "sign";
  train_as("run", recipe);
  for (int layer : {1, 2}) {
    const auto values = [&](const char* key) { return series(run("run"), (key + ("/layer_" + std::to_string(layer))).c_str()); };
    const auto bias = tensor_of(checkpoint("run", 6), bias_name(layer));
    const auto [low, high] = std::minmax_element(bias.begin(), bias.end());
    double mean = 0;
    for (const float b : bias) mean += b / 8;
    for (const char* key : {"b_mean", "b_spread", "sat_margin", "b_step_rms", "b_jitter", "bf16_distinct", "bf16_flip", "switch_rate"})
      ASSERT_EQ(values(key).size(), 3u) << key;
    EXPECT_NEAR(values("b_mean").back(), mean, 1e-9);
    EXPECT_NEAR(values("b_spread").back(), *high - *low, 1e-7);
    EXPECT_NEAR(values("sat_margin").back(), 1 - (*high - *low), 1e-7);
    EXPECT_GT(values("b_step_rms").back(), 0);
    EXPECT_LE(values("b_step_rms").back(), 1e-2 * 1.0001);  // the rate
    EXPECT_GT(values("b_jitter").back(), 0);
    EXPECT_GE(values("bf16_distinct").back(), 1);
    EXPECT_GT(values("switch_rate").back(), 0);  // this learning rate moves a few choices every step
    EXPECT_LT(values("switch_rate").back(), 1);
  }
  EXPECT_TRUE(fs::exists(checkpoint("run", 6) / "trainer/bias_health.safetensors"));
  recipe.balance.probe_every = 0;
  train_as("run", recipe);
  EXPECT_TRUE(series(run("run"), "b_mean/layer_1").empty());
  EXPECT_FALSE(fs::exists(checkpoint("run", 6) / "trainer/bias_health.safetensors"));
}

TEST_F(Training, LoadsCountEveryTokenAndSlot) {
  recipe.train.micro_batches = 3;
  train_as("run", recipe);
  const NpyArray loads = read_npy(run("run") / "loads.npy");
  ASSERT_EQ(loads.shape, (std::vector<int64_t>{4, 2, 8}));  // steps, MoE layers with MTP's, experts
  for (int64_t step = 0; step < 4; ++step) {
    int64_t sum = 0;
    for (int64_t e = 0; e < 8; ++e) sum += loads.values[step * 16 + e];
    EXPECT_EQ(sum, 3 * 2 * 16 * 2);  // micro-batches, windows, tokens, top-k
  }
}

TEST_F(Training, StepThatIsNotFiniteIsSkipped) {
  recipe.schedule.stop_after = 2;
  // The second reaches nothing but the router's logits, whose rows then weigh nothing: only the flag shows it.
  for (const char* parameter : {"model.norm.weight", "model.layers.1.mlp.gate.weight"}) {
    const fs::path init = plant(parameter, std::numeric_limits<double>::quiet_NaN());
    const TrainSummary s = train_as("run", recipe, init);
    EXPECT_EQ(s.skipped_steps, 2);
    EXPECT_EQ(series(run("run"), "skipped"), (std::vector<double>{1, 1})) << parameter;
    EXPECT_EQ(read_file(checkpoint("run", 2) / "model.safetensors"), read_file(init / "model.safetensors")) << parameter;
    for (const char* moment : {"m", "v"})
      for (const float x : tensor_of(checkpoint("run", 2) / "trainer/moments.safetensors", moment)) ASSERT_EQ(x, 0);
    EXPECT_EQ(Json::read(checkpoint("run", 2) / "trainer/state.json").at("updates").as_int(), 0);
  }
}

TEST_F(Training, GivesUpAfterBadStepsInARow) {
  recipe.train.max_bad_steps = 3;
  recipe.schedule.steps = 10;
  const fs::path init = plant("model.norm.weight", std::numeric_limits<double>::infinity());
  const std::string error = error_text(ErrorKind::device, [&] { train_as("run", recipe, init); });
  EXPECT_NE(error.find("3 steps in a row"), std::string::npos) << error;
  EXPECT_NE(error.find("optimizer.learning_rate"), std::string::npos) << error;
  EXPECT_EQ(series(run("run"), "skipped"), (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(read_npy(run("run") / "loads.npy").shape[0], 3);
}

// Whatever the rule does with it: a bias that is not finite is never saved.
TEST_F(Training, ABiasThatIsNotFiniteEndsTheRun) {
  recipe.train.checkpoint_every = 1;
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (const std::string& rule : balance_rule_names()) {
      recipe.balance.rule = rule;
      const fs::path init = plant(bias_name(1).c_str(), value);
      const std::string error = error_text(ErrorKind::device, [&] { train_as("run", recipe, init); });
      EXPECT_NE(error.find("bias of layer 1"), std::string::npos) << error;
      EXPECT_NE(error.find("balance.rule = " + rule), std::string::npos) << error;
      EXPECT_EQ(names_in(run("run") / "checkpoints"), Names{});
    }
}

// Windows without borders: as many as asked for, all the same.
fs::path equal_windows(const fs::path& folder, int count) {
  std::string bytes;
  for (int w = 0; w < count; ++w)
    for (int i = 0; i < 16; ++i) bytes += {static_cast<char>(i * i * 5 + 40), 0};
  write_file_atomic(folder / "windows.u16", bytes);
  return folder / "windows.u16";
}

TEST_F(Training, GlobalBalanceLossSeesTheWholeStep) {
  recipe.data.train_shard.clear();
  recipe.data.train_windows = equal_windows(folder, 2);
  recipe.data.batch_size = 1;
  recipe.schedule.stop_after = 1;
  recipe.aux = {.seq = 0.5, .global = 0.5};
  train_as("one", recipe);
  recipe.train.micro_batches = 2;
  train_as("two", recipe);
  // Of one sequence both losses are the same thing; a second one like it changes neither them nor the gradient.
  const auto global = series(run("one"), "train/aux_global");
  ASSERT_EQ(global.size(), 1u);
  EXPECT_GT(global[0], 0.1);
  EXPECT_NEAR(series(run("one"), "train/aux_seq")[0], global[0], 1e-6);
  EXPECT_NEAR(series(run("two"), "train/aux_global")[0], global[0], 1e-6);
  EXPECT_NEAR(series(run("two"), "grad_norm")[0], series(run("one"), "grad_norm")[0], 1e-5);
  recipe.aux.global = 0;
  train_as("without", recipe);
  EXPECT_GT(std::abs(series(run("without"), "grad_norm")[0] - series(run("two"), "grad_norm")[0]), 1e-4);
}

TEST_F(Training, BiasFollowsTheRule) {
  recipe.balance.rate_drop_at = 0.5;
  recipe.balance.rate_drop_factor = 0.25;
  for (const bool centered : {false, true}) {
    recipe.balance.rule = centered ? "sign_centered" : "sign";
    train_as("run", recipe);
    const NpyArray loads = read_npy(run("run") / "loads.npy");
    for (int layer = 0; layer < 2; ++layer) {
      std::vector<double> want(8, 0.0);
      for (int step = 0; step < 4; ++step) {
        const int64_t* load = &loads.values[step * 16 + layer * 8];
        double total = 0, mean = 0, sign[8];
        for (int e = 0; e < 8; ++e) total += static_cast<double>(load[e]);
        for (int e = 0; e < 8; ++e) {
          const double gap = total / 8 - static_cast<double>(load[e]);
          sign[e] = gap > 0 ? 1 : gap < 0 ? -1 : 0;
          mean += sign[e] / 8;
        }
        for (int e = 0; e < 8; ++e) want[e] += 1e-2 * (step < 2 ? 1 : 0.25) * (sign[e] - (centered ? mean : 0));
      }
      const auto bias = tensor_of(checkpoint("run", 4), bias_name(layer + 1));
      double sum = 0;
      for (int e = 0; e < 8; ++e) {
        EXPECT_NEAR(bias[e], want[e], 1e-7) << recipe.balance.rule << layer << e;
        sum += bias[e];
      }
      if (centered) {
        EXPECT_NEAR(sum, 0, 1e-7);
      }
    }
  }
  recipe.balance.rule = "none";
  train_as("run", recipe);
  for (const float b : tensor_of(checkpoint("run", 4), bias_name(1))) EXPECT_EQ(b, 0);
}

TEST(Schedule, WarmUpPlateauAndCosine) {
  const ScheduleConfig s{.steps = 100, .warmup = 0.1, .constant_until = 0.5, .final_ratio = 0.2};
  EXPECT_DOUBLE_EQ(s.factor(0), 0.1);
  EXPECT_DOUBLE_EQ(s.factor(4), 0.5);
  EXPECT_DOUBLE_EQ(s.factor(9), 1);
  EXPECT_DOUBLE_EQ(s.factor(49), 1);
  EXPECT_DOUBLE_EQ(s.factor(50), 1);
  EXPECT_DOUBLE_EQ(s.factor(75), 0.6);
  EXPECT_NEAR(s.factor(99), 0.2 + 0.8 * 0.5 * (1 + std::cos(M_PI * 0.98)), 1e-15);
  EXPECT_DOUBLE_EQ(s.factor(100), 0.2);
  const ScheduleConfig whole{.steps = 3, .warmup = 0, .constant_until = 1};
  EXPECT_DOUBLE_EQ(whole.factor(0), 1);
  EXPECT_DOUBLE_EQ(whole.factor(2), 1);
  ScheduleConfig stopped = s;
  stopped.stop_after = 30;  // shortens the run, not the schedule
  EXPECT_EQ(stopped.run_steps(), 30);
  EXPECT_DOUBLE_EQ(stopped.factor(75), 0.6);
  stopped.stop_after = 300;
  EXPECT_EQ(stopped.run_steps(), 100);
}

TEST(Schedule, WarmUpStableDecay) {
  ScheduleConfig s{.steps = 100, .warmup = 0.1, .constant_until = 0.8, .decay = "linear", .final_ratio = 0};
  EXPECT_DOUBLE_EQ(s.factor(4), 0.5);
  for (const int64_t stable : {9, 10, 50, 79, 80}) EXPECT_DOUBLE_EQ(s.factor(stable), 1) << stable;
  EXPECT_DOUBLE_EQ(s.factor(85), 0.75);
  EXPECT_DOUBLE_EQ(s.factor(95), 0.25);
  EXPECT_DOUBLE_EQ(s.factor(100), 0);
  s.final_ratio = 0.2;
  EXPECT_DOUBLE_EQ(s.factor(95), 0.4);
  s.decay = "1-sqrt";
  EXPECT_DOUBLE_EQ(s.factor(80), 1);
  EXPECT_DOUBLE_EQ(s.factor(85), 0.6);
  EXPECT_DOUBLE_EQ(s.factor(100), 0.2);
}

TEST_F(Training, LearningRateIsLoggedAsUsed) {
  recipe.schedule.warmup = 0.5;
  recipe.schedule.decay = "1-sqrt";
  train_as("run", recipe);
  const auto lr = series(run("run"), "lr");
  ASSERT_EQ(lr.size(), 4u);
  for (int64_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(lr[i], 1e-2 * recipe.schedule.factor(i));
}

TEST_F(Training, RefusesAnUnknownDecay) {
  recipe.schedule.decay = "1_sqrt";
  const std::string error = error_text(ErrorKind::usage, [&] { train_as("run", recipe); });
  EXPECT_NE(error.find("schedule.decay"), std::string::npos) << error;
  EXPECT_NE(error.find("'1-sqrt'"), std::string::npos) << error;
}

// Found before the first step: data.tokenizer must be a tokenizer, fit the model and be the one that made the shards.
TEST_F(Training, ATokenizerThatDoesNotBelongIsRefused) {
  const auto refused = [&](ErrorKind kind) {
    const std::string planned = error_text(kind, [&] { plan_training(recipe, 1); });
    const std::string error = error_text(kind, [&] { train_as("run", recipe); });
    EXPECT_EQ(planned, error);
    EXPECT_FALSE(fs::exists(run("run")));
    return error;
  };
  recipe.data.tokenizer = folder / "nowhere.json";
  EXPECT_NE(refused(ErrorKind::file).find("nowhere.json"), std::string::npos);
  recipe.data.tokenizer = folder / "recipe.toml";
  write_file_atomic(folder / "recipe.toml", "[model]\nvocab_size = 262\n");
  EXPECT_NE(refused(ErrorKind::format).find("recipe.toml"), std::string::npos);
  recipe.data.tokenizer = folder / "other.json";
  write_file_atomic(folder / "other.json", read_file(folder / "tokenizer.json") + "\n");
  std::string error = refused(ErrorKind::usage);
  for (const char* name : {"data.tokenizer", "other.json", "train.shard"})
    EXPECT_NE(error.find(name), std::string::npos) << error;
  train_bpe(std::vector<std::string_view>{"ab ab"}, 263).save(folder / "other.json");
  error = refused(ErrorKind::usage);
  for (const char* name : {"model.vocab_size", "262", "263", "other.json"})
    EXPECT_NE(error.find(name), std::string::npos) << error;

  recipe.data.tokenizer = folder / "tokenizer.json";
  write_shard(folder / "valid.shard", {"another tokenizer's text, longer than a window"});
  error = error_text(ErrorKind::usage, [&] { train_as("run", recipe); });
  for (const char* name : {"another tokenizer", "valid.shard"}) EXPECT_NE(error.find(name), std::string::npos) << error;
  recipe.data.valid_shard = recipe.data.train_shard;
  train_as("run", recipe);
  EXPECT_EQ(read_file(checkpoint("run", 4) / "tokenizer.json"), read_file(folder / "tokenizer.json"));
}

// What is saved is what was read at the start, whatever becomes of the file.
TEST_F(Training, TheTokenizerIsKeptFromTheStart) {
  recipe.data.tokenizer = folder / "tokenizer.json";
  const std::string text = read_file(recipe.data.tokenizer);
  TrainHooks hooks;
  hooks.step = [&](int64_t, const Json&) { fs::remove(recipe.data.tokenizer); };
  train({.config = recipe, .run = run("run"), .threads = 1}, hooks);
  EXPECT_EQ(read_file(checkpoint("run", 4) / "tokenizer.json"), text);
}

TEST_F(Training, InitFromTakesWeightsAndNothingElse) {
  train_as("first", recipe);
  train_as("second", recipe, checkpoint("first", 4));
  EXPECT_EQ(series(run("second"), "val/loss").front(), series(run("first"), "val/loss").back());
  EXPECT_EQ(series(run("second"), "lr"), series(run("first"), "lr"));
  EXPECT_EQ(series(run("second"), "tokens"), series(run("first"), "tokens"));
  EXPECT_EQ(Json::read(checkpoint("second", 4) / "trainer/state.json").at("updates").as_int(), 4);

  recipe.model.moe_intermediate_size = 16;
  const std::string error = error_text(ErrorKind::shape, [&] { train_as("third", recipe, checkpoint("first", 4)); });
  EXPECT_NE(error.find("model.layers.1.mlp."), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(run("third")));
}

TEST_F(Training, KeepsTheLastAndTheBest) {
  recipe.schedule = {.steps = 7, .warmup = 1};
  recipe.optimizer.learning_rate = 2;  // reached at the end, and far too large: the best loss is early
  recipe.train.eval_every = recipe.train.checkpoint_every = 1;
  train_as("run", recipe);
  const auto losses = series(run("run"), "val/loss");
  ASSERT_EQ(losses.size(), 8u);
  const int64_t best = std::min_element(losses.begin() + 1, losses.end()) - losses.begin();
  ASSERT_LT(best, 6) << "choose another learning rate";
  const std::string name = "step-00000" + std::to_string(best);
  EXPECT_EQ(names_in(run("run") / "checkpoints"), (Names{name, "step-000006", "step-000007", "best.json"}));
  const Json marked = Json::read(run("run") / "checkpoints/best.json");
  EXPECT_EQ(marked.at("name").as_string(), name);
  EXPECT_EQ(marked.at("val_loss").as_double(), losses[best]);

  recipe.train.keep_best = false;
  recipe.train.keep_last = 1;
  train_as("run", recipe);
  EXPECT_EQ(names_in(run("run") / "checkpoints"), Names{"step-000007"});
}

TEST_F(Training, AnewMeansAnew) {
  recipe.train.checkpoint_every = 1;
  train_as("run", recipe);
  recipe.schedule.stop_after = 2;
  train_as("run", recipe);
  EXPECT_EQ(names_in(run("run") / "checkpoints"), (Names{"step-000001", "step-000002", "best.json"}));
}

TEST_F(Training, DenseModelsTrainToo) {
  recipe.model.first_k_dense_replace = 2;
  recipe.model.num_nextn_predict_layers = 0;
  const TrainSummary s = train_as("run", recipe);
  EXPECT_EQ(s.steps, 4);
  EXPECT_EQ(series(run("run"), "max_vio/worst"), std::vector<double>(4, 0.0));
}

TEST_F(Training, PlanKnowsWhatTheRunTakes) {
  recipe.train.micro_batches = 3;
  recipe.train.dtype = "bf16";
  const Json plan = plan_training(recipe, 1);
  const auto device = Device::make(DeviceKind::cpu, 1);
  const ParamTable table = make_param_table(recipe.model);
  ParamStore params(*device, table, {.storage = DType::bf16, .training = true});
  Model model(recipe.model, params);
  const TrainStep step(model, TrainingData(recipe).shape(), {.aux_seq = recipe.aux.seq});
  const Json& memory = plan.at("memory_bytes");
  EXPECT_EQ(memory.at("saved_activations").as_int(), static_cast<int64_t>(step.saved_bytes()));
  EXPECT_EQ(memory.at("scratch").as_int(), static_cast<int64_t>(step.scratch_bytes()));
  EXPECT_EQ(memory.at("master_weights").as_int(), params.flat_size() * 4);
  EXPECT_EQ(memory.at("moments").as_int(), params.flat("m").bytes() * 2);
  int64_t sum = 0;
  for (const auto& [kind, bytes] : memory.as_object())
    if (kind != "total" && kind != "available") sum += bytes.as_int();
  EXPECT_EQ(memory.at("total").as_int(), sum);
  int64_t trained = 0;
  for (const Param& p : table.list) trained += p.kind == ParamKind::buffer ? 0 : p.size();
  EXPECT_EQ(plan.at("parameters").at("total").as_int(), trained);
  EXPECT_LT(plan.at("parameters").at("active").as_int(), trained);
  EXPECT_EQ(plan.at("tokens").as_int(), 4 * 3 * 2 * 16);
  EXPECT_EQ(plan.at("flops_per_token").as_double(), training_flops_per_token(recipe.model, 16, AttentionCount::causal));
  EXPECT_NEAR(plan.at("ceiling").at("seconds").as_double(), 4 * plan.at("ceiling").at("seconds_per_step").as_double(), 1e-9);

  EXPECT_GT(memory.at("available").as_int(), sum);
  EXPECT_NO_THROW(admit_training(plan));
  EXPECT_NO_THROW(admit_training(plan_training(recipe, 1, sum)));
  const Json tight = plan_training(recipe, 1, sum - 1);
  EXPECT_FALSE(tight.find("ceiling")) << "timed although it does not fit";
  EXPECT_EQ(tight.at("parameters").dump(), plan.at("parameters").dump());
  const std::string error = error_text(ErrorKind::device, [&] { admit_training(tight); });
  EXPECT_NE(error.find(format_bytes(static_cast<double>(sum))), std::string::npos) << error;

  RunConfig huge;  // DeepSeek-V3's own shape: ten terabytes that nobody takes
  huge.data.seq_len = 4096;
  huge.data.batch_size = 1;
  const auto v3 = Device::make(DeviceKind::cpu, 1);
  v3->planning = true;
  const ParamStore v3_params(*v3, make_param_table(huge.model), {.storage = DType::bf16, .training = true});
  EXPECT_GT(v3_params.sizes().moments, size_t{5} * 1000 * 1000 * 1000 * 1000);
}

// The documentation names every key and every file that a run writes.
TEST_F(Training, DocumentationIsComplete) {
  recipe.train.eval_every = recipe.balance.probe_every = 2;
  recipe.aux = {.seq = 0.1, .global = 0.1};
  train_as("run", recipe);
  const std::string text = read_file(fs::path(BALLAST_SOURCE_DIR) / "docs/metrics.md");
  const auto documented = [&](std::string name) {
    if (const size_t layer = name.find("/layer_"); layer != std::string::npos) name = name.substr(0, layer) + "/layer_N";
    if (name.starts_with("step-")) name = "checkpoints/step-NNNNNN";
    return text.find("`" + name + "`") != std::string::npos;
  };
  Names keys, files;
  for (const Json& line : read_metrics(run("run")))
    for (const auto& [key, value] : line.as_object()) keys.insert(key);
  EXPECT_TRUE(keys.contains("val/bpb") && keys.contains("max_vio/layer_2") && keys.contains("train/aux_global") &&
              keys.contains("bf16_flip/layer_2"));
  for (const std::string& key : keys) EXPECT_TRUE(documented(key)) << key;
  for (const fs::path& folder : {run("run"), run("run") / "checkpoints", checkpoint("run", 4), checkpoint("run", 4) / "trainer"})
    for (const std::string& name : names_in(folder)) EXPECT_TRUE(documented(name)) << name;
  const Json state = Json::read(checkpoint("run", 4) / "trainer/state.json");
  for (const auto& [key, value] : state.as_object())
    EXPECT_TRUE(documented(key)) << "state.json: " << key;
  const Json summary = train_as("again", recipe).to_json();
  for (const auto& [key, value] : summary.as_object()) EXPECT_TRUE(documented(key)) << key;
}

}  // namespace
}  // namespace ballast
