// Sources of a few kilobytes in two packages, and a model that trains on them in milliseconds.
#pragma once

#include "e2e/child.h"

namespace ballast::e2e {

inline void write_tiny_sources(const fs::path& folder) {
  for (const char* package : {"alpha", "beta", "gamma", "delta"}) {
    for (int file = 0; file < 3; ++file) {
      std::string text = "import " + std::string(package) + "\n\n";
      for (int i = 0; i < 25; ++i) {
        const std::string n = std::to_string(i * 7 + file);
        text += "def " + std::string(package) + "_" + n + "(value, other=" + n + "):\n    return value * " + n +
                " + other\n\n";
      }
      spill(folder / package / ("part" + std::to_string(file) + ".py"), text);
    }
  }
}

inline std::vector<std::string> tiny_training(const fs::path& data) {
  return {"train",
          "--data.train_shard",
          data / "train.shard",
          "--data.valid_shard",
          data / "held_out.shard",
          "--data.tokenizer",
          data / "tokenizer.json",
          "--data.seq_len=32",
          "--data.batch_size=2",
          "--train.dtype=f32",
          "--train.eval_windows=2",
          "--model.vocab_size=300",
          "--model.hidden_size=16",
          "--model.intermediate_size=24",
          "--model.moe_intermediate_size=8",
          "--model.num_hidden_layers=2",
          "--model.num_attention_heads=2",
          "--model.n_routed_experts=4",
          "--model.num_experts_per_tok=2",
          "--model.n_group=1",
          "--model.topk_group=1",
          "--model.q_lora_rank=none",
          "--model.kv_lora_rank=8",
          "--model.qk_nope_head_dim=8",
          "--model.qk_rope_head_dim=4",
          "--model.v_head_dim=8",
          "--model.first_k_dense_replace=1",
          "--model.num_nextn_predict_layers=0",
          "--model.max_position_embeddings=64"};
}

}  // namespace ballast::e2e
