// The parameter table: one list from which initialization, the optimizer, checkpoints, import and export walk.
// A parameter may hold several tensors of the hub's files, fused (gate and up, q_a and kv_a, all experts of a layer);
// each is a contiguous run of its rows.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/device.h"
#include "model/config.h"
#include "ops/grouped_linear/mapped.h"

namespace ballast {

using ParamId = int;
inline constexpr ParamId kNoParam = -1;

enum class ParamKind {
  matrix,  // products: stored in the compute type (bf16 or f32), f32 master; weight decay
  gate,    // the router's matrix: f32 always; weight decay
  vector,  // norm weights, attention's biases: f32 always; no weight decay
  buffer   // the router's bias: f32, no gradient, not seen by the optimizer
};

// A tensor of a Hugging Face checkpoint: `shape` there, elements [offset, offset + size) here.
struct HubTensor {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;
  int64_t size() const;
};

struct Param {
  std::string name;
  ParamKind kind;
  std::vector<int64_t> shape;  // up to 3 axes
  std::vector<HubTensor> hub;
  bool ones = false;           // a vector initialized to 1 and not to 0; matrices are normal(0, initializer_range)
  int64_t size() const;
};

struct AttentionParams {
  // One matrix for everything that reads the residual stream: [q_a | kv_a | k_rope], or [q | kv_a | k_rope] without a
  // query latent.
  ParamId down = kNoParam;
  ParamId q_norm = kNoParam, q_up = kNoParam;  // absent without a query latent
  // With attention_bias: of the last columns of `down`, [q_a | kv_a | k_rope] (q_proj has none), and of `out`.
  ParamId down_bias = kNoParam, out_bias = kNoParam;
  ParamId kv_norm = kNoParam, kv_up = kNoParam, out = kNoParam;
};
struct FeedForwardParams {
  ParamId gate_up = kNoParam, down = kNoParam;
};
struct MoeParams {
  ParamId gate = kNoParam, bias = kNoParam;            // bias only with noaux_tc
  ParamId experts_gate_up = kNoParam, experts_down = kNoParam;  // (E, 2F, D), (E, D, F)
  FeedForwardParams shared;                            // absent without shared experts
};
struct BlockParams {
  ParamId input_norm = kNoParam, post_norm = kNoParam;
  AttentionParams attention;
  FeedForwardParams dense;  // one of the two
  MoeParams moe;
  bool is_moe = false;
};
struct MtpParams {
  ParamId enorm = kNoParam, hnorm = kNoParam, projection = kNoParam, head_norm = kNoParam;
  BlockParams block;
};
struct ModelParams {
  ParamId embedding = kNoParam, final_norm = kNoParam, head = kNoParam;  // head == embedding when tied
  std::vector<BlockParams> blocks;
  std::vector<MtpParams> mtp;

  // Layer `index` as the hub counts: the MTP layers follow the others.
  const BlockParams& block(int index) const {
    const auto i = static_cast<size_t>(index);
    return i < blocks.size() ? blocks[i] : mtp.at(i - blocks.size()).block;
  }
};

struct ParamTable {
  std::vector<Param> list;  // in order of use
  ModelParams model;
  int64_t total() const;    // elements, buffers included
};

// Throws Error{unsupported} for what the shipped layers do not compute: more than one MTP layer.
ParamTable make_param_table(const ModelConfig& config);

// The parameters' memory. Everything of one kind lies in one flat run, so that the optimizer and the norm are a few calls.
class ParamStore {
 public:
  struct Options {
    DType storage = DType::f32;  // of matrices, as the layers see them; on Device::ref the type of everything
    bool training = false;       // masters, gradients and Adam moments as well
    // Serving: experts' matrices that are not held here but stay in the checkpoint's files (load_weights).
    std::vector<ParamId> mapped;
  };
  // On a device that is planning nothing is allocated: tensors then have shapes, and must not be touched.
  ParamStore(Device& device, const ParamTable& table, Options options);

  struct Sizes {
    size_t master = 0, weights = 0, gradients = 0, moments = 0;  // bytes; mapped matrices are not among them
  };
  const Sizes& sizes() const { return sizes_; }

  const ParamTable& table() const { return table_; }
  DType storage() const { return options_.storage; }
  DType full() const { return options_.storage == DType::bf16 ? DType::f32 : options_.storage; }
  bool training() const { return options_.training; }

  Tensor weight(ParamId id) const;  // what layers compute with; absent where mapped(id) has it
  ops::MappedExperts* mapped(ParamId id);  // null: weight(id) has it. Without matrices until they are loaded
  Tensor master(ParamId id) const;  // full precision; the weight itself unless storage is bf16
  Tensor grad(ParamId id) const;    // full

  // One run per kind for the optimizer: matrix, gate, vector. `param` is null where the master is the weight.
  struct Run {
    ParamKind kind;
    Tensor master, m, v, grad, param;
  };
  std::vector<Run> optimizer_runs() const;

  // "The first contribution of a step overwrites": false the first time since begin_gradients(), then true.
  void begin_gradients() { touched_.assign(table_.list.size(), false); }
  bool accumulate(ParamId id);
  // Zeroes the gradients that nothing has written since begin_gradients().
  void finish_gradients();

  // normal(0, range) by parameter name and seed, independent of every other parameter; then refreshes the weights.
  void initialize(uint64_t seed, double range);
  // What import and export hold: the master, or the weight itself where serving in bf16 keeps no master.
  Tensor stored(ParamId id) const;
  // Host access to it by element run, in f64 whatever the storage: export, checkpoints of tests.
  void write(ParamId id, int64_t offset, const double* values, int64_t n);
  void read(ParamId id, int64_t offset, double* values, int64_t n) const;
  // Copies masters into the bf16 weights; call after writing.
  void refresh();

  Device& device() const { return device_; }
  // The checkpoint that load_weights filled it from, for messages; empty where none did.
  const std::filesystem::path& origin() const { return origin_; }
  void set_origin(std::filesystem::path checkpoint) { origin_ = std::move(checkpoint); }
  // Whole flat arrays, for checkpoints: elements of one array, and its tensors by name ("master", "m", "v").
  int64_t flat_size() const { return flat_size_; }
  Tensor flat(const char* name) const;

 private:
  Tensor slice(const Buffer& buffer, DType dtype, ParamId id, int64_t origin) const;

  Device& device_;
  ParamTable table_;
  Options options_;
  std::map<ParamId, ops::MappedExperts> mapped_;
  std::vector<int64_t> offset_;                   // of each parameter in the flat arrays
  int64_t run_begin_[5] = {};                     // by kind; [4] is the end
  int64_t flat_size_ = 0;
  Sizes sizes_;
  Buffer master_, weight_, grad_, m_, v_;
  std::vector<bool> touched_;
  std::filesystem::path origin_;
};

}  // namespace ballast
