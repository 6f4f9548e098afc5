#!/usr/bin/env bash
# Known mistakes of other programs' routers, planted into a scratch copy of the definitions that the ops run: each must turn
# the router's tests red, at the example that is there for it, and without one they must be green.
#   wrong_router_test.sh SOURCE_DIR BUILD_DIR    BUILD_DIR: a built release; its test objects and libraries are linked
set -eu
source=$1 build=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

mkdir -p "$scratch/ops"
cp -r "$source/src/ops/route" "$source/src/ops/balance_loss" "$scratch/ops"
cat >"$scratch/planted.h" <<'END'
#pragma once
#include <cstdlib>
#include <cstring>
inline bool planted(const char* mistake) {
  static const char* chosen = std::getenv("PLANTED");
  return chosen && std::strcmp(chosen, mistake) == 0;
}
END

# plant FILE SED: one edit, which must change something.
plant() {
  cp "$scratch/ops/$1" "$scratch/before"
  sed -i "$2" "$scratch/ops/$1"
  ! cmp -s "$scratch/before" "$scratch/ops/$1" || fail "nothing to plant in $1: $2"
}
route=route/ref.h loss=balance_loss/ref.h
for file in $route $loss; do plant "$file" '0,/^#include/s//#include "planted.h"\n#include/'; done
# vLLM #12002, transformers PR 41647
plant $route '/^bool route_row/,/^}/s/scores\[ids\[j\]\]/(planted("bias in the weights") \&\& a.bias ? scores[ids[j]] + a.bias.as<T>()[ids[j]] : scores[ids[j]])/g'
plant $route 's/group\[g\] = \(.*\) ? first : first + second;/group[g] = planted("group by its maximum") ? first : planted("V2'"'"'s group by its sum") ? first + second : \1 ? first : first + second;/'
# transformers before PR 45441, DeepSeek-V3 #741, vLLM #13474, SGLang #3705
plant $route 's/if (!kept\[e \/ per_group\]) taken\[e\] = 1;/if (!kept[e \/ per_group]) { if (planted("mask of zero")) c[e] = 0; else taken[e] = 1; }/'
# SGLang #37133
plant $route 's/scores\[e\] + a.bias.as<T>()\[e\] : scores\[e\]/scores[e] + (planted("bias in bf16") ? T(static_cast<float>(bf16(static_cast<float>(real_part(a.bias.as<T>()[e]))))) : a.bias.as<T>()[e]) : scores[e]/'
plant $loss 's/sum += scores.at<T>(t, e);/sum += planted("loss of softmax scores") ? scores.at<T>(t, e) \/ (T(1) - scores.at<T>(t, e)) : scores.at<T>(t, e);/'
plant $loss 's/mean\[e\] += a.scores.at<T>(t, e) \/ sum/mean[e] += (planted("loss of softmax scores") ? a.scores.at<T>(t, e) \/ (T(1) - a.scores.at<T>(t, e)) : a.scores.at<T>(t, e)) \/ sum/'
plant $route 's/^  return finite;/  for (int64_t e = 0; e < experts \&\& planted("loss of biased scores") \&\& a.bias; ++e) scores[e] += a.bias.as<T>()[e];\n  return finite;/'

# The scratch copies are found before the tree's.
compile() {
  "${CXX:-c++}" -std=c++20 -O1 -DNDEBUG -DHWY_COMPILE_ONLY_STATIC -I "$scratch" -I "$source/src" -I "$build/generated" \
    -c "$scratch/ops/$1.cc" -o "$scratch/$(basename "$1").o"
}
compile route/route & compile route/cpu & wait %1 && wait %2
compile balance_loss/balance_loss

# link OUT TEST_PROGRAM SUITE: the suite's object of a test program, ours before the libraries that CMake links it with.
link() {
  local object libraries
  object=$(find "$build" -path "*$2.dir*" -name "$3.cc.o" | head -1)
  libraries=$(sed -n "/^build $2:/,/^$/s/^  LINK_LIBRARIES = //p" "$build/build.ninja")
  [ -n "$object" ] && [ -n "$libraries" ] || fail "$2 is not built in $build"
  # shellcheck disable=SC2086
  (cd "$build" && "${CXX:-c++}" "$object" "$scratch"/{route,cpu,balance_loss}.o $libraries -o "$1")
}
link "$scratch/gates" ops_test route_test
link "$scratch/losses" train_test aux_loss_test

for test in gates losses; do
  "$scratch/$test" --gtest_brief=1 >"$scratch/log" 2>&1 || { tail -20 "$scratch/log"; fail "$test without a mistake"; }
done
# red TEST MISTAKE SHOWN: with the mistake the test fails and says so at SHOWN.
red() {
  ! PLANTED=$2 "$scratch/$1" --gtest_brief=1 >"$scratch/log" 2>&1 || fail "'$2' was not noticed"
  grep -q "$3" "$scratch/log" || { cat "$scratch/log"; fail "'$2' was not noticed where it should be: $3"; }
  echo "'$2' is found"
}
for mistake in "bias in the weights" "group by its maximum" "mask of zero" "bias in bf16" "V2's group by its sum"; do
  red gates "$mistake" "^$mistake\$"
done
for mistake in "loss of softmax scores" "loss of biased scores"; do red losses "$mistake" "AuxLoss"; done
