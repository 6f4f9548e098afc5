#include "core/cpu_features.h"

#include <cpuid.h>

#include <fstream>

namespace ballast {
namespace {

bool cpuid_bit(unsigned leaf, unsigned subleaf, int reg, int bit) {
  unsigned r[4];
  return __get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]) && (r[reg] >> bit & 1);
}
bool has_amx_bf16() { return cpuid_bit(7, 0, 3, 22); }
bool has_avx512_bf16() { return __builtin_cpu_supports("avx512f") && cpuid_bit(7, 1, 0, 5); }

}  // namespace

bool cpu_has_bf16_products() { return has_avx512_bf16() || has_amx_bf16(); }

std::string cpu_isa() {
  if (has_amx_bf16()) return "amx_bf16";
  if (has_avx512_bf16()) return "avx512_bf16";
  if (__builtin_cpu_supports("avx512f")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  return "baseline";
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

}  // namespace ballast
