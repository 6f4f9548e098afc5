// What changes from step to step must enter an op through device memory: rmsnorm -> route -> permute -> adamw is captured
// once as a CUDA graph and replayed with three routings and three learning rates; every replay equals the uncaptured run
// bit for bit.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/rng.h"
#include "core/cuda_check.h"
#include "core/device.h"
#include "core/device_cuda.h"
#include "ops/adamw/adamw.h"
#include "ops/permute/permute.h"
#include "ops/rmsnorm/rmsnorm.h"
#include "ops/route/route.h"

namespace ballast::ops {
namespace {

constexpr int64_t kTokens = 512, kWidth = 256, kExperts = 64, kSlots = 6, kParams = 100003;

class Step {
 public:
  explicit Step(Device& device) : device_(device), arena_(device, "graph test") {
    device.planning = true;
    allocate();
    device.planning = false;
    arena_.reserve(arena_.high_water());
    allocate();
    Rng rng(3);
    for (Tensor t : {x, norm_weight, gate, master, m, v, grad}) {
      std::vector<float> host(static_cast<size_t>(t.size()));
      for (float& f : host) f = static_cast<float>(rng.normal());
      if (t.data == v.data)
        for (float& f : host) f = f * f;
      device_.upload(t.data, host.data(), host.size() * 4);
    }
    zero_ = {nonfinite, skip, load};
    for (const Tensor& t : zero_) device_.zero(t.data, static_cast<size_t>(t.bytes()));
    device_.synchronize();
  }

  void set(uint64_t seed, float lr) {  // another routing (through the bias) and another learning rate
    Rng rng(seed);
    bias_host_.resize(kExperts);
    for (float& b : bias_host_) b = static_cast<float>(rng.normal());
    bias_host_[5] = 100;                      // takes all
    bias_host_[seed % 5] = -100;              // stays empty
    hyper_host_ = {lr, 0.5f, 0.1f, 0.05f};
    device_.upload(bias.data, bias_host_.data(), kExperts * 4);
    device_.upload(hyper.data, hyper_host_.data(), 16);
    device_.synchronize();
  }

  void run() {
    rmsnorm_forward(device_, {.x = x, .weight = norm_weight, .y = y, .rstd = rstd});
    route_forward(device_, {.config = {.experts_per_token = kSlots, .groups = 8, .kept_groups = 4, .scale = 2.5}, .x = y,
                            .weight = gate, .bias = bias, .logits = logits, .scores = scores, .ids = ids,
                            .weights = weights, .load = load, .nonfinite = nonfinite});
    permute_forward(device_, {.x = y, .ids = ids, .expert_begin = 0, .expert_end = kExperts, .out = ragged,
                              .row_of = row_of, .slot_of = slot_of});
    adamw(device_, {.master = master, .m = m, .v = v, .grad = grad, .param = param, .hyper = hyper, .skip = skip,
                    .weight_decay = 0.1});
  }

  std::vector<uint8_t> state() {  // everything defined, as bytes
    std::vector<uint8_t> all;
    std::vector<int32_t> offs(kExperts + 1);
    device_.download(offs.data(), ragged.offs.data, offs.size() * 4);
    for (const Tensor& t : {y, logits, scores, ids, weights, load, ragged.offs, ragged.count, row_of, master, m, v, param,
                            ragged.rows.rows(0, offs.back()), slot_of.rows(0, offs.back())}) {
      const size_t at = all.size();
      all.resize(at + static_cast<size_t>(t.bytes()));
      device_.download(all.data() + at, t.data, static_cast<size_t>(t.bytes()));
    }
    return all;
  }

 private:
  void allocate() {
    arena_.reset();
    const int64_t capacity = Ragged::capacity(kTokens, kSlots, kExperts, 128);
    x = arena_.alloc(DType::f32, {kTokens, kWidth});
    norm_weight = arena_.alloc(DType::f32, {kWidth});
    y = arena_.alloc(DType::f32, {kTokens, kWidth});
    rstd = arena_.alloc(DType::f32, {kTokens});
    gate = arena_.alloc(DType::f32, {kExperts, kWidth});
    bias = arena_.alloc(DType::f32, {kExperts});
    logits = arena_.alloc(DType::f32, {kTokens, kExperts});
    scores = arena_.alloc(DType::f32, {kTokens, kExperts});
    ids = arena_.alloc(DType::i32, {kTokens, kSlots});
    weights = arena_.alloc(DType::f32, {kTokens, kSlots});
    load = arena_.alloc(DType::i64, {kExperts});
    nonfinite = arena_.alloc(DType::i32, {1});
    ragged = {arena_.alloc(DType::f32, {capacity, kWidth}), arena_.alloc(DType::i32, {kExperts + 1}),
              arena_.alloc(DType::i32, {kExperts}), 128};
    row_of = arena_.alloc(DType::i32, {kTokens, kSlots});
    slot_of = arena_.alloc(DType::i32, {capacity});
    for (Tensor* t : {&master, &m, &v, &grad}) *t = arena_.alloc(DType::f32, {kParams});
    param = arena_.alloc(DType::bf16, {kParams});
    hyper = arena_.alloc(DType::f32, {4});
    skip = arena_.alloc(DType::i32, {1});
  }

  Device& device_;
  Arena arena_;
  Tensor x, norm_weight, y, rstd, gate, bias, logits, scores, ids, weights, load, nonfinite, row_of, slot_of;
  Tensor master, m, v, grad, param, hyper, skip;
  Ragged ragged;
  std::vector<Tensor> zero_;
  std::vector<float> bias_host_, hyper_host_;
};

TEST(Graph, ReplaysWithChangedRoutingAndRateEqualTheUncapturedRun) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device answers";
  auto device = Device::make(DeviceKind::cuda);
  const auto stream = static_cast<cudaStream_t>(device->stream());
  Step eager(*device), captured(*device);
  cudaGraph_t graph;
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  captured.run();
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec;
  CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
  std::vector<std::vector<uint8_t>> states;
  for (const auto& [seed, lr] : {std::pair{11, 1e-3f}, std::pair{12, 3e-2f}, std::pair{13, 0.5f}}) {
    eager.set(static_cast<uint64_t>(seed), lr);
    captured.set(static_cast<uint64_t>(seed), lr);
    eager.run();
    CUDA_CHECK(cudaGraphLaunch(exec, stream));
    device->synchronize();
    states.push_back(eager.state());
    EXPECT_TRUE(states.back() == captured.state()) << "replay " << seed << " differs from the uncaptured run";
  }
  EXPECT_TRUE(states[0] != states[1] && states[1] != states[2]) << "the steps must differ, or the test shows nothing";
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

}  // namespace
}  // namespace ballast::ops
