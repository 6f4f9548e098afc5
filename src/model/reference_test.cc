// The readable model against what torch and transformers compute. An error is max |a - b| / max |b| over a tensor.
#include "model/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <tuple>

#include "base/testing.h"
#include "formats/safetensors.h"
#include "model/weights.h"

namespace ballast::reference {
namespace {

namespace fs = std::filesystem;

fs::path tiny() { return fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny"; }

// A golden folder: tools/make_reference.py says what it holds.
struct Golden {
  ModelConfig config;
  Checkpoint weights;
  SafetensorsFile expected;

  explicit Golden(const fs::path& dir)
      : config(parse_hf_config(Json::read(dir / "config.json"), (dir / "config.json").string())),
        weights(Checkpoint::open(dir)),
        expected(dir / "reference.safetensors") {}

  template <class T>
  std::vector<T> values(const std::string& name) const {
    const FileTensor* t = expected.find(name);
    if (t == nullptr) fail(ErrorKind::format, name, "not in the reference");
    std::vector<T> out(t->elements());
    const auto copy = [&](auto of_file) {
      for (size_t i = 0; i < out.size(); ++i) {
        std::memcpy(&of_file, t->bytes.data() + i * sizeof of_file, sizeof of_file);
        out[i] = static_cast<T>(of_file);
      }
    };
    switch (t->dtype) {
      case FileDType::f32:
        copy(float{});
        break;
      case FileDType::f64:
        copy(double{});
        break;
      case FileDType::i64:
        copy(int64_t{});
        break;
      default:
        fail(ErrorKind::format, name, "unexpected dtype {}", name_of(t->dtype));
    }
    return out;
  }

  Batch batch() const {
    const std::vector<int64_t>& shape = expected.find("input_ids")->shape;
    std::vector<int32_t> offsets;
    for (int64_t b = 0; b <= shape[0]; ++b) offsets.push_back(static_cast<int32_t>(b * shape[1]));
    return Batch(values<int32_t>("input_ids"), offsets, config.num_nextn_predict_layers);
  }

  template <class T>
  Weights<T> load() const {
    Weights<T> out;
    for (const std::string& name : weights.names()) {
      if (name.ends_with("_scale_inv")) continue;
      const std::vector<int64_t>& shape = weights.at(name).shape;
      std::vector<float> values(weights.at(name).elements());
      read_weight(weights, name, shape, std::span<float>(values));
      Matrix<T> m(shape.size() == 1 ? 1 : shape[0], shape.back());
      std::transform(values.begin(), values.end(), m.values.begin(), [](float v) { return T(v); });
      out.emplace(name, std::move(m));
    }
    return out;
  }

  template <class T>
  double error(const std::string& name, const std::vector<T>& got) const {
    const std::vector<double> want = values<double>(name);
    if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
    double difference = 0, largest = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      difference = std::max(difference, std::abs(static_cast<double>(got[i]) - want[i]));
      largest = std::max(largest, std::abs(want[i]));
    }
    return difference / largest;
  }
};

// The experts of each token in ascending order with their weights, as the golden folders have them.
template <class T>
void sort_slots(Routing<T>& r) {
  for (int64_t i = 0; i < r.ids.rows; ++i) {
    std::vector<std::pair<int32_t, T>> slots;
    for (int64_t k = 0; k < r.ids.cols; ++k) slots.emplace_back(r.ids(i, k), r.weights(i, k));
    std::sort(slots.begin(), slots.end());
    for (int64_t k = 0; k < r.ids.cols; ++k)
      std::tie(r.ids.values[i * r.ids.cols + k], r.weights.values[i * r.ids.cols + k]) = slots[k];
  }
}

// Runs the model on a golden folder; every quantity must be within `tolerance`.
template <class T>
void expect_equal(const fs::path& dir, double tolerance) {
  const Golden golden(dir);
  const Weights<T> weights = golden.load<T>();
  Output<T> out = Model<T>(golden.config, weights).forward(golden.batch());
  double worst = 0;
  const auto check = [&](const std::string& name, const std::vector<T>& got) {
    const double error = golden.error(name, got);
    EXPECT_LE(error, tolerance) << name;
    worst = std::max(worst, error);
  };
  for (size_t i = 0; i < out.hidden.size(); ++i) check("hidden." + std::to_string(i), out.hidden[i].values);
  check("logits", out.logits.values);
  check("loss", {out.loss});
  check("loss_main", {out.loss_main});
  if (golden.config.num_nextn_predict_layers > 0) {
    check("mtp_logits", out.mtp_logits.at(0).values);
    check("loss_mtp", {out.loss_mtp});
  }
  EXPECT_EQ(out.routing.size(), golden.config.moe_layers().size());
  for (auto& [layer, routing] : out.routing) {
    const std::string name = "router." + std::to_string(layer) + ".";
    sort_slots(routing);
    check(name + "logits", routing.logits.values);
    check(name + "weights", routing.weights.values);
    EXPECT_EQ(routing.ids.values, golden.values<int32_t>(name + "experts")) << name;
  }
  std::printf("%s %s: largest error %.1e\n", dir.filename().c_str(), name_of(dtype_of<T>()), worst);
}

TEST(Reference, EqualsTransformers) {
  expect_equal<float>(tiny(), 1e-5);
  expect_equal<double>(tiny(), 1e-5);
}

class Shared : public testing::TestWithParam<const char*> {};
TEST_P(Shared, EqualsTransformers) {
  const fs::path dir = shared_dir() / "data/goldens" / GetParam();
  SKIP_WITHOUT(dir);
  expect_equal<float>(dir, 1e-5);
}
INSTANTIATE_TEST_SUITE_P(Reference, Shared, testing::Values("v3", "moonlight", "v2", "v2-lite", "v3-fp8"), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// d loss / d w by complex step equals torch's gradient, for one scalar of every kind of weight. The constant is
// eq. 25's: the golden loss is main + 0.3 mtp.
TEST(Reference, GradientEqualsTorchs) {
  using C = std::complex<double>;
  const Golden golden(tiny());
  Weights<C> weights = golden.load<C>();
  const Batch batch = golden.batch();
  const Model<C> model(golden.config, weights);
  for (const std::string name :
       {"lm_head.weight", "model.embed_tokens.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.kv_a_proj_with_mqa.weight",
        "model.layers.0.self_attn.q_a_layernorm.weight", "model.layers.1.self_attn.kv_b_proj.weight",
        "model.layers.1.mlp.gate.weight", "model.layers.1.mlp.shared_experts.down_proj.weight",
        "model.layers.2.eh_proj.weight", "model.layers.2.enorm.weight", "model.layers.2.shared_head.norm.weight"}) {
    const std::vector<double> want = golden.values<double>("grad." + name);
    // The largest entry: its relative error in torch's float32 is the smallest.
    size_t i = 0;
    for (size_t j = 1; j < want.size(); ++j) i = std::abs(want[j]) > std::abs(want[i]) ? j : i;
    constexpr double kStep = 1e-50;
    C& w = weights.at(name).values[i];
    w += C(0, kStep);
    const double got = model.forward(batch).loss.imag() / kStep;
    w = w.real();
    EXPECT_NEAR(got, want[i], 1e-5 * std::abs(want[i])) << name;
  }
}

TEST(Reference, PackedDocumentsNeverSeeEachOther) {
  const Golden golden(tiny());
  const Weights<double> weights = golden.load<double>();
  const Model<double> model(golden.config, weights);
  const std::vector<int32_t> ids = golden.batch().ids;
  const std::vector<int32_t> first(ids.begin(), ids.begin() + 5), second(ids.begin() + 5, ids.begin() + 12);
  const Output<double> both = model.forward(Batch(std::vector(ids.begin(), ids.begin() + 12), {0, 5, 5, 12}, 1));
  const Output<double> alone[] = {model.forward(Batch(first, {0, 5}, 1)), model.forward(Batch(second, {0, 7}, 1))};
  const auto appended = [](const Matrix<double>& a, const Matrix<double>& b) {
    std::vector<double> v = a.values;
    v.insert(v.end(), b.values.begin(), b.values.end());
    return v;
  };
  EXPECT_EQ(both.logits.values, appended(alone[0].logits, alone[1].logits));
  EXPECT_EQ(both.mtp_logits[0].values, appended(alone[0].mtp_logits[0], alone[1].mtp_logits[0]));
  EXPECT_EQ(both.mtp_logits[0].rows, 4 + 6);
  // Main loss: 4 and 6 tokens have a next one; MTP: 3 and 5 have one after that.
  EXPECT_NEAR(both.loss_main, (4 * alone[0].loss_main + 6 * alone[1].loss_main) / 10, 1e-14);
  EXPECT_NEAR(both.loss_mtp, (3 * alone[0].loss_mtp + 5 * alone[1].loss_mtp) / 8, 1e-14);
}

// Eq. 21-24 at depth 2: one row less per sequence and depth; the module after the first reads the first's output.
TEST(Reference, SecondMtpModule) {
  const Golden golden(tiny());
  Weights<double> weights = golden.load<double>();
  ModelConfig config = golden.config;
  const Output<double> one = Model<double>(config, weights).forward(golden.batch());
  config.num_nextn_predict_layers = 2;
  Weights<double> copies;
  for (const auto& [name, w] : weights)
    if (name.starts_with("model.layers.2.")) copies["model.layers.3." + name.substr(15)] = w;
  weights.merge(copies);
  const Batch batch(golden.batch().ids, golden.batch().rows.offsets, 2);
  const Output<double> two = Model<double>(config, weights).forward(batch);
  EXPECT_EQ(two.mtp_logits[0].values, one.mtp_logits[0].values);
  EXPECT_EQ(two.mtp_logits[1].rows, static_cast<int64_t>(batch.ids.size()) - 2 * 2);
  EXPECT_TRUE(std::isfinite(two.loss_mtp) && two.loss_mtp != one.loss_mtp);
}

TEST(Reference, NamesTheTensorThatIsMissingOrOfAnotherShape) {
  const Golden golden(tiny());
  Weights<float> weights = golden.load<float>();
  const auto message = [&] {
    try {
      Model<float>(golden.config, weights).forward(golden.batch());
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  weights["model.norm.weight"] = Matrix<float>(1, 3);
  EXPECT_EQ(message(), "model.norm.weight: is (1, 3), the config asks for (1, 26)");
  weights.erase("model.norm.weight");
  EXPECT_EQ(message(), "model.norm.weight: the weights lack this tensor");
}

}  // namespace
}  // namespace ballast::reference
