// DeepSeek-V3 to be read: the forward pass and the loss, in the order of the paper and with its equation numbers
// (DeepSeek-V3 Technical Report, arXiv 2412.19437, section 2). Start here.
//
// Nothing in this file is fast. Every step is one call of an op's definition (ops/<op>/ref.h), on matrices that own
// their memory. The model that ships does the same with layers, devices and backward passes; a test holds the two
// equal, and another holds this file to what torch and transformers compute (reference_test.cc).
//
// What is unusual about the model, in the order in which a token meets it:
//  - Attention (MLA, eq. 1-11). Keys and values of all heads are made from one short latent vector per token, so a
//    cache needs to hold only that vector and one small rotary key. Queries may come through a latent as well.
//  - Mixture of experts (DeepSeekMoE, eq. 12-16). After the first dense layers, the feed-forward network of a layer is
//    many small networks, the experts. A gate picks a few for each token; a shared expert serves every token.
//  - Balance without an auxiliary loss (eq. 16). A bias per expert is added to the scores when experts are chosen, and
//    nowhere else. It has no gradient: after each step it is nudged up for idle experts and down for busy ones.
//  - Multi-token prediction (MTP, eq. 21-25). One more layer predicts the token after the next from the final hidden
//    state and the embedding of the next token. It adds to the training loss and can draft tokens when decoding.
//
// N tokens, D hidden_size, H heads, E experts, K experts per token, V vocabulary.
// Instantiate with float, double, or std::complex<double> (complex step).
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "ops/add_bias/ref.h"
#include "ops/attention/ref.h"
#include "ops/balance_loss/ref.h"
#include "ops/combine/ref.h"
#include "ops/cross_entropy/ref.h"
#include "ops/embed/ref.h"
#include "ops/linear/ref.h"
#include "ops/permute/ref.h"
#include "ops/rmsnorm/ref.h"
#include "ops/rope/ref.h"
#include "ops/route/ref.h"
#include "ops/swiglu/ref.h"

namespace ballast::reference {

// ------------------------------------------------------------------------------------------------ matrices and batches

// Row-major, zero at first. A vector is a matrix with one row.
template <class T>
struct Matrix {
  int64_t rows = 0, cols = 0;
  std::vector<T> values;

  Matrix() = default;
  Matrix(int64_t rows, int64_t cols) : rows(rows), cols(cols), values(static_cast<size_t>(rows * cols)) {}
  const T& operator()(int64_t row, int64_t col) const { return values[row * cols + col]; }

  // Ops take views, which do not distinguish what is read from what is written.
  Tensor view() const { return view({rows, cols}); }
  Tensor vector() const { return view({rows * cols}); }
  Tensor heads(int64_t n) const { return view({rows, n, cols / n}); }  // (N, H*d) as (N, H, d)
  Tensor view(std::initializer_list<int64_t> shape) const {
    return Tensor(const_cast<T*>(values.data()), dtype_of<T>(), shape);
  }
};

template <class T>
using Weights = std::map<std::string, Matrix<T>>;  // by the hub's names: "model.layers.1.mlp.gate.weight"

inline Tensor view_of(const std::vector<int32_t>& v) {
  return Tensor(const_cast<int32_t*>(v.data()), DType::i32, {static_cast<int64_t>(v.size())});
}

// Rows that go through a layer together. Segment s is rows [offsets[s], offsets[s+1]): a sequence, or a document where
// several are packed into one sequence. A token sees its own segment's earlier tokens and itself.
struct Rows {
  std::vector<int32_t> positions;  // (N): from 0 at the start of a segment
  std::vector<int32_t> offsets;    // (S + 1)
};

struct Batch {
  Rows rows;
  std::vector<int32_t> ids;  // (N)
  // ahead[k][i]: the token k+1 places after token i, or -1 where its segment ends before that. The model proper
  // predicts ahead[0]; MTP module k reads ahead[k-1] and predicts ahead[k].
  std::vector<std::vector<int32_t>> ahead;

