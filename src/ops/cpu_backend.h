// What the CPU kernels of this build are made of, for `ballast --version` and bug reports; and the limit on it.
#pragma once

#include <string>
#include <vector>

namespace ballast::ops {

// Makes the SIMD kernels and oneDNN keep to cpu_isa() where BALLAST_ISA limits it. Before the first op of the process.
void limit_isa();

std::vector<std::string> simd_tiers();  // Highway's targets compiled into every kernel, best first: "AVX3", "AVX2", ...
std::string simd_tier();                // the one of them that runs on this CPU
std::string onednn_version();           // of the library that is loaded: "2.6.3 (OpenMP)"
std::string onednn_tier();              // the best instruction set that it may use here: "avx512_core_amx"

}  // namespace ballast::ops
