#include "train/ceiling.h"

#include "base/interrupt.h"
#include "ops/matmul_cpu.h"

namespace ballast {

StepProducts step_products(const ModelConfig& c, int64_t tokens, int64_t seq_len, int64_t micro_batches) {
  StepProducts s;
  const double m = static_cast<double>(micro_batches);
  const auto add = [&](int64_t rows, int64_t n, int64_t k, double times) {
    s.linear.push_back({rows, n, k, times * m});
  };
  const int64_t width = c.hidden_size, heads = c.num_attention_heads;
  const int64_t q_width = heads * c.qk_head_dim(), first = c.q_lora_rank ? *c.q_lora_rank : q_width;
  const int64_t routed = tokens * c.num_experts_per_tok / std::max(1, c.n_routed_experts);
  for (int i = 0; i < c.total_layers(); ++i) {
    add(tokens, first + c.kv_lora_rank + c.qk_rope_head_dim, width, 1);
    if (c.q_lora_rank) add(tokens, q_width, first, 1);
    add(tokens, heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank, 1);
    add(tokens, width, heads * c.v_head_dim, 1);
    if (c.is_moe_layer(i)) {
      add(routed, 2 * c.moe_intermediate_size, width, c.n_routed_experts);
      add(routed, width, c.moe_intermediate_size, c.n_routed_experts);
      if (c.n_shared_experts > 0) {
        add(tokens, 2 * c.n_shared_experts * c.moe_intermediate_size, width, 1);
        add(tokens, width, c.n_shared_experts * c.moe_intermediate_size, 1);
      }
    } else {
      add(tokens, 2 * c.intermediate_size, width, 1);
      add(tokens, width, c.intermediate_size, 1);
    }
  }
  add(tokens, c.vocab_size, width, 1 + c.num_nextn_predict_layers);
  for (int i = 0; i < c.num_nextn_predict_layers; ++i) add(tokens, width, 2 * width, 1);
  for (const auto& p : s.linear)
    s.flops += 6.0 * static_cast<double>(p.tokens) * static_cast<double>(p.n) * static_cast<double>(p.k) * p.times;
  // Per token and head, seq_len / 2 keys on average: two products forward, five backward.
  const double dims = 3.5 * 2 * 0.5 * (c.qk_head_dim() + c.v_head_dim);
  s.attention_flops = m * static_cast<double>(tokens * seq_len * heads * c.total_layers()) * dims;
  s.flops += s.attention_flops;
  return s;
}

double ceiling_seconds(Device& device, const StepProducts& s, DType dtype, int repetitions) {
  using ops::cpu::Product;
  double seconds = 0, flops = 0;
  for (const auto& p : s.linear) {
    if (p.tokens == 0) continue;
    for (const Product product : {Product::forward, Product::dgrad, Product::wgrad}) {
      if (interrupted()) return 0;
      seconds += p.times * ops::cpu::matmul_seconds(device, product, p.tokens, p.n, p.k, dtype, repetitions);
    }
    flops += 6.0 * static_cast<double>(p.tokens) * static_cast<double>(p.n) * static_cast<double>(p.k) * p.times;
  }
  return seconds * (flops + s.attention_flops) / flops;
}

}  // namespace ballast
