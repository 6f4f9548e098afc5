// What the tests of training share: a model with every kind of layer that trains in milliseconds, on random text.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "data/test_shard.h"
#include "tokenizer/trainer.h"
#include "train/config.h"

namespace ballast {

// A dense and an MoE layer with groups, query and key-value latents and MTP: about 20 thousand parameters.
inline ModelConfig tiny_model() {
  ModelConfig m;
  m.vocab_size = 262;
  m.hidden_size = 16;
  m.intermediate_size = 24;
  m.moe_intermediate_size = 8;
  m.num_hidden_layers = 2;
  m.num_attention_heads = 2;
  m.n_routed_experts = 8;
  m.num_experts_per_tok = 2;
  m.n_group = 2;
  m.topk_group = 1;
  m.q_lora_rank = 8;
  m.kv_lora_rank = 8;
  m.qk_nope_head_dim = 8;
  m.qk_rope_head_dim = 4;
  m.v_head_dim = 8;
  m.first_k_dense_replace = 1;
  m.num_nextn_predict_layers = 1;
  m.max_position_embeddings = 64;
  m.initializer_range = 0.1;
  return m;
}

// Writes train.shard and valid.shard to the folder, and the tokenizer.json that they name, which the recipe does not.
inline RunConfig tiny_recipe(const std::filesystem::path& folder) {
  train_bpe(std::vector<std::string_view>{"a"}, tiny_model().vocab_size).save(folder / "tokenizer.json");
  const std::string tokenizer_hash = sha256_hex(read_file(folder / "tokenizer.json"));
  Rng rng(7, 0);
  for (const char* name : {"train.shard", "valid.shard"}) {
    std::vector<std::string> texts;
    for (int i = 0; i < 40; ++i) texts.push_back(random_text(rng, 30));
    write_shard(folder / name, texts, tokenizer_hash);
  }
  RunConfig c;
  c.model = tiny_model();
  c.data.train_shard = folder / "train.shard";
  c.data.valid_shard = folder / "valid.shard";
  c.data.seq_len = 16;
  c.data.batch_size = 2;
  c.schedule.steps = 4;
  c.optimizer.learning_rate = 1e-2;
  c.balance.bias_update_rate = 1e-2;
  c.train.dtype = "f32";
  c.train.eval_windows = 4;
  c.train.eval_every = 0;
  c.train.checkpoint_every = 0;
  return c;
}

inline std::vector<Json> read_metrics(const std::filesystem::path& run) {
  std::vector<Json> lines;
  JsonlReader reader(run / "metrics.jsonl");
  for (Json line; reader.next(line);) lines.push_back(line);
  return lines;
}

// The values of one key, in order, of the lines that have it.
inline std::vector<double> series(const std::filesystem::path& run, const char* key) {
  std::vector<double> values;
  for (const Json& line : read_metrics(run))
    if (const Json* v = line.find(key)) values.push_back(v->as_double());
  return values;
}

inline std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

}  // namespace ballast
