#include "ops/gemm_cuda.h"

#include <cublasLt.h>

#include <algorithm>
#include <vector>

#include "core/cuda_check.h"

#define CUBLAS_CHECK(call)                                                                                    \
  do {                                                                                                        \
    const cublasStatus_t cublas_check_status_ = (call);                                                       \
    if (cublas_check_status_ != CUBLAS_STATUS_SUCCESS)                                                        \
      ::ballast::fail(::ballast::ErrorKind::device, "cuBLASLt", "{} at {}:{}: {}", #call, __FILE__, __LINE__, \
                      cublasLtGetStatusName(cublas_check_status_));                                           \
  } while (false)

namespace ballast::ops::cuda {
namespace {

cudaDataType_t data_type(DType t) {
  if (t != DType::f32 && t != DType::bf16)
    fail(ErrorKind::unsupported, "cuBLASLt", "no product of dtype {}", name_of(t));
  return t == DType::f32 ? CUDA_R_32F : CUDA_R_16BF;
}

// Largest power of two, up to 256, that divides the address: what the heuristic may assume about vector loads.
int64_t alignment(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  int64_t a = 256;
  while (address % static_cast<uintptr_t>(a) != 0) a /= 2;
  return a;
}

cudaStream_t stream_of(const Device& device) { return static_cast<cudaStream_t>(device.stream()); }

template <class T, class Attribute>
void set(cublasLtMatmulPreference_t preference, Attribute attribute, T value) {
  CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)));
}

}  // namespace

struct LtGemm::Library {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  Library() {
    CUBLAS_CHECK(cublasLtCreate(&handle));
    CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Workspace::kBytes);
    // Split-K partial sums go through the workspace and are added in a fixed order; in place, the order is the
    // scheduler's.
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  }
  ~Library() {
    cublasLtMatmulPreferenceDestroy(preference);
    cublasLtDestroy(handle);
  }
};

struct LtGemm::Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  std::vector<cublasLtMatmulHeuristicResult_t> candidates;
  int chosen = 0;

  explicit Plan(const Gemm& g) {
    const cublasOperation_t op_a = g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                            op_b = g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    CUBLAS_CHECK(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof(op_a)));
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof(op_b)));
    const auto layout = [](cublasLtMatrixLayout_t* l, DType t, bool transposed, int64_t rows, int64_t columns,
                           int64_t ld) {
      if (transposed) std::swap(rows, columns);
      CUBLAS_CHECK(
          cublasLtMatrixLayoutCreate(l, data_type(t), static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld));
    };
    layout(&a, g.input, g.transpose_a, g.m, g.k, g.lda);
    layout(&b, g.input, g.transpose_b, g.k, g.n, g.ldb);
    layout(&d, g.output, false, g.m, g.n, g.ldd);
  }
  ~Plan() {
    cublasLtMatrixLayoutDestroy(a);
    cublasLtMatrixLayoutDestroy(b);
    cublasLtMatrixLayoutDestroy(d);
    cublasLtMatmulDescDestroy(product);
  }
};

LtGemm::LtGemm(Device& device) : device_(device), workspace_(device.state<Workspace>()) {
  if (capturing(device))
    fail(ErrorKind::device, "linear",
         "the first matrix product of a stream makes the library's handle: run the step once "
         "before capturing it");
  library_ = std::make_unique<Library>();
}

LtGemm::~LtGemm() = default;

void LtGemm::choose(Plan& plan, const Gemm& g) {
  const auto preference = library_->preference;
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(alignment(g.a)));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(alignment(g.b)));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(alignment(g.d)));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(alignment(g.d)));
  plan.candidates.resize(kCandidates);
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(library_->handle, plan.product, plan.a, plan.b, plan.d, plan.d, preference,
                                     kCandidates, plan.candidates.data(), &found);
  plan.candidates.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(found) : 0);
  std::erase_if(plan.candidates, [](const auto& c) { return c.state != CUBLAS_STATUS_SUCCESS; });
  if (plan.candidates.empty())
    fail(ErrorKind::unsupported, "linear",
         "cuBLASLt ({}) has no algorithm with a fixed order of sums for {} x {} x {}, {} to {}",
         cublasLtGetStatusName(status), g.m, g.n, g.k, name_of(g.input), name_of(g.output));
}

void LtGemm::launch(const Plan& plan, const Gemm& g, int candidate, void* d) {
  const float one = 1, beta = g.accumulate ? 1 : 0;
  CUBLAS_CHECK(cublasLtMatmul(library_->handle, plan.product, &one, g.a, plan.a, g.b, plan.b, &beta, g.d, plan.d, d,
                              plan.d, &plan.candidates[static_cast<size_t>(candidate)].algo, workspace_.data(),
                              Workspace::kBytes, stream_of(device_)));
}

// The median of five, into memory of its own: an accumulating product must run once.
void LtGemm::time_candidates(Plan& plan, const Gemm& g) {
  constexpr int kRuns = 5;
  const Buffer scratch(device_, static_cast<size_t>(g.ldd * g.n) * size_of(g.output));
  cudaEvent_t begin, end;
  CUDA_CHECK(cudaEventCreate(&begin));
  CUDA_CHECK(cudaEventCreate(&end));
  float best = 0;
  for (int c = 0; c < static_cast<int>(plan.candidates.size()); ++c) {
    std::array<float, kRuns> ms;
    launch(plan, g, c, scratch.data());
    for (float& t : ms) {
      CUDA_CHECK(cudaEventRecord(begin, stream_of(device_)));
      launch(plan, g, c, scratch.data());
      CUDA_CHECK(cudaEventRecord(end, stream_of(device_)));
      CUDA_CHECK(cudaEventSynchronize(end));
      CUDA_CHECK(cudaEventElapsedTime(&t, begin, end));
    }
    std::sort(ms.begin(), ms.end());
    if (c == 0 || ms[kRuns / 2] < best) {
      best = ms[kRuns / 2];
      plan.chosen = c;
    }
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
}

LtGemm::Plan& LtGemm::plan_for(const Gemm& g) {
  const int64_t flags = int64_t{g.transpose_a} | int64_t{g.transpose_b} << 1 | int64_t{g.accumulate} << 2;
  const Key key{g.m,
                g.n,
                g.k,
                g.lda,
                g.ldb,
                g.ldd,
                flags,
                static_cast<int64_t>(g.input),
                static_cast<int64_t>(g.output),
                alignment(g.a),
                alignment(g.b),
                alignment(g.d),
                tune};
  std::unique_ptr<Plan>& plan = plans_[key];
  if (!plan) {
    auto made = std::make_unique<Plan>(g);
    choose(*made, g);
    if (tune && !capturing(device_)) time_candidates(*made, g);
    plan = std::move(made);
  }
  return *plan;
}

void LtGemm::run(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) {  // an empty sum
    if (!g.accumulate)
      CUDA_CHECK(cudaMemset2DAsync(g.d, static_cast<size_t>(g.ldd) * size_of(g.output), 0,
                                   static_cast<size_t>(g.m) * size_of(g.output), static_cast<size_t>(g.n),
                                   stream_of(device_)));
    return;
  }
  const Plan& plan = plan_for(g);
  launch(plan, g, plan.chosen, g.d);
}

}  // namespace ballast::ops::cuda
