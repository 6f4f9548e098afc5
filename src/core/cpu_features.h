// What this CPU can do, for choosing kernels and for run records.
#pragma once

#include <string>

namespace ballast {

bool cpu_has_bf16_products();  // AVX512-BF16 or AMX-BF16
std::string cpu_isa();         // the best of "amx_bf16", "avx512_bf16", "avx512", "avx2", "baseline"
std::string cpu_model();       // "AMD EPYC 9B45"

}  // namespace ballast
