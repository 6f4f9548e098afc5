#include <cmath>

#include "base/error.h"
#include "model/config.h"

namespace ballast {
namespace {

constexpr int64_t kLargest = 1 << 28;  // of any one size, so that sums of sizes stay within an int

class Validator {
 public:
  Validator(const ModelConfig& config, std::string_view where) : c_(config), where_(where) {}

  void run() const {
    sizes();
    latent_attention();
    routing();
    rope();
    scalars();
    token_ids();
    total_size();
  }

 private:
  std::string key(const char* name) const { return where_ + "." + name; }

  void at_least(const char* name, int64_t value, int64_t lowest) const {
    if (value < lowest) fail(ErrorKind::usage, key(name), "{} is too small; at least {}", value, lowest);
    if (value > kLargest) fail(ErrorKind::usage, key(name), "{} is too large; at most {}", value, kLargest);
  }

  void sizes() const {
    at_least("vocab_size", c_.vocab_size, 1);
    at_least("hidden_size", c_.hidden_size, 1);
    at_least("num_hidden_layers", c_.num_hidden_layers, 1);
    at_least("num_nextn_predict_layers", c_.num_nextn_predict_layers, 0);
    at_least("num_attention_heads", c_.num_attention_heads, 1);
    at_least("max_position_embeddings", c_.max_position_embeddings, 1);
    at_least("first_k_dense_replace", c_.first_k_dense_replace, 0);
    at_least("moe_layer_freq", c_.moe_layer_freq, 1);
    if (c_.num_hidden_layers > 10000 || c_.num_nextn_predict_layers > 10000)
      fail(ErrorKind::usage, key("num_hidden_layers"), "more than 10000 layers");
    at_least("intermediate_size", c_.intermediate_size, 1);
    if (c_.hidden_act != "silu") fail(ErrorKind::usage, key("hidden_act"), "'{}'; only silu", c_.hidden_act);
  }

  void latent_attention() const {
    if (c_.q_lora_rank) at_least("q_lora_rank", *c_.q_lora_rank, 1);
    at_least("kv_lora_rank", c_.kv_lora_rank, 1);
    at_least("qk_nope_head_dim", c_.qk_nope_head_dim, 1);
    at_least("qk_rope_head_dim", c_.qk_rope_head_dim, 2);
    at_least("v_head_dim", c_.v_head_dim, 1);
    if (c_.qk_rope_head_dim % 2)
      fail(ErrorKind::usage, key("qk_rope_head_dim"), "{} is odd; rotary position turns pairs", c_.qk_rope_head_dim);
  }

  void routing() const {
    if (c_.moe_layers().empty()) return;  // a dense model: nothing is routed
    const int experts = c_.n_routed_experts, k = c_.num_experts_per_tok;
    if (experts < 1)
      fail(ErrorKind::usage, key("n_routed_experts"),
           "{}, but layer {} is a MoE layer; give at least 1, or set first_k_dense_replace to {} for a dense model",
           experts, c_.moe_layers().front(), c_.total_layers());
    at_least("moe_intermediate_size", c_.moe_intermediate_size, 1);
    at_least("n_shared_experts", c_.n_shared_experts, 0);
    at_least("num_experts_per_tok", k, 1);
    if (k > experts)
      fail(ErrorKind::usage, key("num_experts_per_tok"), "{} is more than n_routed_experts {}", k, experts);
    method();
    if (c_.topk_method != "greedy") groups();
  }

  void method() const {
    const bool sigmoid = c_.scoring_func == "sigmoid", softmax = c_.scoring_func == "softmax";
    if (!sigmoid && !softmax) fail(ErrorKind::usage, key("scoring_func"), "'{}'; sigmoid or softmax", c_.scoring_func);
    const bool biased = c_.topk_method == "noaux_tc";
    if (!biased && c_.topk_method != "greedy" && c_.topk_method != "group_limited_greedy")
      fail(ErrorKind::usage, key("topk_method"), "'{}'; noaux_tc, greedy or group_limited_greedy", c_.topk_method);
    if (biased != sigmoid)
      fail(ErrorKind::usage, key("topk_method"),
           "{} does not go with scoring_func {}; sigmoid goes with noaux_tc "
           "(DeepSeek-V3), softmax with greedy or group_limited_greedy (DeepSeek-V2)",
           c_.topk_method, c_.scoring_func);
  }

