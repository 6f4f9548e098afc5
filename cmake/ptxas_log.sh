#!/bin/sh
# Compiler launcher of the CUDA sources: what the compiler says of an object goes to OBJECT.ptxas, which
# tests/gpu/ptxas_test.cc reads. ptxas's reports are not repeated on the terminal; warnings and errors are.
object=""
previous=""
for argument in "$@"; do
  [ "$previous" = "-o" ] && object=$argument
  previous=$argument
done
[ -n "$object" ] || exec "$@"
"$@" 2>"$object.ptxas"
status=$?
grep -v -E '^ptxas info|^ +[0-9]+ bytes stack frame' "$object.ptxas" >&2
exit $status