  // Segments end to end, e.g. B sequences of T tokens: offsets 0, T, 2T, ... For a model with `mtp_depth` MTP modules.
  Batch(std::vector<int32_t> tokens, std::vector<int32_t> offsets, int mtp_depth)
      : rows{std::vector<int32_t>(tokens.size()), std::move(offsets)}, ids(std::move(tokens)) {
    ahead.assign(mtp_depth + 1, std::vector<int32_t>(ids.size(), -1));
    for (size_t s = 0; s + 1 < rows.offsets.size(); ++s) {
      const int begin = rows.offsets[s], end = rows.offsets[s + 1];
      for (int i = begin; i < end; ++i) {
        rows.positions[i] = i - begin;
        for (int k = 0; k <= mtp_depth && i + k + 1 < end; ++k) ahead[k][i] = ids[i + k + 1];
      }
    }
  }
};

// What a gate decided: one row per token.
template <class T>
struct Routing {
  Matrix<T> logits, scores;  // (N, E)
  Matrix<int32_t> ids;       // (N, K): the experts of a token, best biased score first
  Matrix<T> weights;         // (N, K): what their outputs are multiplied by
  Rows rows;                 // the rows that were routed
};

template <class T>
struct Output {
  std::vector<Matrix<T>> hidden;      // (N, D) each: hidden[i] enters layer i, the last one is after the final norm
  Matrix<T> logits;                   // (N, V)
  std::vector<Matrix<T>> mtp_logits;  // by depth: (rows with a next token, V), in the order of the batch
  std::map<int, Routing<T>> routing;  // by layer; MTP modules follow the others
  T loss_main{}, loss_mtp{}, loss_balance{}, loss{};
};

struct LossWeights {
  double mtp = 0.3;    // lambda of eq. 25
  double balance = 0;  // alpha of eq. 17
};

// --------------------------------------------------------------------------------------------------------- the model

template <class T>
class Model {
 public:
  // Both are borrowed. A weight that is missing or of another shape throws Error when it is used.
  Model(const ModelConfig& config, const Weights<T>& weights) : c_(config), weights_(weights) {}

  Output<T> forward(const Batch& batch, const LossWeights& weight = {}) const {
    Output<T> out;
    Matrix<T> h = embed(batch.ids);
    for (int layer = 0; layer < c_.num_hidden_layers; ++layer) {
      out.hidden.push_back(h);
      h = decoder_layer(layer, h, batch.rows, out);
    }
    h = norm(h, "model.norm.weight");
    out.hidden.push_back(h);
    out.logits = output_head(h);
    out.loss_main = cross_entropy(out.logits, batch.ahead[0]);
    multi_token_prediction(h, batch, out);
    for (const auto& [layer, routing] : out.routing) out.loss_balance += balance_loss(routing);
    out.loss = out.loss_main + T(weight.mtp) * out.loss_mtp + T(weight.balance) * out.loss_balance;
    return out;
  }

 private:
  // A pre-norm Transformer block: two branches, each added to the stream it reads.
  Matrix<T> decoder_layer(int layer, const Matrix<T>& h, const Rows& rows, Output<T>& out) const {
    const std::string name = layer_name(layer);
    const Matrix<T> attention_in = norm(h, name + "input_layernorm.weight");
    const Matrix<T> u = sum(h, attention(name + "self_attn.", attention_in, rows));
    const Matrix<T> ffn_in = norm(u, name + "post_attention_layernorm.weight");
    if (!c_.is_moe_layer(layer)) return sum(u, ffn(name + "mlp.", ffn_in.view(), c_.intermediate_size));
    const Routing<T>& routing = out.routing[layer] = gate(name + "mlp.gate.", ffn_in, rows);
    return sum(u, mixture_of_experts(name + "mlp.", ffn_in, routing));
  }

