#include "inspect/doctor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/jsonl.h"
#include "base/testing.h"
#include "formats/npy.h"
#include "inspect/convert.h"
#include "inspect/edited_model.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;
using testing::edited_model, testing::Edit, testing::floats_of, testing::tiny_bias, testing::tiny_model;
using testing::rewritten_model, testing::set_scale;

const Finding& finding(const Diagnosis& d, const std::string& check) {
  for (const Finding& f : d.findings)
    if (f.check == check) return f;
  static const Finding none{.check = "none", .health = Health::unknown};
  ADD_FAILURE() << "no finding " << check << "\n" << d.to_text(true);
  return none;
}

// The diagnosis of the small model with layer 1's bias replaced.
Diagnosis with_bias(const std::vector<float>& bias, FileDType dtype = FileDType::f32) {
  const TemporaryFolder work;
  return examine(edited_model(work.path() / "m", {{tiny_bias(1), {bias, dtype}}}), {.threads = 1});
}

std::vector<float> ramp(float from, float to) {
  std::vector<float> b;
  for (int e = 0; e < 12; ++e) b.push_back(from + (to - from) * static_cast<float>(e) / 11);
  return b;
}

TEST(Doctor, AModelInGoodHealth) {
  const Diagnosis d = examine(tiny_model(), {.threads = 1});
  EXPECT_TRUE(d.healthy()) << d.to_text(true);
  for (const char* check : {"gate", "gate rows", "gate bias", "bias", "frozen", "drift", "saturation"})
    EXPECT_EQ(finding(d, check).health, Health::good) << check << d.to_text(true);
  EXPECT_EQ(finding(d, "run").health, Health::unknown);
  EXPECT_EQ(finding(d, "saturation").layers.size(), 2u);
  const Json json = d.to_json();
  EXPECT_TRUE(json.at("healthy").as_bool());
  EXPECT_EQ(json.at("findings").as_array().size(), d.findings.size());
  EXPECT_NE(d.to_text(false).find("healthy"), std::string::npos);
}

TEST(Doctor, SaturationIsOfTheBiasesSpread) {
  EXPECT_EQ(finding(with_bias(ramp(-0.4f, 0.4f)), "saturation").health, Health::good);
  const Finding near = finding(with_bias(ramp(-0.47f, 0.47f)), "saturation");
  EXPECT_EQ(near.health, Health::note);
  EXPECT_NEAR(near.value, 0.06, 1e-6);
  const Diagnosis over = with_bias(ramp(2, 3.25f));
  EXPECT_EQ(finding(over, "saturation").health, Health::ill);
  EXPECT_NEAR(finding(over, "saturation").value, -0.25, 1e-6);
  EXPECT_FALSE(over.healthy());
  EXPECT_NE(over.to_text(false).find("figures ill"), std::string::npos);
}

// Far from zero bf16's step is 1/32: most biases fall together, and choices change. Without the mean it is harmless.
TEST(Doctor, Bf16DamageAndWhatCenteringHelps) {
  const Diagnosis d = with_bias(ramp(6.85f, 7.05f));
  const Finding& f = finding(d, "bf16");
  EXPECT_EQ(f.health, Health::note);
  EXPECT_GT(f.value, 0.05);
  EXPECT_NE(f.figure.find("of 12 biases differ"), std::string::npos) << f.figure;
  EXPECT_EQ(finding(d, "drift").health, Health::note);
  EXPECT_TRUE(d.healthy());  // stored in f32 it works

  const TemporaryFolder work;
  const fs::path off = edited_model(work.path() / "m", {{tiny_bias(1), {ramp(6.85f, 7.05f)}}});
  convert(off, work.path() / "centered", {.center_bias = true});
  const Diagnosis centered = examine(work.path() / "centered", {.threads = 1});
  EXPECT_EQ(finding(centered, "drift").health, Health::good);
  EXPECT_LT(finding(centered, "bf16").layers.at(1), f.layers.at(1) / 5);
}

TEST(Doctor, ZeroMaskMattersBelowZero) {
  const Diagnosis above = with_bias(ramp(2, 2.1f)), below = with_bias(ramp(-1.3f, -1.2f));
  EXPECT_GT(finding(above, "zero mask").layers.at(1), 2);
  const Finding& f = finding(below, "zero mask");
  EXPECT_EQ(f.health, Health::note);
  EXPECT_LT(f.layers.at(1), -0.2);
  EXPECT_NE(f.figure.find("(layer 1)"), std::string::npos) << f.figure;
  EXPECT_EQ(f.figure.find(" 0.0 % of"), std::string::npos) << f.figure;  // most rows would go wrong
}

