#!/usr/bin/env bash
# Twenty seconds of libFuzzer for every parser. Skipped (77) where there is no clang-16.
set -eu
cd "$1"
if ! command -v clang++-16 >/dev/null; then
  echo "skipped: no clang++-16 (Debian: clang-16, libclang-rt-16-dev)"
  exit 77
fi
cmake --preset fuzz >build/configure-fuzz.log || { cat build/configure-fuzz.log; exit 1; }
cmake --build --preset fuzz
exec fuzz/run "${2:-20}"
