#!/usr/bin/env bash
# The op contract on a GPU: parity of every op with a CUDA backend, captured graphs with changing scalars and routing,
# compute-sanitizer over them. Usage: bench/gpu/contract.sh BUILD_DIR [LIBRARY_DIR]
#   BUILD_DIR    where `cmake --preset cuda && cmake --build --preset cuda --target parity_test graph_test` built
#   LIBRARY_DIR  shared libraries of the build machine (libdnnl, libfmt, libhwy), if this one lacks them
set -u
build=${1:?usage: bench/gpu/contract.sh BUILD_DIR [LIBRARY_DIR]}
. "$(dirname "$0")/libraries.sh" "${2:-}"
export BALLAST_DEVICE=cuda
failed=0
run() { echo "== ${SECONDS} s: $*"; "$@" || { failed=1; echo "FAILED: $*"; }; }
sanitize() { run compute-sanitizer --tool "$1" --error-exitcode 1 --print-limit 3 "${@:2}" --gtest_brief=1; }

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv,noheader
run "$build/parity_test" --gtest_filter='Ops/*' --gtest_brief=1
run "$build/graph_test" --gtest_brief=1
if command -v compute-sanitizer >/dev/null; then
  # The library's kernels (suite LibraryGraph, op linear) synchronise through the asynchronous proxy, which racecheck and
  # synccheck misread; for them the memory checker alone counts.
  own='Ops/*/rmsnorm_*:Ops/*/route_*:Ops/*/permute_*:Ops/*/adamw_*:Ops/*/cross_entropy_*'
  sanitize memcheck "$build/graph_test"
  sanitize memcheck "$build/parity_test" --gtest_filter="$own:Ops/*/linear_*"
  sanitize racecheck "$build/parity_test" --gtest_filter="$own"
  for tool in racecheck initcheck synccheck; do
    sanitize $tool "$build/graph_test" --gtest_filter='Graph.*'
  done
  sanitize initcheck "$build/parity_test" --gtest_filter='Ops/*/cross_entropy_*'
  sanitize synccheck "$build/parity_test" --gtest_filter='Ops/*/cross_entropy_*'
else
  echo "compute-sanitizer is not installed: memory and race checks were not run"
fi
[ $failed = 0 ] && echo "contract: okay" || echo "contract: FAILED"
exit $failed
