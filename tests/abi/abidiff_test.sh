#!/bin/sh
# The header against each minor of the ABI as released: to the newest it is equal, to older
# ones growable structs have something more at their end, and nothing else differs
# (abidiff(1)).  abidiff_test.sh HEADER_DIR [--write]: the newest, of a minor not yet released
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
cat >grows <<'EOF'
[suppress_type]
  type_kind = struct
  name_regexp = ^sluice_(plugin|host|flow_info|probe_input|field|field_form|event)$
  has_data_member_inserted_at = end
EOF
abidiff --no-default-suppression "$newest" types.abi
for older in "$here"/plugin_v1_*.abi; do
  [ "$older" = "$newest" ] || abidiff --no-default-suppression --suppressions grows "$older" types.abi
done
