#!/bin/bash
# page.sh MODULE SOURCE OUT: builds wasm/page with the packages of its lock file (Vite, TypeScript) in SOURCE and puts it, with the
# module bantam.wasm, into OUT.
set -euo pipefail
[ $# -eq 3 ] || { sed -n 2,3p "$0" >&2; exit 2; }
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$2" "$3"
module="$(realpath "$1")" source="$(realpath "$2")" out="$(realpath "$3")"
cp -r "$here"/page/. "$source/"
cd "$source"
if ! cmp -s package-lock.json installed-lock.json; then
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
  cp package-lock.json installed-lock.json
fi
npm run --silent build -- --outDir "$out" --logLevel warn
cp "$module" "$out/bantam.wasm"