  // ------------------------------------------------------------- 2.1.1 Multi-head latent attention, eq. 1-11
  // h (N, D) is the normalized stream. The files hold some of the paper's matrices joined:
  //   kv_a_proj_with_mqa = [W^DKV; W^KR],  kv_b_proj = per head [W^UK; W^UV],  q_b_proj = per head [W^UQ; W^QR].
  // The latents are normalized before they are expanded; the paper says so in section 4.2, and the published code does
  // it with an epsilon of its own.
  Matrix<T> attention(const std::string& name, const Matrix<T>& h, const Rows& rows) const {
    const int heads = c_.num_attention_heads, rank = c_.kv_lora_rank;
    const int d_nope = c_.qk_nope_head_dim, d_rope = c_.qk_rope_head_dim, d_v = c_.v_head_dim;
    constexpr double kLatentEps = 1e-6;

    // Eq. 1 and 3: the latent c^KV and the rotary key k^R that all heads share. These two are what a cache holds.
    const Matrix<T> latent_and_key = projection(h, name + "kv_a_proj_with_mqa", rank + d_rope);
    const Matrix<T> c_kv = norm(columns(latent_and_key, 0, rank), name + "kv_a_layernorm.weight", kLatentEps);
    Matrix<T> k_rope = columns(latent_and_key, rank, rank + d_rope);
    rotate(k_rope.heads(1), rows);

    // Eq. 2 and 5: each head's key without position, and its value.
    const Matrix<T> kv = linear(c_kv, name + "kv_b_proj.weight", heads * (d_nope + d_v));
    const Tensor k_nope = kv.heads(heads).cols(0, d_nope);
    const Tensor v = kv.heads(heads).cols(d_nope, d_nope + d_v);

    // Eq. 6-9: queries, through a latent of their own where the model has one. Each head's is [q^C; q^R].
    const int q_width = heads * (d_nope + d_rope);
    Matrix<T> q;
    if (c_.q_lora_rank) {
      const Matrix<T> q_a = projection(h, name + "q_a_proj", *c_.q_lora_rank);
      q = linear(norm(q_a, name + "q_a_layernorm.weight", kLatentEps), name + "q_b_proj.weight", q_width);
    } else {
      q = linear(h, name + "q_proj.weight", q_width);
    }
    rotate(q.heads(heads).cols(d_nope, d_nope + d_rope), rows);

    // Eq. 4 and 10: causal softmax attention within each segment; a key is [k^C of the head; k^R]. The factor is
    // 1 / sqrt(d_nope + d_rope), enlarged where YaRN has stretched the context.
    Matrix<T> o(h.rows, heads * d_v), lse(heads, h.rows);
    ops::ref::attention_forward<T>({.q = q.heads(heads),
                                    .k_nope = k_nope,
                                    .k_rope = k_rope.view(),
                                    .v = v,
                                    .q_offs = view_of(rows.offsets),
                                    .kv_offs = view_of(rows.offsets),
                                    .scale = attention_scale(c_),
                                    .o = o.heads(heads),
                                    .lse = lse.view()});
    return projection(o, name + "o_proj", c_.hidden_size);  // eq. 11
  }

  // The three projections that read or write the stream have a bias where attention_bias says so (no published model).
  Matrix<T> projection(const Matrix<T>& x, const std::string& name, int64_t outputs) const {
    Matrix<T> y = linear(x, name + ".weight", outputs);
    if (c_.attention_bias)
      ops::ref::add_bias_forward<T>({.x = y.view(), .bias = at(name + ".bias", 1, outputs).vector(), .y = y.view()});
    return y;
  }

  // RoPE of eq. 3 and 8 in place: pair (2i, 2i+1) turns by position * inv_freq[i].
  void rotate(Tensor x, const Rows& rows) const {
    const std::vector<double> f = rope_inv_freq(c_);
    Matrix<T> inv_freq(1, static_cast<int64_t>(f.size()));
    for (size_t i = 0; i < f.size(); ++i) inv_freq.values[i] = T(f[i]);
    ops::ref::rope<T>({.x = x,
                       .positions = view_of(rows.positions),
                       .inv_freq = inv_freq.vector(),
                       .factor = rope_attention_factor(c_)});
  }

