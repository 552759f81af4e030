#!/bin/sh
# The header against its minor of the ABI as released: nothing differs (abidiff(1)).  What older
# minors had is pinned by plugin_layout_v1.c, member by member.
# abidiff_test.sh HEADER_DIR [--write]; --write: the minor is a new one
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v abidw >/dev/null || { echo "SLUICE-SKIPPED: abidw (abigail-tools) is not installed"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp "$here/abi_types.c" "$tmp/"
cd "$tmp"
cc -g -std=c11 -shared -fPIC -I"$1" -fdebug-prefix-map="$1"=include -fdebug-prefix-map="$tmp"=. -o types.so abi_types.c
abidw --no-comp-dir-path --no-corpus-path --no-show-locs types.so >types.abi
minor=$(sed -n 's/^#define SLUICE_ABI_MINOR \([0-9]*\)u$/\1/p' "$1/sluice/plugin.h")
newest=$here/plugin_v1_$minor.abi
if [ "${2:-}" = --write ]; then cp types.abi "$newest"; exit 0; fi
abidiff --no-default-suppression "$newest" types.abi
