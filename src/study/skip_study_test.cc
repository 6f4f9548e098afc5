#include "study/skip_study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/human.h"
#include "base/log.h"
#include "base/rng.h"
#include "infer/score.h"
#include "model/moe/skip.h"
#include "study/skip_cases.h"

namespace ballast {
namespace {

class Silence : public LogSink {
 public:
  void line(LogLevel, std::string_view) override {}
};

ModelConfig small_shape() {
  ModelConfig c;
  c.vocab_size = 211;
  c.hidden_size = 48;
  c.intermediate_size = 64;
  c.moe_intermediate_size = 32;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 2;
  c.n_routed_experts = 8;
  c.num_experts_per_tok = 4;
  c.n_group = 2;
  c.topk_group = 2;
  c.q_lora_rank = 24;
  c.kv_lora_rank = 16;
  c.qk_nope_head_dim = 16;
  c.qk_rope_head_dim = 8;
  c.v_head_dim = 16;
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = 1;
  c.max_position_embeddings = 256;
  return c;
}

struct Subject {
  explicit Subject(const ModelConfig& config, DType storage = DType::f32)
      : device(Device::make(DeviceKind::cpu, 2)),
        params(*device, make_param_table(config), {.storage = storage}),
        model((params.initialize(5, 0.15), config), params) {}
  std::unique_ptr<Device> device;
  ParamStore params;
  Model model;
};

std::vector<std::vector<int32_t>> files(size_t n, size_t length, int vocab) {
  std::vector<std::vector<int32_t>> all(n);
  for (size_t i = 0; i < n; ++i) {
    Rng rng(9, i);
    all[i].push_back(0);
    while (all[i].size() < length + i) all[i].push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab))));
  }
  return all;
}

const SkipStudyOptions kShort{
    .score_tokens = 300, .window = 32, .calibration_tokens = 100, .rounds = 2, .prompt = 32, .decode = 8, .seed = 3};

TEST(SkipStudy, MeasuresEveryPolicy) {
  Silence silence;
  const ScopedLogSink scope(silence);
  Subject s(small_shape());
  const auto documents = files(12, 60, 211);
  const SkipStudy study = study_skip(s.model, documents, kShort);
  // off; top-k 4, and 3, 2, 1 with both renorms; min-p at three thresholds with both; random 3, 2, 1
  ASSERT_EQ(study.rows.size(), 1u + 1 + 6 + 6 + 3);
  EXPECT_EQ(study.files, 10);  // 31 scored tokens of each file's first window
  EXPECT_EQ(study.tokens, 310);
  EXPECT_TRUE(study.calibrated_apart);
  for (const SkipResult& r : study.rows) {
    SCOPED_TRACE(r.policy + r.settings.dump());
    EXPECT_GT(r.pp, 0);
    EXPECT_GT(r.tg, 0);
    EXPECT_LE(r.speedup_lo, r.speedup);
    EXPECT_GE(r.speedup_hi, r.speedup);
    EXPECT_LE(r.dnll_lo, r.dnll);
    EXPECT_GE(r.dnll_hi, r.dnll);
    EXPECT_GE(r.kl, 0);
    const bool identity = r.policy == "off" || (r.policy == "topk" && r.settings.at("top_k").as_int() == 4);
    if (identity) {
      EXPECT_EQ(r.executed_k, 4);
      EXPECT_EQ(r.predicted, 1);
      EXPECT_EQ(r.dnll, 0);
      EXPECT_EQ(r.kl, 0);
      EXPECT_EQ(r.same_top1, 1);
    } else {
      EXPECT_LT(r.executed_k, 4);
      EXPECT_GT(r.predicted, 1);
      EXPECT_GT(r.kl, 0);
    }
    if (const Json* k = r.settings.find("top_k")) {
      EXPECT_DOUBLE_EQ(r.executed_k, double(k->as_int()));
    }
  }
  if (std::getenv("BALLAST_VERBOSE")) std::fputs(study.table().c_str(), stderr);
  const Json rows = study.rows_json();
  ASSERT_EQ(rows.as_array().size(), study.rows.size());
  for (const char* key : {"policy", "settings", "executed_k", "pp512", "tg128", "speedup", "speedup_lo", "speedup_hi",
                          "predicted", "dnll", "dnll_lo", "dnll_hi", "kl", "same_top1"})
    EXPECT_NE(rows.as_array()[3].find(key), nullptr) << key;
  EXPECT_NE(study.intervals_json().at("dnll").as_string().find("10 files"), std::string::npos);
}

