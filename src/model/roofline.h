// What a model's shape alone says: parameters by kind, FLOPs of a training token, memory, and the bytes that a decoding
// step must read, which bound what skipping experts can gain. Needs no weights.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "model/config.h"

namespace ballast {

// Trained parameters. The router's bias is a buffer and not among them.
struct ModelCounts {
  int64_t embedding = 0;
  int64_t head = 0;  // 0 when tied to the embedding
  int64_t attention = 0;
  int64_t dense_ffn = 0;
  int64_t shared_experts = 0;
  int64_t routed_experts = 0;  // of all MoE layers
  int64_t router = 0;
  int64_t norms = 0;
  int64_t mtp = 0;     // all of the MTP layers; embedding and head are the model's
  int64_t expert = 0;  // one routed expert of one layer
  int64_t active = 0;  // read for one decoded token: all but embedding, MTP and the routed experts not chosen

  int64_t without_mtp() const {
    return embedding + head + attention + dense_ffn + shared_experts + routed_experts + router + norms;
  }
  int64_t total() const { return without_mtp() + mtp; }
};
ModelCounts count_parameters(const ModelConfig& config);

// How attention's products are counted: each query with the keys it may see, or with all of its sequence.
enum class AttentionCount { causal, square };

// Floating-point operations of one training step per token (a multiply-add is two; backward is twice forward) in
// sequences of `sequence` tokens: matrix products and attention, MTP layers included, elementwise work not.
double training_flops_per_token(const ModelConfig& config, int sequence, AttentionCount attention);

// Bytes that training holds between steps: weights in the compute dtype, f32 master weights where that is not f32,
// f32 gradients, AdamW's two f32 moments. Activations come on top.
struct TrainingMemory {
  int64_t weights, master, gradients, moments;
  int64_t total() const { return weights + master + gradients + moments; }
};
TrainingMemory training_memory(const ModelCounts& counts, int weight_bytes);

// The byte model of a decoding step:
//   T(B, k) = E (1 - (1 - k/E)^B)         experts read per MoE layer by B tokens that choose independently
//   bytes(B, k) = F + L_moe T b_e + context c
// T is an upper bound: skewed or correlated choices meet in fewer experts. It holds below the ridge, where time follows
// bytes; far above it (large prefill) time follows the number of executed experts instead.
struct ByteModel {
  double fixed;   // F: what every step reads: attention, dense layers, shared experts, router, head; not the norms
  double expert;  // b_e: one expert of one layer
  double cache_per_token;  // c: latent and rotary key of one token, all layers
  int moe_layers;          // without MTP layers
  int experts;             // E
  int top_k;               // as trained

  double experts_read(double batch, double k) const;                        // T
  double step_bytes(double experts_read, double context_tokens = 0) const;  // context of all sequences together
  double speedup(double batch, double k) const;                             // of k experts per token over top_k
  double routed_share(double batch) const;                                  // of a step's bytes, without cache
  // Tokens in a step at which an expert's rows take as long to multiply as its weights to read. `peak` in FLOP/s,
  // `bandwidth` in byte/s; `weight_bytes` per parameter.
  double ridge_batch(double peak, double bandwidth, double weight_bytes) const;
};
// `weight_bytes` per parameter; `cache_bytes` per element of the cache.
ByteModel byte_model(const ModelConfig& config, double weight_bytes = 1, double cache_bytes = 2);

// The table batch x k -> bound of the speed-up, with what it rests on; text for a terminal, or the same as JSON.
std::string roofline_text(const ModelConfig& config, double weight_bytes = 1);
Json roofline_json(const ModelConfig& config, double weight_bytes = 1);

}  // namespace ballast
