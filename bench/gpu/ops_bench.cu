// Time of every op with a CUDA backend at the sizes of one training step of a 1B model with 64 experts (T = 32768 tokens of
// width 1024), beside two ceilings measured in the same run: a device-to-device copy (bytes read plus written) and an
// 8192^3 bf16 product. Usage: ops_bench FILE; lines "name<TAB>shape<TAB>microseconds<TAB>flops<TAB>bytes" go to FILE.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "core/cuda_check.h"
#include "core/device.h"
#include "ops/adamw/adamw.h"
#include "ops/cross_entropy/cross_entropy.h"
#include "ops/gemm_cuda.h"
#include "ops/linear/linear.h"
#include "ops/permute/permute.h"
#include "ops/rmsnorm/rmsnorm.h"
#include "ops/route/route.h"

namespace ballast::ops {
namespace {

constexpr int64_t kTokens = 32768, kWidth = 1024, kExperts = 64, kSlots = 6;
constexpr int kRuns = 30;

__device__ uint32_t mix(uint64_t i, uint32_t seed) {
  uint32_t h = static_cast<uint32_t>(i) * 0x9E3779B9u + static_cast<uint32_t>(i >> 32) * 0x85EBCA6Bu + seed;
  h = (h ^ h >> 16) * 0x7FEB352Du;
  h = (h ^ h >> 15) * 0x846CA68Bu;
  return h ^ h >> 16;
}

// Sum of the four bytes of a hash, of mean 0 and variance 1: bell-shaped, and no two neighbours alike.
template <class S>
__global__ void fill_kernel(S* data, int64_t n, uint32_t seed, float scale) {
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const uint32_t h = mix(static_cast<uint64_t>(i), seed);
    const int sum = int(h & 255) + int(h >> 8 & 255) + int(h >> 16 & 255) + int(h >> 24);
    data[i] = static_cast<S>((static_cast<float>(sum) - 510.0f) / 147.8f * scale);
  }
}

__global__ void targets_kernel(int32_t* data, int64_t n, int32_t vocab) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) data[i] = i % 97 == 0 ? -1 : static_cast<int32_t>(mix(static_cast<uint64_t>(i), 77) % uint32_t(vocab));
}

class Bench {
 public:
  Bench(Device& device, const char* file) : device_(device), out_(std::fopen(file, "w")) {
    if (!out_) fail(ErrorKind::file, file, "cannot be written");
  }
  ~Bench() { std::fclose(out_); }
  Device& device() { return device_; }
  cudaStream_t stream() const { return static_cast<cudaStream_t>(device_.stream()); }

  Tensor zeros(DType t, std::initializer_list<int64_t> shape) {
    Tensor tensor(nullptr, t, shape);
    buffers_.emplace_back(device_, static_cast<size_t>(tensor.bytes()));
    tensor.data = buffers_.back().data();
    return tensor;
  }
  Tensor random(DType t, std::initializer_list<int64_t> shape, float scale = 1) {
    const Tensor tensor = zeros(t, shape);
    const auto n = tensor.size();
    if (t == DType::bf16)
      fill_kernel<<<2048, 256, 0, stream()>>>(static_cast<__nv_bfloat16*>(tensor.data), n, ++seed_, scale);
    else
      fill_kernel<<<2048, 256, 0, stream()>>>(tensor.as<float>(), n, ++seed_, scale);
    CUDA_CHECK_LAUNCH();
    return tensor;
  }
  Tensor targets(int64_t n, int64_t vocab) {
    const Tensor t = zeros(DType::i32, {n});
    targets_kernel<<<static_cast<unsigned>((n + 255) / 256), 256, 0, stream()>>>(t.as<int32_t>(), n, int32_t(vocab));
    CUDA_CHECK_LAUNCH();
    return t;
  }
  void free_all() {
    device_.synchronize();
    buffers_.clear();
  }

