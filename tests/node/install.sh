#!/bin/bash
# install.sh SOURCE TARGET: copies the scripts of SOURCE to TARGET and puts beside them the packages of SOURCE/package-lock.json
# and `node`, the Node that runs them.
# No package's own script runs, and optional packages (GPU builds) stay away. Debian 12 brings Node 18; where the machine's is
# older than 22, one from the registry's node-linux-* packages is put beside the others.
set -euo pipefail
source="$1" target="$2" fallback="22.23.3"

mkdir -p "$target"
cp "$source"/*.mjs "$target/"
if [ -e "$target/node" ] && cmp -s "$source/package-lock.json" "$target/installed-lock.json"; then exit 0; fi
rm -f "$target/node" "$target/installed-lock.json"
cp "$source/package.json" "$source/package-lock.json" "$target/"
quiet=(--ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error)
# Not `npm ci`: npm 11 refuses a lock without the optional packages of other systems, which npm itself leaves out of it. `install`
# takes the versions and hashes of the lock all the same.
(cd "$target" && npm install --no-save "${quiet[@]}")
cmp "$source/package-lock.json" "$target/package-lock.json"

if [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 22 ]; then
  ln -s "$(command -v node)" "$target/node"
else
  case "$(uname -m)" in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) echo "no Node 22 for $(uname -m)" >&2; exit 1 ;; esac
  mkdir -p "$target/node-runtime"
  (cd "$target/node-runtime" && npm install "${quiet[@]}" --no-save --prefix . "node-linux-$arch@$fallback")
  ln -s "$target/node-runtime/node_modules/node-linux-$arch/bin/node" "$target/node"
fi
"$target/node" --version
cp "$source/package-lock.json" "$target/installed-lock.json"
