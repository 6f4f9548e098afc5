#include "core/cpu_features.h"

#include <cpuid.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace ballast {
namespace {

bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned r[4];
  return __get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]) && (r[reg] >> bit & 1);
}
bool has_amx_bf16() { return cpuid_bit(7, 0, 3, 22); }
bool has_avx512_bf16() { return __builtin_cpu_supports("avx512f") && cpuid_bit(7, 1, 0, 5); }


constexpr const char* kTiers[] = {"baseline", "avx2", "avx512", "avx512_bf16", "amx_bf16"};

size_t best_tier() {
  if (has_amx_bf16()) return 4;
  if (has_avx512_bf16()) return 3;
  if (__builtin_cpu_supports("avx512f")) return 2;
  return __builtin_cpu_supports("avx2") ? 1 : 0;
}

size_t tier() {
  static const size_t chosen = [] {
    const char* limit = std::getenv("BALLAST_ISA");
    if (limit == nullptr || *limit == 0) return best_tier();
    const auto named = std::find(std::begin(kTiers), std::end(kTiers), std::string_view(limit));
    if (named == std::end(kTiers))
      fail(ErrorKind::usage, "BALLAST_ISA", "unknown instruction set '{}'; one of {}", limit, fmt::join(kTiers, ", "));
    return std::min(best_tier(), static_cast<size_t>(named - std::begin(kTiers)));
  }();
  return chosen;
}

}  // namespace

std::string cpu_isa() { return kTiers[tier()]; }
bool cpu_isa_is_limited() { return tier() < best_tier(); }
bool cpu_has_bf16_products() { return tier() >= 3; }

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

}  // namespace ballast
