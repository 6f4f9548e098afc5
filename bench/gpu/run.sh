#!/usr/bin/env bash
# One run on a GPU, at most nine minutes: the contract, the table of ops over two ceilings beside torch.
# Usage: bench/gpu/run.sh BUILD_DIR OUT_DIR [LIBRARY_DIR]     (BUILD_DIR needs ops_bench beside contract.sh's programs)
# OUT_DIR gets contract.log, ops.tsv, ops.log, gpu-ops.md.
set -u
build=${1:?usage: bench/gpu/run.sh BUILD_DIR OUT_DIR [LIBRARY_DIR]}
out=${2:?usage: bench/gpu/run.sh BUILD_DIR OUT_DIR [LIBRARY_DIR]}
here=$(dirname "$0")
. "$here/libraries.sh" "${3:-}"
mkdir -p "$out"
failed=0
# The table first: a slow checker must not cost it.
timeout 120 "$build/ops_bench" "$out/ops.tsv" >"$out/ops.log" 2>&1 || { failed=1; echo "FAILED: ops_bench"; tail -5 "$out/ops.log"; }
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw --format=csv,noheader >>"$out/ops.log"
if [ -s "$out/ops.tsv" ]; then
  timeout 150 python3 "$here/torch_ops.py" "$out/ops.tsv" "$out/gpu-ops.md" 2>>"$out/ops.log" || { failed=1; echo "FAILED: torch_ops.py"; cat "$out/ops.log"; }
fi
timeout $((530 - SECONDS)) "$here/contract.sh" "$build" ${3:+"$3"} >"$out/contract.log" 2>&1 || { failed=1; echo "FAILED: contract"; }
grep -E '^==|FAILED|error|ERROR SUMMARY|PASSED|contract:|allowed' "$out/contract.log" | tail -60
[ $failed = 0 ] && echo "run: okay" || echo "run: FAILED"
exit $failed
