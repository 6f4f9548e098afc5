// What the CPU kernels of this build are made of, for `ballast --version` and bug reports.
#pragma once

#include <string>
#include <vector>

namespace ballast::ops {

std::vector<std::string> simd_tiers();  // Highway's targets compiled into every kernel, best first: "AVX3", "AVX2", ...
std::string simd_tier();                // the one of them that runs on this CPU
std::string onednn_version();           // of the library that is loaded: "2.6.3 (OpenMP)"
std::string onednn_tier();              // the best instruction set that it may use here: "avx512_core_amx"

}  // namespace ballast::ops
