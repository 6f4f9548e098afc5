#include <fmt/format.h>

#include "base/version.h"
#include "cli/commands.h"
#include "core/cpu_features.h"
#include "core/device_cuda.h"
#include "dist/mpi.h"
#include "ops/cpu_backend.h"

namespace ballast::cli {

std::string version_text() {
  return fmt::format(
      "ballast {}\n"
      "commit   {}\n"
      "build    {}, {}\n"
      "CPU      {}, {}\n"
      "kernels  built for {}; here {}\n"
      "oneDNN   {}; here {}\n"
      "CUDA     {}\n"
      "MPI      {}\n",
      build_version(), build_commit(), build_type(), build_compiler(), cpu_model(), cpu_isa(),
      fmt::join(ops::simd_tiers(), ", "), ops::simd_tier(), ops::onednn_version(), ops::onednn_tier(), cuda_summary(), built_with_mpi() ? "built in" : "not built in");
}

}  // namespace ballast::cli
