#!/usr/bin/env bash
# kill -9 at five random moments of a pretraining run: the loss curve and the model end up the same to the last digit.
source "$(dirname "$0")/lib.sh" "$@"
recipe "$work/tiny.toml" 120000 2
train() { exec "$bin/bantam" train --lm "$work/tiny.toml" --data "$work" --out "$1" --threads 2 --checkpoint-seconds 0.1 --quiet; }

start=$(date +%s%N)
(train "$work/undisturbed") >"$work/undisturbed.out"
whole=$((($(date +%s%N) - start) / 1000000))
echo "undisturbed: $whole ms, $(losses "$work/undisturbed" | wc -l) lines of log"
RANDOM=20261122
kills=0
while [ "$kills" -lt 5 ]; do
  (train "$work/killed") >"$work/killed.out" 2>&1 &
  pid=$!
  sleep "$(awk -v r=$RANDOM -v w=$whole 'BEGIN { printf "%.3f", 0.3 + r / 32767 * w / 1000 * 0.5 }')"
  if kill -9 "$pid" 2>/dev/null; then
    kills=$((kills + 1))
    echo "kill $kills after $(losses "$work/killed" 2>/dev/null | wc -l) lines"
  else
    rm -rf "$work/killed"
  fi
  wait "$pid" 2>/dev/null || true
done
(train "$work/killed") >"$work/killed.out"
cmp <(losses "$work/undisturbed") <(losses "$work/killed") || fail "the loss curve differs"
tensors() { "$bin/bantam" eval "$1/model.gguf" --text "$work/tickets.txt" --json 2>/dev/null | sed -E 's/"seconds":[^,}]*//; s/killed|undisturbed//g'; }
[ "$(tensors "$work/undisturbed")" = "$(tensors "$work/killed")" ] || fail "the models differ"
echo "5 kills: the same losses and the same model"
