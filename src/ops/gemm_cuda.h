// Dense products on CUDA through cuBLASLt: sums in f32 (no TF32), one workspace, no reduction scheme whose order could
// change, so equal calls give equal bits. An algorithm is chosen once per shape, layout, alignment and type.
#pragma once

#include <array>
#include <map>
#include <memory>

#include "core/device.h"
#include "ops/gemm.h"
#include "ops/workspace_cuda.h"

namespace ballast::ops::cuda {

// One per device and stream: device.state<LtGemm>().
class LtGemm {
 public:
  static constexpr int kCandidates = 8;

  // Allocates, so it must not be the first call of a stream capture: run the step once before it is captured.
  explicit LtGemm(Device& device);
  ~LtGemm();

  void run(const Gemm& g);

  // When on, a shape met for the first time outside of a capture times the heuristic's candidates and keeps the
  // fastest. Off, the heuristic's first is taken: the bits then do not depend on timing.
  bool tune = false;
  size_t plans() const { return plans_.size(); }

 private:
  struct Plan;
  struct Library;
  using Key = std::array<int64_t, 13>;
  Plan& plan_for(const Gemm& g);
  void choose(Plan& plan, const Gemm& g);
  void time_candidates(Plan& plan, const Gemm& g);
  void launch(const Plan& plan, const Gemm& g, int candidate, void* d);

  Device& device_;
  Workspace& workspace_;
  std::unique_ptr<Library> library_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace ballast::ops::cuda
