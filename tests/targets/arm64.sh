#!/bin/bash
# arm64.sh NATIVE-BIN ARM-BIN SYSROOT SCRATCH: the kernels' and the lower layers' tests of a cross build under QEMU, as a processor
# without int8 matrix products (cortex-a76) and as one with everything (max), then 100 greedy tokens beside the native engine's, for
# each instruction set. Prints what ran; fails at the first difference.
set -euo pipefail
native="$1" arm="$2" sysroot="$3" scratch="$4"
mkdir -p "$scratch"
on() { qemu-aarch64-static -L "$sysroot" -cpu "$@"; }

echo "arm64: kernels_test as cortex-a76 (neon, neon_dotprod), then neon_i8mm as max"
on cortex-a76 "$arm/kernels_test" --gtest_brief=1 --gtest_filter='-*/avx*:*/wasm*:*/neon_i8mm'
on max "$arm/kernels_test" --gtest_brief=1 --gtest_filter='*/neon_i8mm'
for layer in base tensor formats text model runtime; do
  [ -x "$arm/${layer}_test" ] || continue
  for processor in cortex-a76 max; do
    echo "arm64: ${layer}_test as $processor"
    on $processor "$arm/${layer}_test" --gtest_brief=1
  done
done

# What the processor lacks is refused, not tried.
"$native/greedy_tokens" write "$scratch/tiny.gguf" f32
if message="$(BANTAM_ISA=neon_i8mm on cortex-a76 "$arm/greedy_tokens" run "$scratch/tiny.gguf" 2>&1)" ||
  ! [[ "$message" == *"lacks what instruction set neon_i8mm needs"* ]]; then
  echo "arm64: BANTAM_ISA=neon_i8mm on a cortex-a76: found \"$message\", expected a refusal" >&2
  exit 1
fi

for type in f32 f16 bf16 q8_0 q4_0 q5_0 q4_k q6_k; do
  model="$scratch/$type.gguf"
  "$native/greedy_tokens" write "$model" "$type"
  "$native/greedy_tokens" run "$model" >"$scratch/$type.native"
  for isa in neon neon_dotprod neon_i8mm; do
    BANTAM_ISA=$isa on max "$arm/greedy_tokens" run "$model" >"$scratch/$type.$isa"
    if ! diff <(head -1 "$scratch/$type.native") <(head -1 "$scratch/$type.$isa") >/dev/null; then
      echo "arm64: $type, $isa: the greedy tokens differ from the native engine's" >&2
      paste -d '\n' "$scratch/$type.native" "$scratch/$type.$isa" >&2
      exit 1
    fi
  done
  echo "arm64: $type: 100 greedy tokens equal (least gap $(tail -1 "$scratch/$type.native"))"
done
