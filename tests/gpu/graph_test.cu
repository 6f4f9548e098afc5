// What changes from step to step must enter an op through device memory: rmsnorm -> route -> permute -> adamw is captured
// once as a CUDA graph and replayed with three routings and three learning rates; every replay equals the uncaptured run
// bit for bit. So is the head: linear -> cross_entropy with its gradient in the logits' memory -> the two products back.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "base/rng.h"
#include "core/cuda_check.h"
#include "core/device.h"
#include "core/device_cuda.h"
#include "ops/adamw/adamw.h"
#include "ops/cross_entropy/cross_entropy.h"
#include "ops/linear/linear.h"
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

class Head {
 public:
  static constexpr int64_t kRows = 384, kInner = 200, kVocab = 2064;

  explicit Head(Device& device) : device_(device), arena_(device, "graph test") {
    device.planning = true;
    allocate();
    device.planning = false;
    arena_.reserve(arena_.high_water());
    allocate();
    Rng rng(8);
    for (const Tensor& t : {x, weight}) {
      std::vector<bf16> host(static_cast<size_t>(t.size()));
      for (bf16& v : host) v = bf16(static_cast<float>(rng.normal()));
      device_.upload(t.data, host.data(), host.size() * sizeof(bf16));
      device_.synchronize();
    }
    device_.zero(dweight.data, static_cast<size_t>(dweight.bytes()));
  }

  void set(uint64_t seed) {  // other targets, some of them none, and another scale
    Rng rng(seed);
    targets_host_.resize(kRows);
    for (int32_t& t : targets_host_) t = static_cast<int32_t>(rng.below(kVocab + 200)) - 200;
    for (int32_t& t : targets_host_) t = std::max(t, -1);
    scale_host_ = 1.0f / static_cast<float>(seed);
    device_.upload(targets.data, targets_host_.data(), kRows * 4);
    device_.upload(scale.data, &scale_host_, 4);
    device_.synchronize();
  }

  void run() {
    linear_forward(device_, {.x = x, .weight = weight, .y = logits});
    cross_entropy_forward(device_, {.logits = logits, .targets = targets, .loss = loss, .lse = lse, .correct = correct,
                                    .scale = scale, .dlogits = in_place()});
    linear_backward(device_, {.dy = in_place(), .x = x, .weight = weight, .dx = dx, .dweight = dweight,
                              .accumulate_dweight = true});
  }

  // The same by the separate backward, into memory of its own.
  void run_apart() {
    linear_forward(device_, {.x = x, .weight = weight, .y = logits});
    cross_entropy_forward(device_, {.logits = logits, .targets = targets, .loss = loss, .lse = lse, .correct = correct});
    cross_entropy_backward(device_, {.logits = logits, .targets = targets, .lse = lse, .scale = scale, .dlogits = apart});
    linear_backward(device_, {.dy = apart, .x = x, .weight = weight, .dx = dx, .dweight = dweight,
                              .accumulate_dweight = true});
  }

  std::vector<uint8_t> state() {
    std::vector<uint8_t> all;
    for (const Tensor& t : {loss, lse, correct, dx, dweight}) {
      const size_t at = all.size();
      all.resize(at + static_cast<size_t>(t.bytes()));
      device_.download(all.data() + at, t.data, static_cast<size_t>(t.bytes()));
    }
    return all;
  }

 private:
  Tensor in_place() const {
    Tensor t(logits.data, DType::bf16, {kRows, kVocab});
    t.stride[0] = 2 * kVocab;
    return t;
  }
  void allocate() {
    arena_.reset();
    x = arena_.alloc(DType::bf16, {kRows, kInner});
    weight = arena_.alloc(DType::bf16, {kVocab, kInner});
    logits = arena_.alloc(DType::f32, {kRows, kVocab});
    // Rows as far apart as in the logits' memory: the library may take another algorithm for another layout.
    apart = arena_.alloc(DType::bf16, {kRows, 2 * kVocab}).cols(0, kVocab);
    for (Tensor* t : {&loss, &lse}) *t = arena_.alloc(DType::f32, {kRows});
    for (Tensor* t : {&targets, &correct}) *t = arena_.alloc(DType::i32, {kRows});
    scale = arena_.alloc(DType::f32, {1});
    dx = arena_.alloc(DType::bf16, {kRows, kInner});
    dweight = arena_.alloc(DType::f32, {kVocab, kInner});
  }

  Device& device_;
  Arena arena_;
  Tensor x, weight, logits, apart, targets, loss, lse, correct, scale, dx, dweight;
  std::vector<int32_t> targets_host_;
  float scale_host_ = 0;
};

cudaGraphExec_t capture(Device& device, const std::function<void()>& run) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  cudaGraph_t graph;
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  run();
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec;
  CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
  CUDA_CHECK(cudaGraphDestroy(graph));
  return exec;
}

TEST(LibraryGraph, HeadReplayedEqualsTheUncapturedRunAndTheSeparateBackward) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device answers";
  auto device = Device::make(DeviceKind::cuda);
  Head eager(*device), captured(*device), apart(*device);
  for (Head* h : {&eager, &captured, &apart}) h->set(2);
  eager.run();  // the first product allocates the workspace, which a capture may not
  captured.run();
  apart.run_apart();
  const cudaGraphExec_t exec = capture(*device, [&] { captured.run(); });
  std::vector<std::vector<uint8_t>> states;
  for (const uint64_t seed : {11, 12, 13}) {
    for (Head* h : {&eager, &captured, &apart}) h->set(seed);
    eager.run();
    apart.run_apart();
    CUDA_CHECK(cudaGraphLaunch(exec, static_cast<cudaStream_t>(device->stream())));
    device->synchronize();
    states.push_back(eager.state());
    EXPECT_TRUE(states.back() == captured.state()) << "replay " << seed << " differs from the uncaptured run";
    EXPECT_TRUE(states.back() == apart.state()) << "the gradient in place differs from the separate backward, " << seed;
  }
  EXPECT_TRUE(states[0] != states[1] && states[1] != states[2]) << "the steps must differ, or the test shows nothing";
  cudaGraphExecDestroy(exec);
}

TEST(LibraryGraph, AFirstProductInsideOfACaptureIsRefused) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device answers";
  auto device = Device::make(DeviceKind::cuda);
  const auto stream = static_cast<cudaStream_t>(device->stream());
  Head head(*device);
  head.set(2);
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  EXPECT_THROW(head.run(), Error);
  cudaStreamEndCapture(stream, &graph);
  if (graph) cudaGraphDestroy(graph);
}

TEST(Graph, ReplaysWithChangedRoutingAndRateEqualTheUncapturedRun) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device answers";
  auto device = Device::make(DeviceKind::cuda);
  const auto stream = static_cast<cudaStream_t>(device->stream());
  Step eager(*device), captured(*device);
  for (Step* step : {&eager, &captured}) {  // the first run allocates the workspace, which a capture may not
    step->set(2, 1e-3f);
    step->run();
  }
  const cudaGraphExec_t exec = capture(*device, [&] { captured.run(); });
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
}

}  // namespace
}  // namespace ballast::ops
