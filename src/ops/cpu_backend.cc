#include "ops/cpu_backend.h"

#include <fmt/format.h>
#include <hwy/highway.h>
#include <oneapi/dnnl/dnnl.hpp>

#include "base/error.h"
#include "core/cpu_features.h"

namespace ballast::ops {

void limit_isa() {
  if (!cpu_isa_is_limited()) return;
  const std::string isa = cpu_isa();
  const bool avx512 = isa.starts_with("avx512");
  constexpr int64_t kAvx512 = HWY_AVX3 | HWY_AVX3_DL, kAbove = kAvx512 | HWY_AVX2 | HWY_SSE4 | HWY_SSSE3;
  if (!avx512) hwy::DisableTargets(isa == "avx2" ? kAvx512 : kAbove);
  const auto most = isa == "avx512_bf16" ? dnnl::cpu_isa::avx512_core_bf16
                    : avx512             ? dnnl::cpu_isa::avx512_core
                    : isa == "avx2"      ? dnnl::cpu_isa::avx2
                                         : dnnl::cpu_isa::sse41;
  CHECK(dnnl::set_max_cpu_isa(most) == dnnl::status::success);  // else an op came before
}

std::vector<std::string> simd_tiers() {
  std::vector<std::string> names;
  // A lower bit is a better target.
  for (uint64_t left = HWY_TARGETS; left != 0; left &= left - 1)
    names.emplace_back(hwy::TargetName(static_cast<int64_t>(left & -left)));
  return names;
}

std::string simd_tier() {
  const uint64_t usable = HWY_TARGETS & static_cast<uint64_t>(hwy::SupportedTargets());
  return hwy::TargetName(static_cast<int64_t>(usable & -usable));
}

std::string onednn_version() {
  const dnnl_version_t& v = *dnnl::version();
  const char* runtime = v.cpu_runtime == DNNL_RUNTIME_OMP   ? "OpenMP"
                        : v.cpu_runtime == DNNL_RUNTIME_TBB ? "TBB"
                        : v.cpu_runtime == DNNL_RUNTIME_SEQ ? "sequential"
                                                            : "other threads";
  return fmt::format("{}.{}.{} ({})", v.major, v.minor, v.patch, runtime);
}

std::string onednn_tier() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "sse41";
    case dnnl::cpu_isa::avx: return "avx";
    case dnnl::cpu_isa::avx2: return "avx2";
    case dnnl::cpu_isa::avx2_vnni: return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core: return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx: return "avx512_core_amx";
    default: return "its best";
  }
}

}  // namespace ballast::ops
