#!/usr/bin/env bash
# The op contract on a GPU: parity of every op with a CUDA backend, one captured graph with changing scalars and routing,
# compute-sanitizer over both. Usage: bench/gpu/contract.sh BUILD_DIR [LIBRARY_DIR]
#   BUILD_DIR    where `cmake --preset cuda && cmake --build --preset cuda --target parity_test graph_test` built
#   LIBRARY_DIR  shared libraries of the build machine (libdnnl, libfmt, libhwy), if this one lacks them
set -u
build=${1:?usage: bench/gpu/contract.sh BUILD_DIR [LIBRARY_DIR]}
[ $# -gt 1 ] && export LD_LIBRARY_PATH="$2:${LD_LIBRARY_PATH:-}"
export BALLAST_DEVICE=cuda
failed=0
run() { echo "== $*"; "$@" || { failed=1; echo "FAILED: $*"; }; }

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader
run "$build/parity_test" --gtest_filter='Ops/*' --gtest_brief=1
run "$build/graph_test" --gtest_brief=1
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    run compute-sanitizer --tool $tool --error-exitcode 1 --print-limit 3 "$build/graph_test" --gtest_brief=1
  done
  run compute-sanitizer --tool memcheck --error-exitcode 1 --print-limit 3 "$build/parity_test" \
      --gtest_filter='Ops/*rmsnorm*:Ops/*route*:Ops/*permute*:Ops/*adamw*' --gtest_brief=1
  run compute-sanitizer --tool racecheck --error-exitcode 1 --print-limit 3 "$build/parity_test" \
      --gtest_filter='Ops/*rmsnorm*:Ops/*route*:Ops/*permute*:Ops/*adamw*' --gtest_brief=1
else
  echo "compute-sanitizer is not installed: memory and race checks were not run"
fi
[ $failed = 0 ] && echo "contract: okay" || echo "contract: FAILED"
exit $failed
