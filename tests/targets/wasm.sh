#!/bin/bash
# wasm.sh NATIVE-BIN WASM-BUILD PAGE NODE-FOLDER SCRATCH: the kernels' tests of the WebAssembly build under Node, 100 greedy tokens of
# its engine beside the native one's for each tensor type under Node, then the page in Chromium: the same tokens from an address and
# from a file, a conversation with a chat model, errors. PAGE is what Vite built, with bantam.wasm in it. Prints what ran; fails at
# the first difference.
set -euo pipefail
[ $# -eq 5 ] || { sed -n 2,5p "$0" >&2; exit 2; }
native="$1" wasm="$2" page="$3" packages="$4" scratch="$5"
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$scratch" "$packages"
packages="$(realpath "$packages")"
"$here/../node/install.sh" "$here/browser" "$packages"
node="$packages/node"

echo "wasm: kernels_test"
"$node" --no-warnings "$here/wasi.mjs" "$wasm/kernels_test.wasm" --gtest_brief=1 --gtest_filter='-*/avx*:*/neon*'
for type in f32 f16 bf16 q8_0 q4_0 q5_0 q4_k q6_k; do
  model="$scratch/$type.gguf"
  "$native/greedy_tokens" write "$model" "$type"
  "$native/greedy_tokens" run "$model" >"$scratch/$type.native"
  "$node" "$here/module.mjs" "$page/bantam.js" "$page/bantam.wasm" "$model" >"$scratch/$type.wasm"
  if ! diff <(head -1 "$scratch/$type.native") "$scratch/$type.wasm" >/dev/null; then
    echo "wasm: $type: the greedy tokens differ from the native engine's" >&2
    paste -d '\n' "$scratch/$type.native" "$scratch/$type.wasm" >&2
    exit 1
  fi
  echo "wasm: $type: 100 greedy tokens equal (least gap $(tail -1 "$scratch/$type.native"))"
done

"$node" "$packages/browser.mjs" "$(command -v chromium)" "$page" "$scratch/q4_k.gguf" "$(head -1 "$scratch/q4_k.native")" \
  "$here/../../models/base-small-q8_0.gguf"
