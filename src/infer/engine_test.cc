#include "infer/engine.h"

#include <gtest/gtest.h>

#include <utility>

#include "infer/finite.h"
#include "infer/golden_test.h"

namespace ballast {
namespace {

// Logits of every position, from one prefill.
std::vector<std::vector<double>> prefill_logits(Engine& engine, const std::vector<int32_t>& ids) {
  std::vector<std::vector<double>> all;
  engine.score(0, ids, [&](int64_t, const Tensor& logits) {
    for (int64_t i = 0; i < logits[0]; ++i) all.push_back(row(logits, i));
  });
  return all;
}

// The same, the first `prompt` tokens by prefill and the others one by one.
std::vector<std::vector<double>> decode_logits(Engine& engine, const std::vector<int32_t>& ids, size_t prompt) {
  std::vector<std::vector<double>> all;
  engine.prefill(0, std::span(ids).first(prompt));
  all.push_back(row(engine.logits(), 0));
  for (size_t i = prompt; i < ids.size(); ++i) {
    engine.decode(std::span(ids).subspan(i, 1));
    all.push_back(row(engine.logits(), 0));
  }
  return all;
}

void expect_decode_equals_prefill(DeviceKind kind, DType storage, double limit) {
  Golden g(kind, storage);
  const auto ids = Golden::ids(24);
  Engine engine(g.model(), {.slots = 1, .context = 32, .prefill_chunk = 32});
  const auto want = prefill_logits(engine, ids), got = decode_logits(engine, ids, 1);
  ASSERT_EQ(want.size(), got.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_LT(error(got[i], want[i]), limit) << "position " << i;
}

TEST(Engine, AbsorbedDecodeEqualsExpandedPrefillOnRef) {
  expect_decode_equals_prefill(DeviceKind::ref, DType::f64, 1e-12);
  expect_decode_equals_prefill(DeviceKind::ref, DType::f32, 1e-5);
}
TEST(Engine, AbsorbedDecodeEqualsExpandedPrefillOnCpu) {
  expect_decode_equals_prefill(DeviceKind::cpu, DType::f32, 1e-5);
}

TEST(Engine, ChunkedPrefillEqualsOneShot) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Golden g(kind);
    const auto ids = Golden::ids(24);
    Engine whole(g.model(), {.context = 32, .prefill_chunk = 32});
    const auto want = prefill_logits(whole, ids);
    for (const int64_t chunk : {1, 5, 7, 23}) {
      Engine engine(g.model(), {.context = 32, .prefill_chunk = chunk});
      const auto got = prefill_logits(engine, ids);
      for (size_t i = 0; i < want.size(); ++i)
        EXPECT_LT(error(got[i], want[i]), 1e-5) << name_of(kind) << " chunk " << chunk << " position " << i;
    }
  }
}

TEST(Engine, IdentitySettingsAreBitExact) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Golden g(kind);
    const auto ids = Golden::ids(24);
    Engine engine(g.model(), {.context = 32, .prefill_chunk = 9});
    const auto want = decode_logits(engine, ids, 12), want_all = prefill_logits(engine, ids);
    for (const SkipConfig& c : {policy("off"), policy("topk", g.slots()), policy("topk", g.slots(), 0, 1),
                                policy("topk", 0), policy("minp", 0, 0.0), policy("random", g.slots())}) {
      const auto plan = make_explicit_gate_plan(c, g.slots());
      engine.set_plan(plan.get());
      EXPECT_EQ(decode_logits(engine, ids, 12), want) << name_of(kind) << " " << c.policy;
      EXPECT_EQ(prefill_logits(engine, ids), want_all) << name_of(kind) << " " << c.policy;
    }
    const auto plan = make_explicit_gate_plan(policy("topk", g.slots() - 1), g.slots());
    engine.set_plan(plan.get());
    EXPECT_NE(decode_logits(engine, ids, 12), want) << "a policy that does nothing";
  }
}

