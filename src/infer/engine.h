// The inference engine: latent caches, prefill in chunks (expanded attention) and decode (absorbed attention). All
// memory is planned and allocated at construction; a decoded token allocates nothing. Whatever comes out of it is
// finite: where a router's or an output logit is not, prefill, score and decode throw Error{format} (infer/finite.h).
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "model/moe/gate_plan.h"

namespace ballast {

struct EngineOptions {
  int slots = 1;           // sequences decoded together
  int64_t context = 2048;  // positions per slot
  int64_t prefill_chunk = 512;
};

class Engine {
 public:
  // On a device that is planning nothing is allocated: the engine then has sizes, and must not run.
  Engine(Model& model, const EngineOptions& options);

  const EngineOptions& options() const { return options_; }
  Model& model() { return model_; }
  Device& device() { return ctx_.device; }

  // The skip policy from here on; null: as trained. Not owned.
  void set_plan(const GatePlan* plan) { pass_.plan = plan; }
  const GatePlan* plan() const { return pass_.plan; }

  // The next three throw Error{format} where a result is not finite; a later prefill may then go on.
  // Empties the slot and runs the prompt through it; logits() is then of its last token, row 0. Throws Error{usage}
  // where the prompt is empty, longer than the context, or has an id outside the vocabulary.
  void prefill(int slot, std::span<const int32_t> ids);
  // As prefill, and calls on_logits(first_position, logits) for each chunk: logits (n, V) of every prompt token.
  template <class F>
  void score(int slot, std::span<const int32_t> ids, F&& on_logits) {
    start(slot, ids);
    for (size_t at = 0; at < ids.size();) {
      const size_t n = chunk(ids.size() - at);
      run_chunk(slot, ids.subspan(at, n), true);
      on_logits(static_cast<int64_t>(at), all_logits_.rows(0, static_cast<int64_t>(n)));
      at += n;
    }
  }
  // Appends one token to every slot in [0, tokens.size()); logits() has a row per slot. A token of -1 leaves its slot
  // as it is: its row is padding, runs no expert, and its logits mean nothing. Throws Error{usage}, with every slot as
  // it was, where one is full or an id is outside the vocabulary.
  void decode(std::span<const int32_t> tokens);

  Tensor logits() const { return logits_; }  // (slots, V) full
  int64_t length(int slot) const { return length_[static_cast<size_t>(slot)]; }

  int32_t prefill_argmax(int slot, std::span<const int32_t> ids);
  int32_t decode_argmax(int slot, int32_t token);
  int32_t argmax(int row) const;

  // Experts whose weights were read since the last reset, by MoE layer of the decoder.
  std::vector<int64_t> executed();
  void reset_executed();

  struct Sizes {
    size_t cache = 0, inputs = 0, scratch = 0;  // bytes
  };
  const Sizes& sizes() const { return sizes_; }

 private:
  void plan_memory();
  void start(int slot, std::span<const int32_t> ids);
  size_t chunk(size_t left) const { return std::min(left, static_cast<size_t>(options_.prefill_chunk)); }
  void put(const Tensor& to, std::span<const int32_t> values);
  void check_ids(std::span<const int32_t> ids, int32_t lowest) const;
  void run_chunk(int slot, std::span<const int32_t> ids, bool all);
  void check_finite(const Tensor& logits, std::span<const int32_t> tokens);
  void allocate_inputs();

  Model& model_;
  EngineOptions options_;
  Arena inputs_, scratch_, no_saved_;
  Context ctx_;
  Buffer cache_;
  Sizes sizes_;
  std::vector<CacheLayer> layers_;
  Pass pass_;
  Tensor ids_, positions_, segments_, kv_segments_, length_tensor_, valid_, logits_, all_logits_, executed_, nonfinite_;
  std::vector<int64_t> length_;
  std::vector<int32_t> host_;
};

}  // namespace ballast