TEST(SkipStudy, QualityIsReproducibleAndThatOfTheScores) {
  Silence silence;
  const ScopedLogSink scope(silence);
  Subject s(small_shape());
  const auto documents = files(3, 20, 211);
  SkipStudyOptions o = kShort;
  o.score_tokens = 1000;  // all of them: nothing is left to calibrate on
  const SkipStudy study = study_skip(s.model, documents, o), again = study_skip(s.model, documents, o);
  EXPECT_FALSE(study.calibrated_apart);
  EXPECT_EQ(study.tokens, 19 + 20 + 21);
  for (size_t i = 0; i < study.rows.size(); ++i) {
    EXPECT_EQ(study.rows[i].dnll, again.rows[i].dnll);
    EXPECT_EQ(study.rows[i].dnll_hi, again.rows[i].dnll_hi);
    EXPECT_EQ(study.rows[i].kl, again.rows[i].kl);
  }
  // The same by hand, in double: top-2.
  Engine engine(s.model, {.context = 64, .prefill_chunk = 64});
  SkipConfig c;
  c.policy = "topk";
  c.top_k = 2;
  const auto plan = make_gate_plan(c, 4);
  double dnll = 0, kl = 0, same = 0;
  for (const auto& ids : documents) {
    std::vector<float> off, on;
    const auto logits = [&](const GatePlan* p, std::vector<float>& to) {
      engine.set_plan(p);
      engine.score(0, std::span(ids).first(ids.size() - 1),
                   [&](int64_t, const Tensor& z) { to.assign(z.as<float>(), z.as<float>() + z.size()); });
    };
    logits(nullptr, off);
    logits(plan.get(), on);
    for (size_t t = 0; t + 1 < ids.size(); ++t) {
      const float *a = off.data() + t * 211, *b = on.data() + t * 211;
      double sum_a = 0, sum_b = 0;
      for (int v = 0; v < 211; ++v) sum_a += std::exp(double(a[v])), sum_b += std::exp(double(b[v]));
      const double la = std::log(sum_a), lb = std::log(sum_b);
      dnll += (lb - b[ids[t + 1]]) - (la - a[ids[t + 1]]);
      for (int v = 0; v < 211; ++v) kl += std::exp(a[v] - la) * ((a[v] - la) - (b[v] - lb));
      same += std::max_element(a, a + 211) - a == std::max_element(b, b + 211) - b;
    }
  }
  const auto row = std::find_if(study.rows.begin(), study.rows.end(), [](const SkipResult& r) {
    return r.policy == "topk" && r.settings.at("top_k").as_int() == 2 && r.settings.at("renorm").as_int() == 0;
  });
  ASSERT_NE(row, study.rows.end());
  const double n = static_cast<double>(study.tokens);
  EXPECT_NEAR(row->dnll, dnll / n, 1e-5);
  EXPECT_NEAR(row->kl, kl / n, 1e-5 * kl / n + 1e-6);
  EXPECT_EQ(row->same_top1, same / n);
}

TEST(SkipStudy, MinPKeepsWhatItsThresholdsPromise) {
  Subject s(small_shape());
  const auto documents = files(6, 60, 211);
  std::vector<std::span<const int32_t>> windows(documents.begin(), documents.end());
  Engine engine(s.model, {.context = 128, .prefill_chunk = 128});
  const auto thresholds = calibrate_min_p(engine, windows);
  ASSERT_EQ(thresholds.size(), 3u);
  EXPECT_EQ(engine.plan(), nullptr);
  const double targets[] = {3, 2, 1};
  for (size_t i = 0; i < 3; ++i) {
    Json fields = Json::object();
    fields["policy"] = "minp";
    fields["min_p"] = thresholds[i];
    SkipConfig c;
    read_config(c, fields, "test");
    const auto plan = make_gate_plan(c, 4);
    engine.set_plan(plan.get());
    engine.prefill(0, std::span(documents[0]).first(1));
    engine.reset_executed();
    int64_t decoded = 0, executed = 0;
    for (size_t t = 1; t < 60; ++t, ++decoded) engine.decode(std::span(documents[0]).subspan(t, 1));
    for (const int64_t n : engine.executed()) executed += n;
    // Hidden states differ from those without the policy, and this is one of six files.
    EXPECT_NEAR(double(executed) / double(decoded) / 2, targets[i], 0.35);
  }
}

