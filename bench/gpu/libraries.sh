# Sourced with the folder of the build machine's libraries, or "": finds what the CUDA programs load. cuBLASLt comes from
# the CUDA toolkit or from the wheel that torch brings.
[ -n "$1" ] && export LD_LIBRARY_PATH="$1:${LD_LIBRARY_PATH:-}"
if ! ldconfig -p | grep -q libcublasLt.so.13; then
  wheels=$(python3 -c 'import nvidia, os; print("\n".join(nvidia.__path__))' 2>/dev/null)
  for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib $(printf '%s/cu13/lib\n%s/cublas/lib\n' $wheels $wheels); do
    if [ -e "$folder/libcublasLt.so.13" ]; then
      export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}:$folder"
      echo "cuBLASLt: $folder"
      break
    fi
  done
fi
