#!/bin/bash
# wasm.sh NATIVE-BIN WASM-BUILD NODE-FOLDER SCRATCH: the kernels' tests of the WebAssembly build under Node, 100 greedy tokens of its
# engine beside the native one's under Node and, where there is a Chromium, in its page. Prints what ran; fails at the first
# difference.
set -euo pipefail
native="$1" wasm="$2" packages="$3" scratch="$4"
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$scratch"

echo "wasm: kernels_test"
node --no-warnings "$here/wasi.mjs" "$wasm/kernels_test.wasm" --gtest_brief=1

for type in f32 f16 bf16 q8_0 q4_0 q5_0 q4_k q6_k; do
  model="$scratch/$type.gguf"
  "$native/greedy_tokens" write "$model" "$type"
  "$native/greedy_tokens" run "$model" >"$scratch/$type.native"
  node "$here/module.mjs" "$here/../../wasm/bantam.js" "$wasm/bantam.wasm" "$model" >"$scratch/$type.wasm"
  if ! diff <(head -1 "$scratch/$type.native") "$scratch/$type.wasm" >/dev/null; then
    echo "wasm: $type: the greedy tokens differ from the native engine's" >&2
    paste -d '\n' "$scratch/$type.native" "$scratch/$type.wasm" >&2
    exit 1
  fi
  echo "wasm: $type: 100 greedy tokens equal (least gap $(tail -1 "$scratch/$type.native"))"
done

chromium="$(command -v chromium || true)"
if [ -z "$chromium" ]; then
  echo "wasm: there is no chromium: the page is not tested"
  exit 77
fi
"$here/../node/install.sh" "$here/browser" "$packages"
"$packages/node" "$packages/browser.mjs" "$chromium" "$here/../../wasm" "$wasm/bantam.wasm" "$scratch/q4_k.gguf" "$(head -1 "$scratch/q4_k.native")"