TEST(Engine, NoPlanForOff) { EXPECT_EQ(make_gate_plan(policy("off"), 3), nullptr); }

TEST(Engine, SkippedSlotsAreSentinelsWithoutWeight) {
  Golden g(DeviceKind::cpu);
  const auto ids = Golden::ids(20);
  const auto plan = make_gate_plan(policy("topk", 2), g.slots());
  const RecordingPlan record(plan.get());
  Engine engine(g.model(), {.context = 32, .prefill_chunk = 32});
  engine.set_plan(&record);
  decode_logits(engine, ids, 10);
  EXPECT_GT(record.executed_slots, 0);
  EXPECT_EQ(record.skipped * 2, record.executed_slots) << "2 of 3 slots run";
  EXPECT_EQ(record.nonzero_weights_of_skipped, 0);
}

TEST(Engine, SkippedExpertsAreNeverRead) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Golden g(kind);
    const auto ids = Golden::ids(4);
    const auto plan = make_gate_plan(policy("topk", 1), g.slots());
    const RecordingPlan record(plan.get());
    Engine engine(g.model(), {.context = 8, .prefill_chunk = 2});
    engine.set_plan(&record);
    const auto want = decode_logits(engine, ids, 3);
    int poisoned = 0;
    for (const BlockParams& block : g.loaded.params->table().model.blocks) {
      if (!block.is_moe) continue;
      const auto& ran = record.experts.at(poisoned > 0 ? 1 : 0);
      const int experts = g.loaded.config.n_routed_experts;
      for (const ParamId id : {block.moe.experts_gate_up, block.moe.experts_down}) {
        const int64_t size = g.loaded.params->table().list[id].size() / experts;
        const std::vector<double> nan(static_cast<size_t>(size), NAN);
        for (int e = 0; e < experts; ++e)
          if (!ran.contains(e)) g.loaded.params->write(id, e * size, nan.data(), size), ++poisoned;
      }
    }
    EXPECT_GT(poisoned, 10);
    g.loaded.params->refresh();
    EXPECT_EQ(decode_logits(engine, ids, 3), want) << name_of(kind);
    engine.set_plan(nullptr);
    EXPECT_THROW(decode_logits(engine, ids, 3), Error) << "the poison must show without the policy";
  }
}

TEST(Engine, ExecutedCountsDistinctExperts) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu})
    for (const int k : {1, 2, 3}) {
      Golden g(kind);
      const auto plan = make_explicit_gate_plan(policy("topk", k), g.slots());
      const RecordingPlan record(plan.get());
      Engine engine(g.model(), {.context = 128, .prefill_chunk = 128});
      engine.set_plan(&record);
      auto ids = Golden::ids(24);
      while (ids.size() < 100) ids.push_back(ids[ids.size() - 24]);  // more rows than the small products' limit
      decode_logits(engine, ids, 90);
      const auto executed = engine.executed();
      for (const auto& [layer, reads] : record.reads)
        EXPECT_EQ(executed[layer], reads) << name_of(kind) << " top-" << k;
      EXPECT_EQ(executed.back(), 0) << "the MTP layer does not run";
      engine.reset_executed();
      engine.decode(std::span(ids).first(1));
      for (const auto& [layer, reads] : record.reads) EXPECT_EQ(engine.executed()[layer], k);
    }
}