  // ------------------------------------------------------------- 2.1.2 DeepSeekMoE, balanced by a bias, eq. 12-20
  // The gate. Eq. 15: s = sigmoid(W u), in full precision. Eq. 16: the K experts with the largest s + b; with groups
  // (section 2.1.2, "node-limited routing"), only from the groups whose two best experts sum highest. Eq. 13: their
  // weights are the scores *without* the bias, divided by their sum, times routed_scaling_factor.
  // DeepSeek-V2 (arXiv 2405.04434, section 2.1.2) differs in four things: s = softmax(W u) over all experts; there is no
  // bias; a group ranks by its best expert; the weights are s as they are, times routed_scaling_factor.
  Routing<T> gate(const std::string& name, const Matrix<T>& u, const Rows& rows) const {
    const int experts = c_.n_routed_experts, k = c_.num_experts_per_tok;
    Routing<T> r{{u.rows, experts}, {u.rows, experts}, {u.rows, k}, {u.rows, k}, rows};
    Matrix<int32_t> nonfinite(1, 1);
    const bool biased = c_.topk_method == "noaux_tc";  // V3
    const bool grouped = c_.topk_method != "greedy";
    ops::ref::route_forward<T>(
        {.config = {.experts_per_token = k,
                    .groups = grouped ? c_.n_group : 1,
                    .kept_groups = grouped ? c_.topk_group : 1,
                    .score = c_.scoring_func == "softmax" ? ops::Score::softmax : ops::Score::sigmoid,
                    .group_score = biased ? ops::GroupScore::top2_sum : ops::GroupScore::max,
                    .normalize = c_.norm_topk_prob,
                    .scale = c_.gate_scale()},
         .x = u.view(),
         .weight = at(name + "weight", experts, c_.hidden_size).view(),
         .bias = biased ? at(name + "e_score_correction_bias", 1, experts).vector() : Tensor{},
         .logits = r.logits.view(),
         .scores = r.scores.view(),
         .ids = r.ids.view(),
         .weights = r.weights.view(),
         .nonfinite = nonfinite.vector()});
    if (nonfinite(0, 0) != 0) fail(ErrorKind::format, name, "a router logit is not finite");
    return r;
  }

  // Eq. 12 without its first term, the stream: shared expert + sum over the chosen ones of weight * expert(u).
  // Tokens are sorted by expert, each expert runs once on its rows, and the outputs return to their tokens.
  Matrix<T> mixture_of_experts(const std::string& name, const Matrix<T>& u, const Routing<T>& routing) const {
    const int experts = c_.n_routed_experts;
    Matrix<T> y(u.rows, c_.hidden_size);
    if (c_.n_shared_experts > 0)  // several shared experts are one network of their summed width
      y = ffn(name + "shared_experts.", u.view(), c_.n_shared_experts * c_.moe_intermediate_size);

    const int64_t slots = routing.ids.rows * routing.ids.cols;
    Matrix<T> sorted(slots, c_.hidden_size), results(slots, c_.hidden_size);
    Matrix<int32_t> offs(1, experts + 1), count(1, experts), row_of(u.rows, routing.ids.cols), slot_of(1, slots);
    ops::ref::permute_forward<T>(
        {.x = u.view(),
         .ids = routing.ids.view(),
         .expert_begin = 0,
         .expert_end = experts,
         .out = {.rows = sorted.view(), .offs = offs.vector(), .count = count.vector(), .align = 1},
         .row_of = row_of.view(),
         .slot_of = slot_of.vector()});
    for (int e = 0; e < experts; ++e) {
      const int64_t begin = offs(0, e), end = offs(0, e + 1);
      if (begin == end) continue;
      const Matrix<T> result =
          ffn(name + "experts." + std::to_string(e) + ".", sorted.view().rows(begin, end), c_.moe_intermediate_size);
      std::copy(result.values.begin(), result.values.end(), results.values.begin() + begin * results.cols);
    }
    ops::ref::combine_forward<T>({.rows = results.view(),
                                  .row_of = row_of.view(),
                                  .weights = routing.weights.view(),
                                  .base = y.view(),
                                  .y = y.view()});
    return y;
  }