  // Median of kRuns, each between two events; all are queued before the first is waited for, so the gaps between launches
  // of one op are those of a full queue. run(i) works on the i-th set of inputs.
  double microseconds(int sets, const std::function<void(int)>& run) {
    std::vector<cudaEvent_t> events(2 * kRuns);
    for (cudaEvent_t& e : events) CUDA_CHECK(cudaEventCreate(&e));
    for (int i = 0; i < 2 * sets + 2; ++i) run(i % sets);
    for (int i = 0; i < kRuns; ++i) {
      CUDA_CHECK(cudaEventRecord(events[2 * i], stream()));
      run(i % sets);
      CUDA_CHECK(cudaEventRecord(events[2 * i + 1], stream()));
    }
    device_.synchronize();
    std::vector<double> us;
    for (int i = 0; i < kRuns; ++i) {
      float ms = 0;
      CUDA_CHECK(cudaEventElapsedTime(&ms, events[2 * i], events[2 * i + 1]));
      us.push_back(1000 * ms);
    }
    for (cudaEvent_t e : events) cudaEventDestroy(e);
    std::sort(us.begin(), us.end());
    return us[us.size() / 2];
  }

  void report(const std::string& name, const std::string& shape, double us, const Cost& cost) {
    std::fprintf(out_, "%s\t%s\t%.2f\t%.6g\t%.6g\n", name.c_str(), shape.c_str(), us, cost.flops, cost.bytes);
    std::fflush(out_);
    std::printf("%-28s %-24s %10.1f us %8.0f GB/s %7.1f TFLOP/s\n", name.c_str(), shape.c_str(), us, cost.bytes / us / 1e3,
                cost.flops / us / 1e6);
  }
  void measure(const std::string& name, const std::string& shape, const Cost& cost, int sets,
               const std::function<void(int)>& run) {
    report(name, shape, microseconds(sets, run), cost);
  }

 private:
  Device& device_;
  std::FILE* out_;
  std::vector<Buffer> buffers_;
  uint32_t seed_ = 0;
};

std::string shape_of(std::initializer_list<int64_t> list) {
  std::string s;
  for (const int64_t d : list) {
    if (!s.empty()) s += 'x';
    s += std::to_string(d);
  }
  return s;
}

void ceilings(Bench& b) {
  constexpr int64_t n = int64_t{4} << 30, side = 8192;
  const Tensor from = b.random(DType::f32, {n / 4}), to = b.zeros(DType::f32, {n / 4});
  b.measure("ceiling copy", "4 GiB", {0, 2.0 * n}, 1, [&](int) { b.device().copy(to.data, from.data, n); });
  const Tensor x = b.random(DType::bf16, {side, side}), w = b.random(DType::bf16, {side, side});
  const LinearForward f{.x = x, .weight = w, .y = b.zeros(DType::bf16, {side, side})};
  cuda::LtGemm& gemm = b.device().state<cuda::LtGemm>();
  gemm.tune = true;
  b.measure("ceiling product", "8192^3 bf16", f.cost(), 1, [&](int) { linear_forward(b.device(), f); });
  gemm.tune = false;
  b.free_all();
}

void rmsnorm(Bench& b) {
  std::vector<RmsNormForward> f;
  std::vector<RmsNormBackward> g;
  const Tensor weight = b.random(DType::f32, {kWidth}), dweight = b.zeros(DType::f32, {kWidth});
  for (int i = 0; i < 3; ++i) {
    const auto make = [&] { return b.random(DType::bf16, {kTokens, kWidth}); };
    f.push_back({.x = make(), .residual = make(), .weight = weight, .sum = make(), .y = make(),
                 .rstd = b.zeros(DType::f32, {kTokens})});
    g.push_back({.dy = f[i].x, .s = f[i].sum, .weight = weight, .rstd = f[i].rstd, .dsum = f[i].residual, .dx = f[i].y,
                 .dweight = dweight});
  }
  const std::string shape = shape_of({kTokens, kWidth});
  b.measure("rmsnorm.forward", shape, f[0].cost(), 3, [&](int i) { rmsnorm_forward(b.device(), f[i]); });
  b.measure("rmsnorm.backward", shape, g[0].cost(), 3, [&](int i) { rmsnorm_backward(b.device(), g[i]); });
  b.free_all();
}

