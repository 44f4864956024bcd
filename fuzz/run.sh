#!/bin/sh
# fuzz/run.sh [RUNS] [FUZZER...]: runs each fuzzer of build/fuzz (cmake --preset fuzz) for RUNS executions (default 1,000,000)
# from its seeds and the inputs that earlier runs found, and prints how many it made. Stops at the first crash, whose input is
# then in build/fuzz/corpus. MAX_LEN bounds the inputs' bytes (default 4096), MALLOC_MB
# what one allocation may take (default 256).
set -eu
cd "$(dirname "$0")/.."
runs=${1:-1000000}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- gguf_fuzzer model_fuzzer adapter_fuzzer state_fuzzer capi_fuzzer safetensors_fuzzer csv_fuzzer tokenizer_fuzzer tokenizer_json_fuzzer grammar_fuzzer jinja_fuzzer wire_fuzzer calls_fuzzer registry_fuzzer hf_config_fuzzer \
  request_fuzzer router_fuzzer audit_fuzzer redact_fuzzer
build=build/fuzz
corpus=$build/corpus
"$build/bin/make_seeds" "$build/seeds"
for fuzzer in "$@"; do
  mkdir -p "$corpus/$fuzzer"
  log=$corpus/$fuzzer.log
  if ! "$build/bin/$fuzzer" -runs="$runs" -max_len="${MAX_LEN:-4096}" -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb="${MALLOC_MB:-256}" -print_final_stats=1 \
    -artifact_prefix="$corpus/$fuzzer-" "$corpus/$fuzzer" "$build/seeds/$fuzzer" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "$fuzzer: failed, see $log" >&2
    exit 1
  fi
  awk -v name="$fuzzer" '/stat::number_of_executed_units/ {n = $2} / cov: / {for (i = 1; i < NF; i++) if ($i == "cov:") c = $(i + 1)}
    END {printf "%-20s %d executions, %d edges reached, no crash\n", name, n, c}' "$log"
done
