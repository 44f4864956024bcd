#!/usr/bin/env bash
# A disk that fills up during `bantam make`: a clear error, a non-zero exit, no half-written model; with space again it goes on and
# ends in the same model as a run that never met a full disk.
set -euo pipefail
bin=$1 work=$2 here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$work" && mkdir -p "$work/disk"
"$bin/generate_tickets" --grammar "$here/../../recipes/helpdesk/tickets.grammar" --count 1500 --seed 5 --out "$work/data.csv" >/dev/null
make_model() { "$bin/bantam" make "$here/tiny.toml" --data "$work/data.csv" --out "$1" --threads 2 --checkpoint-seconds 0.1 --quiet; }
if ! mount -t tmpfs -o size=600k tmpfs "$work/disk" 2>/dev/null; then
  echo "skipped: mounting a small file system needs root"
  exit 77
fi
trap 'umount "$work/disk" 2>/dev/null || true' EXIT
if make_model "$work/disk/out" >"$work/log" 2>&1; then echo "FAILED: succeeded on a disk of 600 kB"; exit 1; fi
cat "$work/log"
grep -q "No space left on device" "$work/log" || { echo "FAILED: the message does not say that the disk is full"; exit 1; }
for model in "$work"/disk/out/*.gguf; do
  [ -e "$model" ] || continue
  "$bin/bantam" show "$model" >/dev/null || { echo "FAILED: $model is half written"; exit 1; }
done
if ls "$work"/disk/out/*.partial >/dev/null 2>&1; then echo "FAILED: partial files left"; exit 1; fi
mount -o remount,size=64m "$work/disk"
make_model "$work/disk/out" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
make_model "$work/plain" >"$work/log" 2>&1
cmp "$work/disk/out/student.gguf" "$work/plain/student.gguf"
echo "full disk: a clear error, nothing half written, the same model once there was space"
