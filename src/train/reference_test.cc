// The model that ships equals the model that is written to be read (model/reference.h): same weights, f64, Device::ref.
#include "model/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/rng.h"
#include "formats/safetensors.h"
#include "model/weights.h"
#include "train/step.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

// Both run the same refs, but sum some products in another order.
constexpr double kTolerance = 1e-12;

void expect_close(const char* what, const Tensor& got, const reference::Matrix<double>& want) {
  ASSERT_EQ(got.size(), static_cast<int64_t>(want.values.size())) << what;
  double difference = 0, largest = 0;
  for (size_t i = 0; i < want.values.size(); ++i) {
    difference = std::max(difference, std::abs(got.as<double>()[i] - want.values[i]));
    largest = std::max(largest, std::abs(want.values[i]));
  }
  EXPECT_LE(difference, kTolerance * largest) << what;
}

class ShippedModel : public testing::Test {
 protected:
  ShippedModel()
      : config_(read_model_config(dir_)), device_(Device::make(DeviceKind::ref)), table_(make_param_table(config_)) {
    const Checkpoint file = Checkpoint::open(dir_ / "model.safetensors");
    for (const std::string& name : file.names()) {
      const std::vector<int64_t>& shape = file.at(name).shape;
      reference::Matrix<double> w(shape.size() == 1 ? 1 : shape[0], shape.back());
      file.read(name, shape, std::span<double>(w.values));
      weights_.emplace(name, std::move(w));
    }
    params_ = std::make_unique<ParamStore>(*device_, table_, ParamStore::Options{.storage = DType::f64});
    load_weights(*params_, file);
  }

  // Another shape in the golden one's place, with random weights.
  void use(const ModelConfig& config) {
    config_ = config;
    table_ = make_param_table(config_);
    params_ = std::make_unique<ParamStore>(*device_, table_, ParamStore::Options{.storage = DType::f64});
    weights_.clear();
    for (size_t id = 0; id < table_.list.size(); ++id) {
      Rng rng(17, id);
      for (const HubTensor& t : table_.list[id].hub) {
        reference::Matrix<double> w(t.shape.size() == 1 ? 1 : t.shape[0], t.shape.back());
        for (double& v : w.values) v = 0.4 * rng.normal() + (table_.list[id].ones ? 1 : 0);
        params_->write(static_cast<ParamId>(id), t.offset, w.values.data(), t.size());
        weights_.emplace(t.name, std::move(w));
      }
    }
  }

  // Rows of tokens cut into documents of these lengths.
  void expect_equal(const std::vector<std::vector<int>>& documents, int64_t length) {
    Batch batch(static_cast<int64_t>(documents.size()), length, static_cast<int64_t>(documents.size()) * length);
    std::vector<int32_t> offsets = {0}, ids;
    for (size_t row = 0; row < documents.size(); ++row) {
      std::vector<int32_t> tokens;
      std::vector<int64_t> document;
      for (size_t d = 0; d < documents[row].size(); ++d) {
        document.insert(document.end(), documents[row][d], static_cast<int64_t>(d));
        offsets.push_back(offsets.back() + documents[row][d]);
      }
      for (int64_t i = 0; i < length; ++i)
        tokens.push_back(static_cast<int32_t>((31 * (row + 1) + 7 * i * i) % config_.vocab_size));
      set_row(batch, static_cast<int64_t>(row), tokens, document, true);
      ids.insert(ids.end(), tokens.begin(), tokens.end());
    }
    const reference::Batch read(ids, offsets, config_.num_nextn_predict_layers);
    const reference::Output<double> want = reference::Model<double>(config_, weights_).forward(read);

    Model model(config_, *params_);
    const bool one_document_a_row = offsets.size() == documents.size() + 1;  // else the balance loss's segments differ
    TrainStep step(model, batch, {.aux_seq = one_document_a_row ? 1.0 : 0.0, .backward = false});
    step.begin();
    Trace trace;
    const LossSums losses = step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true, &trace);

    EXPECT_NEAR(losses.mean(), want.loss_main, kTolerance * want.loss_main);
    EXPECT_NEAR(losses.mtp_mean(), want.loss_mtp, kTolerance * want.loss_mtp);
    if (one_document_a_row) {
      EXPECT_NEAR(step.aux_losses().first, want.loss_balance, kTolerance * want.loss_balance);
    }
    ASSERT_EQ(trace.hidden.size(), want.hidden.size());
    for (size_t i = 0; i < want.hidden.size(); ++i) expect_close("hidden", trace.hidden[i], want.hidden[i]);
    size_t l = 0;
    for (const auto& [layer, routing] : want.routing) {
      const MoeLayer::Saved& got = trace.routing[l++];
      if (layer >= config_.num_hidden_layers) continue;  // MTP: the shipped model keeps rows without a next token
      expect_close("router weights", got.weights, routing.weights);
      EXPECT_TRUE(std::equal(routing.ids.values.begin(), routing.ids.values.end(), got.ids.as<int32_t>()));
    }
  }

  const fs::path dir_ = fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny";
  ModelConfig config_;
  std::unique_ptr<Device> device_;
  ParamTable table_;
  std::unique_ptr<ParamStore> params_;
  reference::Weights<double> weights_;
};

TEST_F(ShippedModel, EqualsTheReadableOne) { expect_equal({{13}, {13}, {13}}, 13); }
TEST_F(ShippedModel, EqualsTheReadableOneOnPackedDocuments) { expect_equal({{5, 1, 7}, {2, 11}}, 13); }

TEST_F(ShippedModel, EqualsTheReadableOneWithBiasesAndATiedHead) {
  ModelConfig c = config_;
  c.attention_bias = c.tie_word_embeddings = true;
  use(c);
  expect_equal({{13}, {13}}, 13);
  c.q_lora_rank.reset();
  use(c);
  expect_equal({{5, 8}}, 13);
}

TEST_F(ShippedModel, EqualsTheReadableOneOfV2) {
  ModelConfig c = config_;
  c.scoring_func = "softmax", c.topk_method = "group_limited_greedy", c.norm_topk_prob = false;
  c.routed_scaling_factor = 16, c.num_nextn_predict_layers = 0;
  use(c);
  expect_equal({{13}, {13}}, 13);
  c.topk_method = "greedy", c.norm_topk_prob = true;
  use(c);
  expect_equal({{13}, {13}}, 13);
}

}  // namespace
}  // namespace ballast