  // FFN(x) = W_down (silu(W_gate x) * W_up x): the dense layers, the shared expert and every routed one.
  Matrix<T> ffn(const std::string& name, const Tensor& x, int width) const {
    Matrix<T> gate_up(x[0], 2 * width), inner(x[0], width);
    const Matrix<T>& gate = at(name + "gate_proj.weight", width, c_.hidden_size);
    const Matrix<T>& up = at(name + "up_proj.weight", width, c_.hidden_size);
    ops::ref::linear_forward<T>({.x = x, .weight = gate.view(), .y = gate_up.view().cols(0, width)});
    ops::ref::linear_forward<T>({.x = x, .weight = up.view(), .y = gate_up.view().cols(width, 2 * width)});
    ops::ref::swiglu_forward<T>({.gate_up = gate_up.view(), .h = inner.view()});
    return linear(inner, name + "down_proj.weight", c_.hidden_size);
  }

  // Eq. 17-20 without alpha, of one layer: 1 at perfect balance. The mean over segments of sum_i f_i P_i, where f_i is
  // expert i's share of the choices, and P_i its share of the scores, both relative to a fair one. A small safeguard
  // against imbalance within a sequence, which the bias, moved once per step, cannot see.
  T balance_loss(const Routing<T>& routing) const {
    Matrix<T> f(static_cast<int64_t>(routing.rows.offsets.size()) - 1, c_.n_routed_experts), loss(1, 1);
    ops::ref::balance_loss_forward<T>(
        {.score = c_.scoring_func == "softmax" ? ops::Score::softmax : ops::Score::sigmoid,
         .experts_per_token = c_.num_experts_per_tok,
         .alpha = 1,
         .scores = routing.scores.view(),
         .offs = view_of(routing.rows.offsets),
         .f = f.view(),
         .loss = loss.vector()});
    return loss(0, 0);
  }

  // ------------------------------------------------------------- 2.2 Multi-token prediction, eq. 21-25
  // Module k is stored as layer num_hidden_layers + k - 1. It joins what is known about token i with the embedding of
  // token i+k, runs one decoder layer, and predicts token i+k+1 with the model's own head. `h` starts as the final-norm
  // hidden state. Rows whose segment has no token i+k drop out, so depth k has k rows less per sequence. A token's row
  // never reads a later row: causality is kept at every depth, unlike with independent heads.
  void multi_token_prediction(Matrix<T> h, const Batch& batch, Output<T>& out) const {
    Rows rows = batch.rows;
    std::vector<std::vector<int32_t>> ahead = batch.ahead;
    const int depth = c_.num_nextn_predict_layers;
    for (int k = 1; k <= depth; ++k) {
      const int layer = c_.num_hidden_layers + k - 1;
      const std::string name = layer_name(layer);
      drop_rows_without(ahead[k - 1], rows, h, ahead);

      // Eq. 21. The files put the embedding's half first: eh_proj [RMSNorm(Emb(t_{i+k})); RMSNorm(h)].
      const Matrix<T> e = norm(embed(ahead[k - 1]), name + "enorm.weight");
      const Matrix<T> g = norm(h, name + "hnorm.weight");
      h = linear(joined(e, g), name + "eh_proj.weight", c_.hidden_size);

      h = decoder_layer(layer, h, rows, out);  // eq. 22
      h = norm(h, name + "shared_head.norm.weight");
      out.mtp_logits.push_back(output_head(h));                                           // eq. 23
      out.loss_mtp += cross_entropy(out.mtp_logits.back(), ahead[k]) / T(double(depth));  // eq. 24 and the mean of 25
    }
  }

  static void drop_rows_without(std::vector<int32_t> next, Rows& rows, Matrix<T>& h,
                                std::vector<std::vector<int32_t>>& ahead) {
    Rows kept{{}, {0}};
    std::vector<std::vector<int32_t>> kept_ahead(ahead.size());
    std::vector<T> kept_h;
    for (size_t s = 0; s + 1 < rows.offsets.size(); ++s) {
      for (int i = rows.offsets[s]; i < rows.offsets[s + 1]; ++i) {
        if (next[i] < 0) continue;
        kept.positions.push_back(rows.positions[i]);
        for (size_t k = 0; k < ahead.size(); ++k) kept_ahead[k].push_back(ahead[k][i]);
        kept_h.insert(kept_h.end(), h.values.begin() + i * h.cols, h.values.begin() + (i + 1) * h.cols);
      }
      kept.offsets.push_back(static_cast<int32_t>(kept.positions.size()));
    }
    h.rows = static_cast<int64_t>(kept.positions.size());
    h.values = std::move(kept_h);
    rows = std::move(kept);
    ahead = std::move(kept_ahead);
  }