void routing(Bench& b) {
  const RouteConfig config{.experts_per_token = kSlots, .groups = 8, .kept_groups = 4, .scale = 2.5};
  const Tensor weight = b.random(DType::f32, {kExperts, kWidth}, 0.03f), bias = b.random(DType::f32, {kExperts}, 0.01f);
  const Tensor nonfinite = b.zeros(DType::i32, {1}), load = b.zeros(DType::i64, {kExperts});
  const int64_t capacity = Ragged::capacity(kTokens, kSlots, kExperts, 128);
  std::vector<RouteForward> f;
  std::vector<RouteBackward> g;
  std::vector<PermuteForward> p;
  std::vector<PermuteBackward> q;
  const Tensor dweight = b.zeros(DType::f32, {kExperts, kWidth});
  for (int i = 0; i < 3; ++i) {
    f.push_back({.config = config, .x = b.random(DType::bf16, {kTokens, kWidth}), .weight = weight, .bias = bias,
                 .logits = b.zeros(DType::f32, {kTokens, kExperts}), .scores = b.zeros(DType::f32, {kTokens, kExperts}),
                 .ids = b.zeros(DType::i32, {kTokens, kSlots}), .weights = b.zeros(DType::f32, {kTokens, kSlots}),
                 .load = load, .nonfinite = nonfinite});
    g.push_back({.config = config, .x = f[i].x, .weight = weight, .scores = f[i].scores, .ids = f[i].ids,
                 .dweights = b.random(DType::f32, {kTokens, kSlots}), .dlogits = f[i].logits,
                 .dx = b.random(DType::bf16, {kTokens, kWidth}), .dweight = dweight});
    const Ragged ragged{b.random(DType::bf16, {capacity, kWidth}), b.zeros(DType::i32, {kExperts + 1}),
                        b.zeros(DType::i32, {kExperts}), 128};
    p.push_back({.x = f[i].x, .ids = f[i].ids, .expert_begin = 0, .expert_end = kExperts, .out = ragged,
                 .row_of = b.zeros(DType::i32, {kTokens, kSlots}), .slot_of = b.zeros(DType::i32, {capacity})});
    q.push_back({.drows = ragged.rows, .row_of = p[i].row_of, .dx = b.random(DType::bf16, {kTokens, kWidth})});
  }
  const std::string shape = shape_of({kTokens, kWidth, kExperts}), rows = shape_of({kTokens, kSlots, kWidth});
  b.measure("route.forward", shape, f[0].cost(), 3, [&](int i) { route_forward(b.device(), f[i]); });
  b.measure("route.backward", shape, g[0].cost(), 3, [&](int i) { route_backward(b.device(), g[i]); });
  b.measure("permute.forward", rows, p[0].cost(), 3, [&](int i) { permute_forward(b.device(), p[i]); });
  b.measure("permute.backward", rows, q[0].cost(), 3, [&](int i) { permute_backward(b.device(), q[i]); });
  b.free_all();
}

void optimizer(Bench& b) {
  constexpr int64_t n = 981'000'000;
  const Tensor v = b.random(DType::f32, {n}), hyper = b.zeros(DType::f32, {4});
  const float host[4] = {3e-4f, 1.0f, 0.5f, 0.5f};
  b.device().upload(hyper.data, host, sizeof host);
  CUDA_CHECK(cudaMemsetAsync(v.data, 0x3a, static_cast<size_t>(v.bytes()), b.stream()));  // 7e-4: a square is positive
  const AdamW a{.master = b.random(DType::f32, {n}), .m = b.random(DType::f32, {n}), .v = v,
                .grad = b.random(DType::f32, {n}), .param = b.zeros(DType::bf16, {n}), .hyper = hyper,
                .skip = b.zeros(DType::i32, {1}), .weight_decay = 0.1};
  b.measure("adamw", shape_of({n}), a.cost(), 1, [&](int) { adamw(b.device(), a); });
  b.free_all();
}

