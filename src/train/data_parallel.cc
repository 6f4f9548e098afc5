#include "train/data_parallel.h"

#include <array>

namespace ballast {
namespace {

void reduce_losses(Communicator& comm, StepTotals& t) {
  std::array<double, 4> values{t.sums.loss, t.sums.mtp_loss, t.aux.first, t.aux.second};
  std::array<int64_t, 4> counts{t.sums.targets, t.sums.mtp_targets, t.sums.correct, t.interrupted ? 1 : 0};
  comm.all_reduce_sum(std::span<double>(values));
  comm.all_reduce_sum(std::span<int64_t>(counts));
  t.sums = {
      .loss = values[0], .mtp_loss = values[1], .targets = counts[0], .mtp_targets = counts[1], .correct = counts[2]};
  t.aux = {values[2], values[3]};
  t.interrupted = counts[3] > 0;
}

void reduce_loads(Communicator& comm, Loads& loads) {
  for (auto& layer : loads) comm.all_reduce_sum(std::span<int64_t>(layer));
}

// Where the host cannot reach the memory, through it.
template <class T>
void reduce_tensor(Communicator& comm, Device& device, const Tensor& t) {
  const std::span<T> values(static_cast<T*>(t.data), static_cast<size_t>(t.size()));
  if (device.kind != DeviceKind::cuda) return comm.all_reduce_sum(values);
  std::vector<T> host(values.size());
  device.download(host.data(), t.data, host.size() * sizeof(T));
  comm.all_reduce_sum(std::span<T>(host));
  device.upload(t.data, host.data(), host.size() * sizeof(T));
  device.synchronize();
}

void reduce_gradients(Communicator& comm, ParamStore& params) {
  params.finish_gradients();
  for (const auto& run : params.optimizer_runs()) {
    if (run.grad.dtype == DType::f32)
      reduce_tensor<float>(comm, params.device(), run.grad);
    else
      reduce_tensor<double>(comm, params.device(), run.grad);
  }
}

void reduce_flag(Communicator& comm, Device& device, const Tensor& flag) {
  int32_t raised = 0;
  device.download(&raised, flag.data, sizeof raised);
  int64_t sum = raised != 0;
  comm.all_reduce_sum(std::span<int64_t>(&sum, 1));
  raised = sum > 0;
  device.upload(flag.data, &raised, sizeof raised);
  device.synchronize();
}

}  // namespace

void check_ranks(const Communicator& comm, const RunConfig& config) {
  if (comm.size() == 1) return;
  if (const int64_t parts = config.train.micro_batches; parts % comm.size() != 0)
    fail(ErrorKind::usage, "train.micro_batches", "{} cannot be dealt out to {} ranks evenly: take a multiple of {}",
         parts, comm.size(), comm.size());
  if (config.aux.global > 0)
    fail(ErrorKind::unsupported, "aux.global",
         "counts the micro-batches of a step in their order, which {} ranks do not share: train on one, or set it to 0",
         comm.size());
}

void reduce_step(Communicator& comm, ParamStore& params, TrainStep& step, StepTotals& totals) {
  if (comm.size() == 1) return;
  reduce_losses(comm, totals);
  reduce_loads(comm, totals.loads);
  reduce_gradients(comm, params);
  reduce_flag(comm, params.device(), step.nonfinite());
}

}  // namespace ballast
