#!/usr/bin/env bash
# Two and four processes over Gloo reach the same losses as one (same global batch; relative difference below 1e-3: sums in
# another order); when one is killed all others stop with a checkpoint, and a new start goes on to the same end.
source "$(dirname "$0")/lib.sh" "$@"
recipe "$work/tiny.toml" 120000 4
# run OUT SIZE PORT: all ranks of one run; prints nothing, leaves OUT.RANK.err
run() {
  local out=$1 size=$2 port=$3 rank pids=()
  for rank in $(seq 0 $((size - 1))); do
    RANK=$rank WORLD_SIZE=$size MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$bin/bantam" train --lm "$work/tiny.toml" --data "$work" \
      --out "$out" --threads 1 --checkpoint-seconds 0.2 --peer-timeout 20 --quiet >"$out.$rank.out" 2>"$out.$rank.err" &
    pids+=($!)
  done
  echo "${pids[@]}" >"$out.pids"
  local failed=0 pid
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return $failed
}
loss_of() { grep -o '"loss":[0-9.]*' "$1/model.gguf.log.jsonl" | cut -d: -f2; }
# Largest relative difference of two loss curves of the same length.
apart() { paste <(loss_of "$1") <(loss_of "$2") | awk 'NF != 2 { print "lengths differ"; exit } { d = ($1 - $2) / $1; if (d < 0) d = -d; if (d > m) m = d } END { printf "%.2e", m }'; }

seconds() { date +%s.%N; }
t0=$(seconds); run "$work/one" 1 $((20000 + RANDOM % 10000)) || fail "one process: $(cat "$work/one.0.err")"
t1=$(seconds); run "$work/two" 2 $((20000 + RANDOM % 10000)) || fail "two processes: $(cat "$work"/two.*.err)"
t2=$(seconds); run "$work/four" 4 $((20000 + RANDOM % 10000)) || fail "four processes: $(cat "$work"/four.*.err)"
t3=$(seconds)
awk -v a="$t0" -v b="$t1" -v c="$t2" -v d="$t3" -v n="$(nproc)" 'BEGIN { printf "seconds: one %.1f, two %.1f, four %.1f; efficiency of two %.2f, of four %.2f (%d cores)\n", b-a, c-b, d-c, (b-a)/(c-b)/2, (b-a)/(d-c)/4, n }'
for size in two four; do
  difference=$(apart "$work/one" "$work/$size")
  echo "$size processes: largest relative difference of a step's loss $difference"
  awk -v d="$difference" 'BEGIN { exit !(d + 0 < 1e-3 && d != "lengths differ") }' || fail "$size processes: other losses"
done

# One of two is killed once the run is under way.
run "$work/lost" 2 $((20000 + RANDOM % 10000)) &
runner=$!
for _ in $(seq 200); do
  [ "$(cat "$work/lost/model.gguf.log.jsonl" 2>/dev/null | wc -l)" -gt 30 ] && break
  sleep 0.1
done
read -r _ victim <"$work/lost.pids"
kill -9 "$victim"
killed=$(seconds)
wait "$runner" && fail "a run with a killed rank ended well"
awk -v a="$killed" -v b="$(seconds)" 'BEGIN { printf "all stopped %.1f s after the kill\n", b - a; exit !(b - a < 30) }' || fail "the ranks hung"
grep -q "a peer is lost or silent.*kept in" "$work/lost.0.err" || fail "rank 0 said: $(cat "$work/lost.0.err")"
run "$work/lost" 2 $((20000 + RANDOM % 10000)) || fail "the second start: $(cat "$work"/lost.*.err)"
difference=$(apart "$work/two" "$work/lost")
echo "killed and started again: largest relative difference $difference"
awk -v d="$difference" 'BEGIN { exit !(d + 0 < 1e-3 && d != "lengths differ") }' || fail "other losses after the second start"