TEST(SkipCases, RenormOnlyWhereItHasAnEffect) {
  ModelConfig c = small_shape();
  const std::vector<double> min_p{0.5};
  EXPECT_EQ(skip_cases(c, min_p, 1).size(), 1u + 6 + 2 + 3);
  c.norm_topk_prob = false;
  EXPECT_EQ(skip_cases(c, min_p, 1).size(), 1u + 3 + 1 + 3);
  c.num_experts_per_tok = 1;
  EXPECT_EQ(skip_cases(c, {}, 1).size(), 1u);
}

TEST(SkipStudy, SaysBeforehandWhatItWillDo) {
  std::string said;
  struct Keep : LogSink {
    std::string& text;
    explicit Keep(std::string& text) : text(text) {}
    void line(LogLevel, std::string_view line) override { text += line; }
  } keep(said);
  const ScopedLogSink scope(keep);
  Subject s(small_shape());
  SkipStudyOptions o = kShort;
  o.policies = {"topk"};
  const double begin = steady_seconds();
  const SkipStudy study = study_skip(s.model, files(12, 60, 211), o);
  const double minutes = (steady_seconds() - begin) / 60;
  const SkipPlan& plan = study.plan;
  EXPECT_EQ(plan.tokens, study.tokens);
  EXPECT_EQ(plan.windows, 10);
  EXPECT_EQ(plan.policies, 7);
  EXPECT_EQ(study.rows.size(), 1u + 7);
  EXPECT_EQ(plan.calibration_tokens, 0) << "only min-p needs it";
  EXPECT_EQ(plan.timed_runs, 2 * (7 + 2) * 2 + 1);
  EXPECT_GT(plan.quality_minutes, 0);
  EXPECT_GT(plan.speed_minutes, 0);
  EXPECT_LT(plan.minutes(), 20 * minutes) << "an estimate, on a machine that others use";
  EXPECT_NE(said.find("310 tokens in 10 windows"), std::string::npos) << said;
  EXPECT_EQ(study.to_json().at("plan").at("policies").as_int(), 7);
  EXPECT_EQ(study.table().find("min-p"), std::string::npos);
}

TEST(SkipStudy, RefusesWhatItCannotMeasure) {
  Subject s(small_shape());
  EXPECT_THROW(study_skip(s.model, {}, kShort), Error);
  SkipStudyOptions o = kShort;
  o.rounds = 1;
  EXPECT_THROW(study_skip(s.model, files(2, 60, 211), o), Error);
  o = kShort;
  o.policies = {"topk", "min-p"};
  EXPECT_THROW(study_skip(s.model, files(2, 60, 211), o), Error);
  ModelConfig dense = small_shape();
  dense.first_k_dense_replace = 3;
  dense.num_nextn_predict_layers = 0;
  Subject d(dense);
  EXPECT_THROW(study_skip(d.model, files(2, 60, 211), kShort), Error);
}

// The shape of the quickstart, with a smaller budget.
TEST(SlowSkipStudy, QuickstartShape) {
  ModelConfig c = small_shape();
  c.vocab_size = 8192;
  c.hidden_size = 96;
  c.intermediate_size = 288;
  c.moe_intermediate_size = 176;
  c.num_hidden_layers = 4;
  c.num_attention_heads = 4;
  c.n_routed_experts = 32;
  c.num_experts_per_tok = 8;
  c.n_group = 4;
  c.q_lora_rank = 64;
  c.kv_lora_rank = 32;
  c.qk_nope_head_dim = 32;
  c.qk_rope_head_dim = 16;
  c.v_head_dim = 32;
  c.max_position_embeddings = 1024;
  const char* bf16 = std::getenv("BALLAST_BF16");
  Subject s(c, bf16 ? DType::bf16 : DType::f32);
  const double start = steady_seconds();
  const SkipStudy study = study_skip(s.model, files(40, 700, 8192), {.score_tokens = 4096, .rounds = 3});
  std::fputs(study.table().c_str(), stderr);
  std::fprintf(stderr, "%.1f s\n", steady_seconds() - start);
  for (const SkipResult& r : study.rows)
    if (r.policy == "topk") {
      EXPECT_EQ(r.executed_k, double(r.settings.at("top_k").as_int()));
    }
}

}  // namespace
}  // namespace ballast
