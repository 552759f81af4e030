#!/bin/sh
# The header against the ABI as released: abidiff(1) may report additions at the end
# of growable structs, nothing else.  abidiff_test.sh HEADER_DIR [--write]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command -v abidw >/dev/null || { echo "SLUICE-SKIPPED: abidw (abigail-tools) is not installed"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp "$here/abi_types.c" "$tmp/"
cd "$tmp"
cc -g -std=c11 -shared -fPIC -I"$1" -fdebug-prefix-map="$1"=include -fdebug-prefix-map="$tmp"=. -o types.so abi_types.c
abidw --no-comp-dir-path --no-corpus-path --no-show-locs types.so >types.abi
if [ "${2:-}" = --write ]; then cp types.abi "$here/plugin_v1_0.abi"; exit 0; fi
abidiff --no-default-suppression "$here/plugin_v1_0.abi" types.abi