  void groups() const {
    const int experts = c_.n_routed_experts;
    at_least("n_group", c_.n_group, 1);
    at_least("topk_group", c_.topk_group, 1);
    if (experts % c_.n_group)
      fail(ErrorKind::usage, key("n_group"), "{} does not divide n_routed_experts {}", c_.n_group, experts);
    if (c_.topk_group > c_.n_group)
      fail(ErrorKind::usage, key("topk_group"), "{} is more than n_group {}", c_.topk_group, c_.n_group);
    const int per_group = experts / c_.n_group;
    if (c_.num_experts_per_tok > c_.topk_group * per_group)
      fail(ErrorKind::usage, key("num_experts_per_tok"), "{} is more than the {} experts of topk_group {} groups",
           c_.num_experts_per_tok, c_.topk_group * per_group, c_.topk_group);
    if (c_.topk_method == "noaux_tc" && c_.n_group > 1 && per_group < 2)
      fail(ErrorKind::usage, key("n_group"), "{} leaves one expert per group; noaux_tc ranks groups by their best two",
           c_.n_group);
  }

  void rope() const {
    if (!(std::isfinite(c_.rope_theta) && c_.rope_theta > 1))
      fail(ErrorKind::usage, key("rope_theta"), "{} is not above 1", c_.rope_theta);
    const RopeScaling& yarn = c_.rope_scaling;
    if (yarn.type == "default") return;
    if (yarn.type != "yarn") fail(ErrorKind::usage, key("rope_scaling.type"), "'{}'; default or yarn", yarn.type);
    if (!(std::isfinite(yarn.factor) && yarn.factor >= 1))
      fail(ErrorKind::usage, key("rope_scaling.factor"), "{} is not at least 1", yarn.factor);
    if (!(yarn.beta_slow > 0 && yarn.beta_fast >= yarn.beta_slow && std::isfinite(yarn.beta_fast)))
      fail(ErrorKind::usage, key("rope_scaling.beta_fast"), "needs beta_fast {} >= beta_slow {} > 0", yarn.beta_fast,
           yarn.beta_slow);
    if (!(std::isfinite(yarn.mscale) && yarn.mscale >= 0 && std::isfinite(yarn.mscale_all_dim) &&
          yarn.mscale_all_dim >= 0))
      fail(ErrorKind::usage, key("rope_scaling.mscale"), "mscale and mscale_all_dim must not be negative");
    at_least("rope_scaling.original_max_position_embeddings", yarn.original_max_position_embeddings, 1);
  }

  void scalars() const {
    if (!(std::isfinite(c_.rms_norm_eps) && c_.rms_norm_eps > 0))
      fail(ErrorKind::usage, key("rms_norm_eps"), "{} is not positive", c_.rms_norm_eps);
    if (!(std::isfinite(c_.routed_scaling_factor) && c_.routed_scaling_factor > 0))
      fail(ErrorKind::usage, key("routed_scaling_factor"), "{} is not positive", c_.routed_scaling_factor);
    if (!(std::isfinite(c_.initializer_range) && c_.initializer_range >= 0))
      fail(ErrorKind::usage, key("initializer_range"), "{} is negative", c_.initializer_range);
    if (!(std::isfinite(c_.aux_loss_alpha) && c_.aux_loss_alpha >= 0))
      fail(ErrorKind::usage, key("aux_loss_alpha"), "{} is negative", c_.aux_loss_alpha);
  }

  void token_ids() const {
    token_id("bos_token_id", c_.bos_token_id);
    token_id("eos_token_id", c_.eos_token_id);
    token_id("pad_token_id", c_.pad_token_id);
  }
  void token_id(const char* name, std::optional<int> id) const {
    if (id && (*id < 0 || *id >= c_.vocab_size))
      fail(ErrorKind::usage, key(name), "{} is not a token of a vocabulary of {}", *id, c_.vocab_size);
  }

  // Sizes that are each possible may multiply beyond any machine, and beyond 64 bits: refuse them before counting.
  void total_size() const {
    const double d = c_.hidden_size, layers = c_.total_layers(), heads = c_.num_attention_heads;
    const double experts = c_.moe_layers().empty() ? 0.0 : double(c_.n_routed_experts) + c_.n_shared_experts;
    const double q_rank = c_.q_lora_rank.value_or(0);
    const double attention = heads * (double(c_.qk_head_dim()) + c_.v_head_dim) * (d + q_rank) +
                             c_.kv_lora_rank * (d + heads * (double(c_.qk_nope_head_dim) + c_.v_head_dim));
    const double per_layer = attention + 3 * d * (c_.intermediate_size + experts * c_.moe_intermediate_size);
    const double total = 2.0 * c_.vocab_size * d + layers * (per_layer + 2 * d * d);
    if (total > 1e15) fail(ErrorKind::usage, where_, "about {:.1e} parameters; at most 1e15", total);
  }

  const ModelConfig& c_;
  const std::string where_;
};

}  // namespace

void validate(const ModelConfig& config, std::string_view where) { Validator(config, where).run(); }

}  // namespace ballast
