#!/usr/bin/env bash
# docs/add-a-rule.md and docs/add-a-policy.md, followed to the letter in a scratch folder: the file in the page is put where the
# page says, the page's commands are run, the new name must be among the tests, editing the file again must rebuild quickly,
# and a wrong version of it must turn the tests red.
#   extend_test.sh SOURCE_DIR BUILD_DIR    BUILD_DIR: a built release; its libraries of the floors below `model` are linked
set -eu
source=$1 build=$2
limit=20  # seconds of processor time for a rebuild
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CCACHE_DISABLE=1

# The checkout, with the sources of `model` and only the headers of the rest.
cp -r "$source/CMakeLists.txt" "$source/CMakePresets.json" "$source/cmake" "$scratch"
mkdir "$scratch/tools" "$scratch/tests"
cp "$source/tools/packages.txt" "$scratch/tools"
ln -s "$source/tests/golden" "$scratch/tests/golden"
ln -s "$source/configs" "$scratch/configs"
(cd "$source" && find src -name '*.h' -exec cp --parents {} "$scratch" \;)
cp -r "$source/src/model" "$scratch/src"
library() { sed -n "s/^$1_LIBRARY:[A-Z]*=//p" "$build/CMakeCache.txt"; }
floors="$build/libballast_formats.a $build/libballast_ops.a $build/libballast_core.a $build/libballast_base.a
  $(library DNNL) $(library HWY) $(library CRYPTO) $(library FMT) -lgomp"
cd "$scratch"
cmake --preset release -DBALLAST_BENCH=OFF -DCMAKE_CXX_STANDARD_LIBRARIES="$(tr '\n' ' ' <<<"$floors")" >configure.log || { cat configure.log; exit 1; }
cmake --build build/release --target model_test >build.log || { tail -40 build.log; exit 1; }

# The block of the page that begins with ```$2, without its fences; the last one wins.
block() { awk -v open="\`\`\`$2" '$0 == open {on = 1; text = ""; next} $0 == "```" {on = 0} on {text = text $0 "\n"}
                                  END {printf "%s", text}' "$1"; }
fail() { echo "FAILED: $*"; exit 1; }

# follow PAGE SUITE WRONG: WRONG is a sed expression that breaks the file of the page.
follow() {
  local page=$source/docs/$1.md suite=$2 wrong=$3 file name
  file=$(sed -n 's/^`\(src\/model\/moe\/.*\.h\)`:$/\1/p' "$page")
  name=$(basename "$file" .h)
  [ -n "$file" ] && [ ! -e "$file" ] || fail "$1: no new file is named in the page"
  block "$page" cpp >"$file"
  block "$page" sh >commands.sh
  grep -q "$suite" commands.sh || fail "$1: the page does not run $suite"
  bash -e commands.sh >commands.log 2>&1 || { tail -40 commands.log; fail "$1: the page's commands"; }
  build/release/model_test --gtest_list_tests | grep -q "/$name\b" || fail "$1: no test covers $name"

  sed -i 's/kHelp = "/kHelp = "edited: /' "$file"
  local TIMEFORMAT='%U %S' seconds
  seconds=$({ time cmake --build build/release --target model_test >build.log; } 2>&1 | tail -1 | awk '{printf "%.0f", $1 + $2}')
  echo "$1: rebuilt after an edit in $seconds s of processor time"
  [ "$seconds" -le "$limit" ] || fail "$1: more than $limit s"

  sed -i "$wrong" "$file"
  cmake --build build/release --target model_test >build.log || { tail -40 build.log; fail "$1: the wrong version does not build"; }
  ! build/release/model_test --gtest_filter="*$suite*/$name" --gtest_brief=1 >wrong.log 2>&1 || fail "$1: a wrong $name passed"
  echo "$1: $(basename "$file") works, and a wrong one is found"
}
follow add-a-rule EveryRule 's/bias\[k\] += /bias[k] -= /'
follow add-a-policy EveryPolicy 's/double tau = 0;/double tau = 0.5;/'
