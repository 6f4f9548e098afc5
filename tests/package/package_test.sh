#!/usr/bin/env bash
# The installed program works away from its source tree, by `cmake --install` and as a Debian package.
#   package_test.sh SOURCE BUILD
# Needs the program built. What has no tool here (dpkg-deb, dpkg, lintian) is said and left out.
set -eu
source=$(cd "$1" && pwd)
build=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "package_test: $*" >&2; exit 1; }

# The program at $1/bin/ballast and the files beside it, used as somebody without the source tree would.
check_installed() {
  local prefix=$1 zsh=$2 ballast=$1/bin/ballast shell file
  away() { (cd / && env -i HOME=/nonexistent PATH=/usr/bin:/bin "$ballast" "$@"); }
  [ "$(away --version | head -1)" = "$("$build/ballast" --version | head -1)" ] ||
    fail "another version in $prefix"
  away verify | tail -1 | grep -qx okay || fail "verify does not pass in $prefix"
  away roofline "$prefix/share/ballast/configs/deepseek-v3.json" >/dev/null || fail "roofline in $prefix"
  [ -n "$(away generate -p 'def read(' -n 4 2>/dev/null)" ] || fail "no model that comes with the program in $prefix"
  for file in bash:bash-completion/completions/ballast "zsh:$zsh/_ballast" fish:fish/vendor_completions.d/ballast.fish; do
    shell=${file%%:*} file=$prefix/share/${file#*:}
    cmp -s "$file" <("$build/ballast" completion "$shell") || fail "$file is not what the program prints"
  done
  for file in README.md docs/guide.md; do [ -s "$prefix/share/doc/ballast/$file" ] || fail "no $file in $prefix"; done
}

echo "== cmake --install"
cmake --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; fail "cmake --install"; }
check_installed "$work/prefix" zsh/site-functions
[ -s "$work/prefix/share/doc/ballast/LICENSE" ] || fail "no license"
# Paths of the tree may stand in the messages of failed checks, and nowhere else.
if grep -aoE "$source/[[:graph:]]+" "$work/prefix/bin/ballast" | grep -vE '\.(cc|h|cu)(:|$)' | head -3 | grep .; then
  fail "the program names files of its source tree"
fi

if ! command -v dpkg-deb >/dev/null || ! command -v dpkg-shlibdeps >/dev/null; then
  echo "package_test: no dpkg-dev here: no package"
  exit 77
fi
echo "== cpack"
(cd "$build" && cpack -G DEB -B "$work/package") >"$work/log" 2>&1 || { cat "$work/log"; fail "cpack"; }
deb=$(echo "$work"/package/ballast_*.deb)
field() { dpkg-deb -f "$deb" "$1"; }
[ "$(field Package)" = ballast ] || fail "package $(field Package)"
[ "$(field Version)" = "$("$build/ballast" --version | sed -n '1s/ballast //p')" ] || fail "version $(field Version)"
[ "$(field Architecture)" = "$(dpkg --print-architecture)" ] || fail "architecture $(field Architecture)"
[ "$(field Section)" = science ] || fail "section $(field Section)"
for library in libc6 libdnnl libfmt libhwy liblzma libpcre2-8-0 libssl; do
  field Depends | grep -qE "(^|, )$library" || fail "does not depend on $library: $(field Depends)"
done
dpkg-deb -c "$deb" >"$work/contents"
grep -q '\./usr/share/doc/ballast/copyright$' "$work/contents" || fail "no copyright file"
if awk '{print $2}' "$work/contents" | grep -v '^root/root$'; then fail "files that are not root's"; fi
echo "$(basename "$deb"): $(stat -c %s "$deb") bytes; depends on $(field Depends)"

if [ "$(id -u)" = 0 ]; then
  # Only this package is in the scratch root; its libraries are this machine's.
  echo "== dpkg --install"
  mkdir -p "$work"/root/var/lib/dpkg/{info,updates,triggers}
  touch "$work/root/var/lib/dpkg/status"
  if ! dpkg --root="$work/root" --force-depends --install "$deb" >"$work/log" 2>&1; then
    cat "$work/log"
    fail "dpkg --install"
  fi
  dpkg --root="$work/root" -s ballast | grep -qx 'Status: install ok installed' || fail "not installed"
  [ -z "$(dpkg --root="$work/root" --verify ballast)" ] || fail "files differ from their checksums"
  check_installed "$work/root/usr" zsh/vendor-completions
  dpkg --root="$work/root" --purge ballast >/dev/null 2>&1 || fail "dpkg --purge"
  [ -z "$(find "$work/root/usr" -type f 2>/dev/null)" ] || fail "purging leaves files: $(find "$work/root/usr" -type f)"
else
  echo "== dpkg-deb --extract (dpkg --install needs root)"
  dpkg-deb --extract "$deb" "$work/root"
  check_installed "$work/root/usr" zsh/vendor-completions
fi

if command -v lintian >/dev/null; then
  echo "== lintian"
  # There is no manual page: `ballast help COMMAND` is written from the same declarations as the flags are.
  lintian --allow-root --suppress-tags no-manual-page --fail-on error,warning "$deb"
else
  echo "== no lintian here"
fi
echo okay
