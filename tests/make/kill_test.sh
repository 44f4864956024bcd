#!/usr/bin/env bash
# kill -9 at ten random moments of `bantam make`, started again each time, ends in the same model bit for bit as an undisturbed run.
set -euo pipefail
bin=$1 work=$2 here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$work" && mkdir -p "$work"
"$bin/generate_tickets" --grammar "$here/../../recipes/helpdesk/tickets.grammar" --count 1500 --seed 5 --out "$work/data.csv" >/dev/null
make_model() { "$bin/bantam" make "$here/tiny.toml" --data "$work/data.csv" --out "$1" --threads 2 --checkpoint-seconds 0.1 --quiet >"$1.log" 2>&1; }

start=$(date +%s%N)
make_model "$work/undisturbed"
whole=$((($(date +%s%N) - start) / 1000000))
want=$(sha256sum <"$work/undisturbed/student.gguf")
echo "undisturbed: $whole ms"

RANDOM=20261122
kills=0
while [ "$kills" -lt 10 ]; do
  "$bin/bantam" make "$here/tiny.toml" --data "$work/data.csv" --out "$work/killed" --threads 2 --checkpoint-seconds 0.1 --quiet >"$work/killed.log" 2>&1 &
  pid=$!
  # Up to the length of a whole run; runs that finish first are started afresh from nothing, so that ten kills do happen.
  sleep "$(awk -v r=$RANDOM -v w=$whole 'BEGIN { printf "%.3f", 0.2 + r / 32767 * w / 1000 * 0.6 }')"
  if kill -9 "$pid" 2>/dev/null; then
    kills=$((kills + 1))
    echo "kill $kills: $(ls "$work/killed" 2>/dev/null | tr '\n' ' ')"
  else
    [ "$(sha256sum <"$work/killed/student.gguf")" = "$want" ] || { echo "FAILED: another model after $kills kills"; exit 1; }
    rm -rf "$work/killed"
  fi
  wait "$pid" 2>/dev/null || true
done
make_model "$work/killed"
[ "$(sha256sum <"$work/killed/student.gguf")" = "$want" ] || { echo "FAILED: the model differs after ten kills"; exit 1; }
if ls "$work"/killed/*.partial >/dev/null 2>&1; then echo "note: partial files of killed runs are left: $(ls "$work"/killed/*.partial)"; fi
echo "the same model after 10 kills: $want"