TEST(Engine, PaddingRowsRunNoExpertAndChangeNothing) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Golden g(kind);
    const auto ids = Golden::ids(16);
    Engine engine(g.model(), {.slots = 3, .context = 32, .prefill_chunk = 32});
    const std::span<const int32_t> all(ids);
    engine.prefill(0, all.first(5));
    engine.prefill(2, all.first(9));
    const RecordingPlan record(nullptr);
    engine.set_plan(&record);
    engine.reset_executed();
    engine.decode(std::vector<int32_t>{ids[5], -1, ids[9]});
    EXPECT_EQ(record.skipped, 3 * static_cast<int64_t>(record.reads.size())) << "a padding row's slots are all -1";
    for (const auto& [layer, reads] : record.reads) EXPECT_EQ(engine.executed()[layer], reads);
    EXPECT_EQ(engine.length(0), 6);
    EXPECT_EQ(engine.length(1), 0);
    EXPECT_EQ(engine.length(2), 10);
    const auto first = row(engine.logits(), 0), third = row(engine.logits(), 2);
    Engine alone(g.model(), {.slots = 1, .context = 32, .prefill_chunk = 32});
    EXPECT_LT(error(first, decode_logits(alone, {ids.begin(), ids.begin() + 6}, 5).back()), 1e-5);
    EXPECT_LT(error(third, decode_logits(alone, {ids.begin(), ids.begin() + 10}, 9).back()), 1e-5);
  }
}

TEST(Engine, SkippingMayLeaveThePromptAlone) {
  Golden g(DeviceKind::cpu);
  const auto ids = Golden::ids(16);
  Engine engine(g.model(), {.context = 32, .prefill_chunk = 32});
  const auto want = decode_logits(engine, ids, 12);
  SkipConfig c = policy("topk", 1);
  c.prefill = false;
  const auto decode_only = make_gate_plan(c, g.slots());
  engine.set_plan(decode_only.get());
  const auto got = decode_logits(engine, ids, 12);
  EXPECT_EQ(got.front(), want.front()) << "the prompt";
  EXPECT_NE(got.back(), want.back()) << "the generated tokens";
  c.prefill = true;
  const auto everywhere = make_gate_plan(c, g.slots());
  engine.set_plan(everywhere.get());
  EXPECT_NE(decode_logits(engine, ids, 12).front(), want.front());
}

TEST(Engine, RefusesWhatDoesNotFit) {
  Golden g(DeviceKind::cpu);
  Engine engine(g.model(), {.slots = 2, .context = 4, .prefill_chunk = 4});
  const auto ids = Golden::ids(5);
  EXPECT_THROW(engine.prefill(0, ids), Error);
  EXPECT_THROW(engine.prefill(0, std::span(ids).first(0)), Error);
  EXPECT_THROW(engine.prefill(0, std::vector<int32_t>{67}), Error);
  EXPECT_THROW(engine.prefill(0, std::vector<int32_t>{-1}), Error);
  engine.prefill(0, std::span(ids).first(2));
  engine.prefill(1, std::span(ids).first(4));
  EXPECT_THROW(engine.decode(std::vector<int32_t>{1, 1}), Error);  // slot 1 is full
  EXPECT_EQ(engine.length(0), 2) << "a refused step changes nothing";
  EXPECT_THROW(engine.decode(std::vector<int32_t>{67, -1}), Error);
  engine.decode(std::vector<int32_t>{1, -1});
  EXPECT_EQ(engine.length(0), 3);
}

// The first tensor of a parameter with NaN in its first element, for a while.
class Poison {
 public:
  Poison(ParamStore& params, ParamId id) : params_(params), id_(id) {
    params_.read(id_, 0, &before_, 1);
    put(NAN);
  }
  ~Poison() { put(before_); }
  const std::string& tensor() const { return params_.table().list[id_].hub.front().name; }

 private:
  void put(double value) { params_.write(id_, 0, &value, 1); }
  ParamStore& params_;
  ParamId id_;
  double before_ = 0;
};

template <class F>
void expect_not_finite(const std::string& tensor, F&& step) {
  try {
    step();
    ADD_FAILURE() << tensor << " was not noticed";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::format);
    const std::string text = e.what();
    EXPECT_EQ(e.where, Golden::folder().string());
    EXPECT_NE(text.find(tensor + " holds NaN"), std::string::npos) << text;
    EXPECT_EQ(text.find("ballast doctor") != std::string::npos, tensor.find("gate.weight") != std::string::npos)
        << text;
  }
}

