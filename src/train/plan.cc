#include "train/plan.h"

#include "base/human.h"
#include "base/interrupt.h"
#include "model/roofline.h"
#include "train/ceiling.h"
#include "train/validation.h"

namespace ballast {
namespace {

Json parameters(const ModelConfig& config) {
  const ModelCounts n = count_parameters(config);
  Json j = Json::object();
  j["total"] = n.total();
  j["active"] = n.active;
  j["embedding_and_head"] = n.embedding + n.head;
  j["attention"] = n.attention;
  j["dense_ffn"] = n.dense_ffn;
  j["shared_experts"] = n.shared_experts;
  j["routed_experts"] = n.routed_experts;
  j["router_and_norms"] = n.router + n.norms;
  j["mtp"] = n.mtp;
  return j;
}

// Of the batches that training will see.
BatchShape planned_batch(const RunConfig& c) {
  if (!c.data.train_shard.empty() || !c.data.train_windows.empty()) return TrainingData(c).shape();
  return {c.data.batch_size, c.data.seq_len, c.data.batch_size};
}

Json memory(Device& device, const RunConfig& c, DType dtype) {
  device.planning = true;
  ParamStore params(device, make_param_table(c.model), {.storage = dtype, .training = true});
  Model model(c.model, params);
  const BatchShape batch = planned_batch(c);
  const TrainStep step(model, batch, training_options(c));
  const TrainStep validation(model, batch, validation_options(c));
  device.planning = false;

  const ParamStore::Sizes sizes = params.sizes();
  const std::pair<const char*, size_t> kinds[] = {
      {"master_weights", sizes.master},        {"bf16_weights", sizes.weights},
      {"gradients", sizes.gradients},          {"moments", sizes.moments},
      {"inputs", step.input_bytes()},
      {"saved_activations", step.saved_bytes()}, {"scratch", step.scratch_bytes()},
      {"validation", validation.input_bytes() + validation.saved_bytes() + validation.scratch_bytes()}};
  Json j = Json::object();
  int64_t total = 0;
  for (const auto& [kind, bytes] : kinds) {
    j[kind] = static_cast<int64_t>(bytes);
    total += static_cast<int64_t>(bytes);
  }
  j["total"] = total;
  return j;
}

bool fits(const Json& plan) {
  return plan.at("memory_bytes").at("total").as_int() <= plan.at("memory_bytes").at("available").as_int();
}

}  // namespace

void admit_training(const Json& plan) {
  if (fits(plan)) return;
  const Json& memory = plan.at("memory_bytes");
  const auto bytes = [&](const char* kind) { return format_bytes(static_cast<double>(memory.at(kind).as_int())); };
  fail(ErrorKind::device, "train",
       "needs {} of memory, but {} are available; less: data.batch_size (with more train.micro_batches), data.seq_len, "
       "train.recompute = true, or a smaller model",
       bytes("total"), bytes("available"));
}

Json plan_training(const RunConfig& c, int threads, int64_t available) {
  validate(c);
  const auto device = Device::make(DeviceKind::cpu, threads);
  const DType dtype = compute_dtype(c.train.dtype);
  const int64_t micro_batch = c.data.batch_size * c.data.seq_len, tokens_per_step = micro_batch * c.train.micro_batches;
  Json j = Json::object();
  j["dtype"] = name_of(dtype);
  j["parameters"] = parameters(c.model);
  j["memory_bytes"] = memory(*device, c, dtype);
  j["memory_bytes"]["available"] = available;
  const double flops = training_flops_per_token(c.model, static_cast<int>(c.data.seq_len), AttentionCount::causal);
  j["flops_per_token"] = flops;
  j["steps"] = c.schedule.run_steps();
  j["tokens_per_step"] = tokens_per_step;
  j["tokens"] = c.schedule.run_steps() * tokens_per_step;
  if (!fits(j)) return j;
  const StepProducts products = step_products(c.model, micro_batch, c.data.seq_len, c.train.micro_batches);
  const double seconds = ceiling_seconds(*device, products, dtype, 1);
  if (interrupted()) fail(ErrorKind::interrupted, "train", "stopped while it timed the matrix products");
  Json ceiling = Json::object();
  ceiling["seconds_per_step"] = seconds;
  ceiling["flop_per_s"] = flops * static_cast<double>(tokens_per_step) / seconds;
  ceiling["tokens_per_s"] = static_cast<double>(tokens_per_step) / seconds;
  ceiling["seconds"] = seconds * static_cast<double>(c.schedule.run_steps());
  j["ceiling"] = std::move(ceiling);
  return j;
}

}  // namespace ballast
