#!/bin/bash
# plan.sh MEMORY_PLAN FOLDER [large]: the plan of memory is within 5 % of what a process grows by, for several shapes, types of weights and
# kinds of caches. With "large", shapes of a few hundred megabytes.
set -euo pipefail
memory_plan="$1" folder="$2"
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"
# Type; dim, layers, heads, kv_heads, ffn, vocabulary, words; context. The second is nearly all cache, the third nearly all vocabulary.
shapes=("Q8_0 288 6 6 6 768 32000 0 1024" "F16 256 8 4 4 512 4096 0 2048" "Q8_0 64 2 2 2 128 60400 60000 256")
[ "${3:-}" != large ] || shapes=("Q8_0 576 30 9 3 1536 49152 0 1024" "Q4_0 960 32 15 5 2560 49152 0 512" "Q8_0 896 24 14 2 4864 65536 60000 512")
failed=0
for entry in "${shapes[@]}"; do
  read -ra parts <<< "$entry"
  type="${parts[0]}" context="${parts[8]}"
  "$memory_plan" model.gguf "$type" "${parts[@]:1:7}"
  for kv in F16 F32 Q8_0; do
    code=0
    line="$("$memory_plan" model.gguf "$kv" "$context" 2> err)" || code=$?
    if [ "$code" = 77 ]; then echo "$entry, $kv: left out: $(cat err)"; continue; fi
    [ "$code" = 0 ] || { cat err; exit 1; }
    value() { sed -E "s/.*\"$1\":([0-9]+).*/\1/" <<< "$line"; }
    plan="$(value plan)" grew="$(value grew)"
    awk -v plan="$plan" -v grew="$grew" -v what="$type ${parts[*]:1:7}, cache $kv of $context" \
      'BEGIN {off = plan / grew - 1; printf "%-64s plan %.1f MB, grew by %.1f MB: %+.1f %%\n", what, plan / 1e6, grew / 1e6, 100 * off;
              exit !(off < 0.05 && off > -0.05)}' || { failed=1; echo "  $line"; }
  done
  rm model.gguf
done
exit "$failed"