TEST(Engine, GivesNothingThatIsMadeOfNaN) {
  for (const DType storage : {DType::f32, DType::bf16})
    for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
      if (kind == DeviceKind::ref && storage == DType::bf16) continue;
      Golden g(kind, storage);
      ParamStore& params = *g.loaded.params;
      const ModelParams& m = params.table().model;
      const MoeParams& moe = m.blocks.back().moe;
      const std::vector<int32_t> ids{1, 0, 2, 3};  // the embedding's first row is token 0's
      Engine engine(g.model(), {.slots = 2, .context = 16, .prefill_chunk = 2});
      const auto want = decode_logits(engine, ids, 3);
      for (const ParamId id : {m.embedding, m.head, m.final_norm, moe.gate, moe.shared.down}) {
        const Poison poison(params, id);
        expect_not_finite(poison.tensor(), [&] { engine.prefill(0, ids); });
        expect_not_finite(poison.tensor(), [&] { engine.score(0, ids, [](int64_t, const Tensor&) {}); });
      }
      engine.prefill(0, ids);
      {
        const Poison poison(params, moe.gate);
        expect_not_finite(poison.tensor(), [&] { engine.decode(std::vector<int32_t>{5, -1}); });
      }
      EXPECT_EQ(decode_logits(engine, ids, 3), want) << "and goes on when the weights are good again";
    }
}

TEST(Engine, SaysWhatOverflowedWhereNoWeightIsToBlame) {
  Golden g(DeviceKind::cpu);
  const ParamId norm = g.loaded.params->table().model.final_norm;
  const std::vector<double> huge(static_cast<size_t>(g.loaded.config.hidden_size), 3e38);
  g.loaded.params->write(norm, 0, huge.data(), std::ssize(huge));
  Engine engine(g.model(), {.context = 16});
  try {
    engine.prefill(0, Golden::ids(4));
    ADD_FAILURE() << "not noticed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("the logits are NaN or infinite"), std::string::npos) << e.what();
  }
}

TEST(Load, RefusesARoutersBiasThatIsNotFinite) {
  Golden g(DeviceKind::cpu);
  check_router_biases(*g.loaded.params);
  const ParamId bias = g.loaded.params->table().model.blocks.back().moe.bias;
  for (const double value : {static_cast<double>(NAN), -static_cast<double>(INFINITY)}) {
    g.loaded.params->write(bias, 1, &value, 1);
    EXPECT_THROW(check_router_biases(*g.loaded.params), Error);
  }
}

TEST(Finite, SeesEveryKindInEveryPlace) {
  std::vector<float> v(37, 1e38f);
  v[3] = -0.0f, v[4] = 1e-45f, v[5] = -3.4e38f;
  const Tensor t(v.data(), DType::f32, {37});
  EXPECT_TRUE(all_finite(t));
  for (const float bad : {NAN, -NAN, INFINITY, -INFINITY})
    for (size_t i = 0; i < v.size(); ++i) {
      const float good = std::exchange(v[i], bad);
      EXPECT_FALSE(all_finite(t)) << bad << " at " << i;
      v[i] = good;
    }
  std::vector<double> wide(5, 1.0);
  EXPECT_TRUE(all_finite(Tensor(wide.data(), DType::f64, {5})));
  wide[4] = NAN;
  EXPECT_FALSE(all_finite(Tensor(wide.data(), DType::f64, {5})));
}

TEST(Engine, PoliciesRefuseOtherTypesThanF32) {
  Golden g(DeviceKind::ref, DType::f64);
  Engine engine(g.model(), {.context = 4});
  const auto plan = make_gate_plan(policy("topk", 1), g.slots());
  engine.set_plan(plan.get());
  EXPECT_THROW(engine.prefill(0, std::vector<int32_t>{1}), Error);
}

}  // namespace
}  // namespace ballast
