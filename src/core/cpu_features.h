// What this CPU can do, for choosing kernels and for run records.
#pragma once

#include <string>

namespace ballast {

// The best of "amx_bf16", "avx512_bf16", "avx512", "avx2" and "baseline" that this CPU has and the environment variable
// BALLAST_ISA, which holds one of these words, allows. Throws Error{usage} where it holds another.
std::string cpu_isa();
bool cpu_isa_is_limited();     // by BALLAST_ISA; the kernels follow after ops::limit_isa()
bool cpu_has_bf16_products();  // AVX512-BF16 or AMX-BF16, and allowed
std::string cpu_model();       // "AMD EPYC 9B45"

}  // namespace ballast