  // Mean over the tokens that have a target, in nats. Eq. 24 divides by the length of the sequence, targets or not; the
  // published numbers of others, and ours, are means over what is predicted.
  static T cross_entropy(const Matrix<T>& logits, const std::vector<int32_t>& targets) {
    Matrix<T> loss(1, logits.rows), lse(1, logits.rows);
    ops::ref::cross_entropy_forward<T>(
        {.logits = logits.view(), .targets = view_of(targets), .loss = loss.vector(), .lse = lse.vector()});
    T total(0);
    int64_t predicted = 0;
    for (int64_t i = 0; i < logits.rows; ++i) {
      total += loss(0, i);
      predicted += targets[i] >= 0;
    }
    return predicted == 0 ? T(0) : total / T(double(predicted));
  }

  // ------------------------------------------------------------- small steps
  const Matrix<T>& at(const std::string& name, int64_t rows, int64_t cols) const {
    const auto found = weights_.find(name);
    if (found == weights_.end()) fail(ErrorKind::format, name, "the weights lack this tensor");
    const Matrix<T>& w = found->second;
    if (w.rows != rows || w.cols != cols)
      fail(ErrorKind::shape, name, "is ({}, {}), the config asks for ({}, {})", w.rows, w.cols, rows, cols);
    return w;
  }
  static std::string layer_name(int layer) { return "model.layers." + std::to_string(layer) + "."; }

  const Matrix<T>& table() const { return at("model.embed_tokens.weight", c_.vocab_size, c_.hidden_size); }
  Matrix<T> embed(const std::vector<int32_t>& ids) const {
    Matrix<T> y(static_cast<int64_t>(ids.size()), c_.hidden_size);
    ops::ref::embed_forward<T>({.ids = view_of(ids), .table = table().view(), .y = y.view()});
    return y;
  }
  Matrix<T> output_head(const Matrix<T>& h) const {
    return c_.tie_word_embeddings ? times(h, table()) : linear(h, "lm_head.weight", c_.vocab_size);
  }

  Matrix<T> linear(const Matrix<T>& x, const std::string& name, int64_t outputs) const {
    return times(x, at(name, outputs, x.cols));
  }
  static Matrix<T> times(const Matrix<T>& x, const Matrix<T>& w) {  // x W^T
    Matrix<T> y(x.rows, w.rows);
    ops::ref::linear_forward<T>({.x = x.view(), .weight = w.view(), .y = y.view()});
    return y;
  }

  Matrix<T> norm(const Matrix<T>& x, const std::string& name) const { return norm(x, name, c_.rms_norm_eps); }
  Matrix<T> norm(const Matrix<T>& x, const std::string& name, double eps) const {
    Matrix<T> y(x.rows, x.cols), rstd(1, x.rows);
    ops::ref::rmsnorm_forward<T>(
        {.x = x.view(), .weight = at(name, 1, x.cols).vector(), .eps = eps, .y = y.view(), .rstd = rstd.vector()});
    return y;
  }

  static Matrix<T> sum(Matrix<T> a, const Matrix<T>& b) {
    for (size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i];
    return a;
  }
  static Matrix<T> columns(const Matrix<T>& x, int64_t begin, int64_t end) {
    Matrix<T> y(x.rows, end - begin);
    for (int64_t i = 0; i < x.rows; ++i)
      for (int64_t j = begin; j < end; ++j) y.values[i * y.cols + j - begin] = x(i, j);
    return y;
  }
  static Matrix<T> joined(const Matrix<T>& left, const Matrix<T>& right) {  // [left | right]
    Matrix<T> y(left.rows, left.cols + right.cols);
    for (int64_t i = 0; i < y.rows; ++i)
      for (int64_t j = 0; j < y.cols; ++j)
        y.values[i * y.cols + j] = j < left.cols ? left(i, j) : right(i, j - left.cols);
    return y;
  }

  const ModelConfig& c_;
  const Weights<T>& weights_;
};

}  // namespace ballast::reference