TEST(Doctor, BiasesLostOrNarrowed) {
  const TemporaryFolder work;
  const Diagnosis missing = examine(edited_model(work.path() / "missing", {{tiny_bias(2), {}}}), {.threads = 1});
  EXPECT_EQ(finding(missing, "bias").health, Health::ill);
  EXPECT_NE(finding(missing, "bias").figure.find(tiny_bias(2) + " is not there"), std::string::npos);
  EXPECT_NE(finding(with_bias(ramp(-0.1f, 0.1f), FileDType::bf16), "bias").figure.find("is stored in BF16"),
            std::string::npos);
  std::vector<float> bad = ramp(-0.1f, 0.1f);
  bad[3] = NAN;
  EXPECT_FALSE(with_bias(bad).healthy());
  const Diagnosis equal = with_bias(std::vector<float>(12, 0));
  EXPECT_EQ(finding(equal, "frozen").health, Health::note);
  EXPECT_EQ(finding(equal, "frozen").value, 1);
  const Diagnosis on_logits = examine(
      edited_model(work.path() / "logits", {{"model.layers.1.mlp.gate.bias", {ramp(0, 1), FileDType::f32, {12}}}}), {});
  EXPECT_EQ(finding(on_logits, "gate bias").health, Health::ill);
}

TEST(Doctor, Fp8WithoutItsScales) {
  const TemporaryFolder work;
  const std::string name = "model.layers.1.mlp.experts.3.up_proj.weight", scales = name + "_scale_inv";
  convert(tiny_model(), work / "good", {.dtype = "fp8"});
  const auto examined = [&](const char* folder, auto&& change) {
    return examine(rewritten_model(work / "good", work / folder, change), {.threads = 1});
  };
  EXPECT_EQ(finding(examine(work / "good", {.threads = 1}), "FP8 scales").health, Health::good);
  const Diagnosis nan = examined("nan", [&](auto& tensors) { set_scale(tensors[scales], NAN); });
  EXPECT_EQ(finding(nan, "FP8 scales").health, Health::ill);
  EXPECT_NE(finding(nan, "FP8 scales").figure.find(name), std::string::npos);
  EXPECT_FALSE(nan.healthy());
  const Diagnosis gone = examined("gone", [&](auto& tensors) { tensors.erase(scales); });
  EXPECT_NE(finding(gone, "FP8 scales").figure.find(name + ": its scales are missing"), std::string::npos);
  EXPECT_FALSE(gone.healthy());
  const Diagnosis zero = examined("zero", [&](auto& tensors) { set_scale(tensors[scales], 0); });
  EXPECT_EQ(finding(zero, "FP8 scales").health, Health::note);
  EXPECT_TRUE(zero.healthy());
}

TEST(Doctor, AGateInATypeThatIsNoNumberHere) {
  const TemporaryFolder work;
  const std::string gate = "model.layers.1.mlp.gate.weight";
  const fs::path folder =
      rewritten_model(tiny_model(), work / "m", [&](auto& tensors) { tensors[gate].spec.dtype = FileDType::u32; });
  const Diagnosis d = examine(folder, {.threads = 1});
  EXPECT_EQ(finding(d, "gate").health, Health::ill);
  EXPECT_NE(finding(d, "gate").figure.find(gate + " is stored as U32 and cannot be decoded"), std::string::npos);
}

TEST(Doctor, RowsOfTheGate) {
  const std::string name = "model.layers.1.mlp.gate.weight";
  const auto with_row = [&](float factor) {
    const TemporaryFolder work;
    std::vector<float> gate = floats_of(tiny_model(), name);
    for (size_t i = 0; i < 26; ++i) gate[5 * 26 + i] *= factor;
    return examine(edited_model(work.path() / "m", {{name, {gate}}}), {.threads = 1});
  };
  EXPECT_EQ(finding(with_row(100), "gate rows").health, Health::note);
  EXPECT_EQ(finding(with_row(0), "gate rows").health, Health::ill);
  EXPECT_EQ(finding(with_row(NAN), "gate").health, Health::ill);
}

TEST(Doctor, ARouterWithoutABias) {
  const fs::path root = shared_dir() / "data/goldens/v2-lite";
  SKIP_WITHOUT(root);
  const Diagnosis d = examine(root, {});
  EXPECT_TRUE(d.healthy());
  EXPECT_NE(finding(d, "bias").figure.find("it has no bias"), std::string::npos);
}

