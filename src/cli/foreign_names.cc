#include "cli/foreign_names.h"

#include <fmt/format.h>

namespace ballast::cli {
namespace {

constexpr const char *kMegatron = "Megatron-Core", *kTitan = "torchtitan", *kGguf = "GGUF", *kLlama = "llama.cpp",
                     *kVllm = "vLLM", *kHf = "transformers", *kDeepSeek = "DeepSeek's inference code";

// Where tools share a name, the one that most people have it from.
constexpr ForeignName kKeys[] = {
    // the router and its balance
    {"moe_router_topk", kMegatron, "model.num_experts_per_tok"},
    {"moe_router_num_groups", kMegatron, "model.n_group"},
    {"moe_router_group_topk", kMegatron, "model.topk_group"},
    {"moe_router_topk_scaling_factor", kMegatron, "model.routed_scaling_factor"},
    {"moe_router_score_function", kMegatron, "model.scoring_func"},
    {"moe_router_load_balancing_type", kMegatron, "balance.rule"},
    {"moe_router_enable_expert_bias", kMegatron, "balance.rule"},
    {"moe_router_bias_update_rate", kMegatron, "balance.bias_update_rate"},
    {"moe_aux_loss_coeff", kMegatron, "aux.seq"},
    {"load_balance_coeff", kTitan, "balance.bias_update_rate"},
    {"top_k", kTitan, "model.num_experts_per_tok"},
    {"num_experts", kTitan, "model.n_routed_experts"},
    {"num_shared_experts", kTitan, "model.n_shared_experts"},
    {"num_expert_groups", kTitan, "model.n_group"},
    {"num_limited_groups", kTitan, "model.topk_group"},
    {"route_norm", kTitan, "model.norm_topk_prob"},
    {"route_scale", kTitan, "model.routed_scaling_factor"},
    {"score_func", kTitan, "model.scoring_func"},
    {"n_activated_experts", kDeepSeek, "model.num_experts_per_tok"},
    {"n_expert_groups", kDeepSeek, "model.n_group"},
    {"n_limited_groups", kDeepSeek, "model.topk_group"},
    {"expert_count", kGguf, "model.n_routed_experts"},
    {"expert_used_count", kGguf, "model.num_experts_per_tok"},
    {"expert_shared_count", kGguf, "model.n_shared_experts"},
    {"expert_group_count", kGguf, "model.n_group"},
    {"expert_group_used_count", kGguf, "model.topk_group"},
    {"expert_weights_scale", kGguf, "model.routed_scaling_factor"},
    {"expert_weights_norm", kGguf, "model.norm_topk_prob"},
    {"expert_gating_func", kGguf, "model.scoring_func"},
    {"n_expert", kLlama, "model.n_routed_experts"},
    {"n_expert_used", kLlama, "model.num_experts_per_tok"},
    {"n_expert_shared", kLlama, "model.n_shared_experts"},
    {"num_expert_group", kVllm, "model.n_group"},
    {"renormalize", kVllm, "model.norm_topk_prob"},
    {"num_local_experts", kHf, "model.n_routed_experts"},
    {"num_experts_per_token", "DBRX and others", "model.num_experts_per_tok"},
    {"moe_top_k", "other tools", "model.num_experts_per_tok"},
    {"router_aux_loss_coef", kHf, "aux.global"},
    // the shape
    {"num_layers", kMegatron, "model.num_hidden_layers"},
    {"ffn_hidden_size", kMegatron, "model.intermediate_size"},
    {"moe_ffn_hidden_size", kMegatron, "model.moe_intermediate_size"},
    {"qk_head_dim", kMegatron, "model.qk_nope_head_dim"},
    {"qk_pos_emb_head_dim", kMegatron, "model.qk_rope_head_dim"},
    {"mtp_num_layers", kMegatron, "model.num_nextn_predict_layers"},
    {"rotary_base", kMegatron, "model.rope_theta"},
    {"init_method_std", kMegatron, "model.initializer_range"},
    {"norm_epsilon", kMegatron, "model.rms_norm_eps"},
    {"dim", kDeepSeek, "model.hidden_size"},
    {"inter_dim", kDeepSeek, "model.intermediate_size"},
    {"moe_inter_dim", kDeepSeek, "model.moe_intermediate_size"},
    {"n_layers", kDeepSeek, "model.num_hidden_layers"},
    {"n_dense_layers", kDeepSeek, "model.first_k_dense_replace"},
    {"n_heads", kDeepSeek, "model.num_attention_heads"},
    {"block_count", kGguf, "model.num_hidden_layers"},
    {"embedding_length", kGguf, "model.hidden_size"},
    {"feed_forward_length", kGguf, "model.intermediate_size"},
    {"expert_feed_forward_length", kGguf, "model.moe_intermediate_size"},
    {"leading_dense_block_count", kGguf, "model.first_k_dense_replace"},
    {"nextn_predict_layers", kGguf, "model.num_nextn_predict_layers"},
    {"context_length", kGguf, "model.max_position_embeddings"},
    {"num_mtp_layers", kHf, "model.num_nextn_predict_layers"},
    // the run
    {"lr", "Megatron-Core and torchtitan", "optimizer.learning_rate"},
    {"min_lr_factor", kTitan, "schedule.final_ratio"},
    {"clip_grad", kMegatron, "optimizer.clip_norm"},
    {"max_norm", kTitan, "optimizer.clip_norm"},
    {"max_grad_norm", kHf, "optimizer.clip_norm"},
    {"adam_beta1", "Megatron-Core and transformers", "optimizer.beta1"},
    {"adam_beta2", "Megatron-Core and transformers", "optimizer.beta2"},
    {"adam_eps", kMegatron, "optimizer.eps"},
    {"adam_epsilon", kHf, "optimizer.eps"},
    {"decay_type", kTitan, "schedule.decay"},
    {"lr_decay_style", kMegatron, "schedule.decay"},
    {"lr_wsd_decay_style", kMegatron, "schedule.decay"},
    {"lr_scheduler_type", kHf, "schedule.decay"},
    {"train_iters", kMegatron, "schedule.steps"},
    {"max_steps", kHf, "schedule.steps"},
    {"warmup_ratio", kHf, "schedule.warmup"},
    {"lr_warmup_fraction", kMegatron, "schedule.warmup"},
    {"seq_length", kMegatron, "data.seq_len"},
    {"micro_batch_size", kMegatron, "data.batch_size"},
    {"local_batch_size", kTitan, "data.batch_size"},
    {"per_device_train_batch_size", kHf, "data.batch_size"},
    {"gradient_accumulation_steps", kHf, "train.micro_batches"},
    {"mtp_loss_scaling_factor", kMegatron, "train.mtp_loss_weight"},
    {"eval_interval", kMegatron, "train.eval_every"},
    {"eval_iters", kMegatron, "train.eval_windows"},
    {"eval_steps", kHf, "train.eval_every"},
    {"save_interval", kMegatron, "train.checkpoint_every"},
    {"save_steps", kHf, "train.checkpoint_every"},
    {"save_total_limit", kHf, "train.keep_last"},
    {"log_interval", kMegatron, "train.log_every"},
    {"logging_steps", kHf, "train.log_every"},
};

constexpr ForeignName kFlags[] = {
    {"--n-predict", kLlama, "-n"},
    {"--predict", kLlama, "-n"},
    {"--max-tokens", kVllm, "-n"},
    {"--max_new_tokens", kHf, "-n"},
    {"--temperature", "llama.cpp and vLLM", "--temp"},
    {"--top_p", kHf, "--top-p"},
    {"--reverse-prompt", kLlama, "--stop"},
    {"--model_name_or_path", kHf, "-m"},
    {"--num-threads", "other tools", "-t"},
    {"--output", "other tools", "--out"},
    {"--output_dir", kHf, "--out"},
    {"--save", kMegatron, "--out"},
    {"--load", kMegatron, "--init-from"},
    {"--resume_from_checkpoint", kHf, "--resume"},
    {"--vocab_size", kHf, "--vocab-size"},
};

std::string table(std::span<const ForeignName> names, std::string_view head) {
  std::string out = fmt::format("| {} | of | here |\n|---|---|---|\n", head);
  for (const ForeignName& n : names) out += fmt::format("| `{}` | {} | `{}` |\n", n.theirs, n.tool, n.ours);
  return out;
}

}  // namespace

std::span<const ForeignName> foreign_keys() { return kKeys; }
std::span<const ForeignName> foreign_flags() { return kFlags; }

std::string foreign_names_markdown() {
  return "# What other tools call it\n"
         "A key or flag of another tool is answered with ours, on the command line and in recipes:\n\n"
         "    $ ballast train --moe-router-topk 8\n"
         "    ballast: error: train: --moe-router-topk is Megatron-Core's name; here it is --model.num_experts_per_tok\n\n"
         "Nothing is translated silently: units and conventions differ (a warm-up in steps there is a share here). The list is\n"
         "`src/cli/foreign_names.cc`; a test compares this page with it.\n\n"
         "## Keys\n" +
         table(kKeys, "their key") + "\n## Flags\n" + table(kFlags, "their flag");
}

}  // namespace ballast::cli