// Forward, gradient of x, gradient of W (added), first with the heuristic's algorithm, then with the fastest of eight.
void product(Bench& b, const char* what, int64_t rows, int64_t width, int64_t outputs, DType y) {
  const Tensor w = b.random(DType::bf16, {outputs, width}, 0.03f), dw = b.zeros(DType::f32, {outputs, width});
  std::vector<LinearForward> f;
  std::vector<LinearBackward> dgrad, wgrad;
  for (int i = 0; i < 3; ++i) {
    const Tensor x = b.random(DType::bf16, {rows, width}), dy = b.random(DType::bf16, {rows, outputs}, 0.01f);
    f.push_back({.x = x, .weight = w, .y = b.zeros(y, {rows, outputs})});
    dgrad.push_back({.dy = dy, .weight = w, .dx = b.zeros(DType::bf16, {rows, width})});
    wgrad.push_back({.dy = dy, .x = x, .dweight = dw, .accumulate_dweight = true});
  }
  const std::string shape = shape_of({rows, width, outputs}), name = std::string("linear ") + what;
  for (const bool tune : {false, true}) {
    b.device().state<cuda::LtGemm>().tune = tune;
    const std::string suffix = tune ? " tuned" : "";
    b.measure(name + " forward" + suffix, shape, f[0].cost(), 3, [&](int i) { linear_forward(b.device(), f[i]); });
    b.measure(name + " dgrad" + suffix, shape, dgrad[0].cost(), 3, [&](int i) { linear_backward(b.device(), dgrad[i]); });
    b.measure(name + " wgrad" + suffix, shape, wgrad[0].cost(), 3, [&](int i) { linear_backward(b.device(), wgrad[i]); });
  }
  b.device().state<cuda::LtGemm>().tune = false;
  b.free_all();
}

void head(Bench& b, int64_t rows, int64_t vocab) {
  const Tensor scale = b.random(DType::f32, {1}), targets = b.targets(rows, vocab);
  std::vector<CrossEntropyForward> f, fused;
  std::vector<CrossEntropyBackward> g;
  for (int i = 0; i < 2; ++i) {
    f.push_back({.logits = b.random(DType::f32, {rows, vocab}, 3), .targets = targets,
                 .loss = b.zeros(DType::f32, {rows}), .lse = b.zeros(DType::f32, {rows}),
                 .correct = b.zeros(DType::i32, {rows})});
    fused.push_back(f[i]);
    fused[i].scale = scale;
    fused[i].dlogits = b.zeros(DType::bf16, {rows, vocab});
    g.push_back(fused[i].backward());
  }
  const std::string shape = shape_of({rows, vocab});
  b.measure("cross_entropy.forward", shape, f[0].cost(), 2, [&](int i) { cross_entropy_forward(b.device(), f[i]); });
  b.measure("cross_entropy.backward", shape, g[0].cost(), 2, [&](int i) { cross_entropy_backward(b.device(), g[i]); });
  b.measure("cross_entropy in one pass", shape, fused[0].cost(), 2, [&](int i) { cross_entropy_forward(b.device(), fused[i]); });
  b.free_all();
}

void run(const char* file) {
  auto device = Device::make(DeviceKind::cuda);
  Bench b(*device, file);
  ceilings(b);
  rmsnorm(b);
  routing(b);
  optimizer(b);
  product(b, "q_a|kv_a", kTokens, 1024, 1152, DType::bf16);
  product(b, "q_b", kTokens, 512, 1536, DType::bf16);
  product(b, "kv_b", kTokens, 512, 2048, DType::bf16);
  product(b, "o", kTokens, 1024, 1024, DType::bf16);
  product(b, "shared gate_up", kTokens, 1024, 1536, DType::bf16);
  product(b, "shared down", kTokens, 768, 1024, DType::bf16);
  product(b, "dense gate_up", kTokens, 1024, 5632, DType::bf16);
  product(b, "dense down", kTokens, 2816, 1024, DType::bf16);
  product(b, "head", 8192, 1024, 32768, DType::f32);
  head(b, 8192, 32768);
  head(b, 2048, 129280);
}

}  // namespace
}  // namespace ballast::ops

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: ops_bench FILE\n");
    return 2;
  }
  try {
    ballast::ops::run(argv[1]);
  } catch (const ballast::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