// A run folder with the small model as its checkpoint, and records that are made up.
class MadeUpRun {
 public:
  explicit MadeUpRun(const std::map<std::string, double>& last,
                     const std::vector<int64_t>& load = std::vector<int64_t>(12, 50)) {
    edited_model(checkpoint(), {});
    JsonlWriter metrics(folder() / "metrics.jsonl");
    Json line = Json::object();
    for (const auto& [key, value] : last) line[key] = value;
    line["step"] = 120;
    metrics.write(line);
    Json later = Json::object();  // after the checkpoint
    later["step"] = 121;
    later["b_step_rms/layer_1"] = 0.0;
    metrics.write(later);
    fs::create_directories(checkpoint() / "trainer");
    write_file_atomic(checkpoint() / "trainer/state.json", R"({"format": 1, "step": 120, "loads_rows": 120})");
    NpyAppender loads(folder() / "loads.npy", {2, 12});
    for (int step = 0; step < 130; ++step) {
      std::vector<int64_t> row(24, 50);
      if (step < 120) std::copy(load.begin(), load.end(), row.begin() + 12);
      loads.append(row);
    }
    loads.flush();
  }
  fs::path folder() const { return work_.path(); }
  fs::path checkpoint() const { return work_.path() / "checkpoints/step-000120"; }

 private:
  TemporaryFolder work_;
};

std::map<std::string, double> healthy_metrics() {
  std::map<std::string, double> m{{"bias_rate", 1e-3}};
  for (const char* layer : {"/layer_1", "/layer_2"}) {
    for (const auto& [key, value] :
         {std::pair("b_spread", 0.2), std::pair("b_step_rms", 1e-3), std::pair("b_jitter", 0.01),
          std::pair("bf16_flip", 0.001), std::pair("switch_rate", 0.02)})
      m[key + std::string(layer)] = value;
  }
  return m;
}

TEST(Doctor, ReadsTheRunsRecords) {
  const MadeUpRun run(healthy_metrics());
  for (const fs::path& folder : {run.folder(), run.checkpoint()}) {
    const Diagnosis d = examine(folder, {.threads = 1});
    EXPECT_EQ(fs::canonical(d.run), fs::canonical(run.folder()));
    for (const char* check : {"balance", "dead", "starved", "updates", "jitter", "switching", "bf16 on text"})
      EXPECT_EQ(finding(d, check).health, Health::good) << check << "\n" << d.to_text(true);
  }
}

TEST(Doctor, WhatIsWrongWithARun) {
  std::map<std::string, double> m = healthy_metrics();
  m["b_step_rms/layer_2"] = 0;
  m["b_jitter/layer_1"] = 0.15;
  m["switch_rate/layer_2"] = 0.7;
  m["bf16_flip/layer_1"] = 0.3;
  std::vector<int64_t> load(12, 50);
  load[4] = 0, load[5] = 100;
  const MadeUpRun run(m, load);
  const Diagnosis d = examine(run.folder(), {.threads = 1});
  EXPECT_FALSE(d.healthy());
  EXPECT_EQ(finding(d, "dead").health, Health::ill);
  EXPECT_EQ(finding(d, "dead").layers.at(2), 1);
  EXPECT_EQ(finding(d, "starved").health, Health::note);
  EXPECT_EQ(finding(d, "balance").health, Health::note);
  EXPECT_NEAR(finding(d, "balance").value, 1, 1e-12);
  EXPECT_EQ(finding(d, "updates").health, Health::ill);
  EXPECT_EQ(finding(d, "jitter").health, Health::note);
  EXPECT_NEAR(finding(d, "jitter").value, 0.75, 1e-12);
  EXPECT_EQ(finding(d, "switching").health, Health::note);
  EXPECT_EQ(finding(d, "bf16 on text").health, Health::note);
  m["bias_rate"] = 0;
  EXPECT_EQ(finding(examine(MadeUpRun(m).folder(), {.threads = 1}), "updates").health,
            Health::note);  // frozen on purpose
}

TEST(Doctor, BadRecords) {
  const MadeUpRun run(healthy_metrics());
  fs::remove(run.folder() / "loads.npy");
  { NpyAppender(run.folder() / "loads.npy", {3, 12}).flush(); }
  EXPECT_THROW(examine(run.folder(), {}), Error);
  const TemporaryFolder empty;
  EXPECT_THROW(examine(empty.path(), {}), Error);
  write_file_atomic(empty.path() / "metrics.jsonl", "{}\n");
  EXPECT_THROW(examine(empty.path(), {}), Error);
}

}  // namespace
}  // namespace ballast
