#!/usr/bin/env bash
# Bad input of a pretraining run: a clear error, a non-zero exit code, and the last good checkpoint untouched.
source "$(dirname "$0")/lib.sh" "$@"
recipe "$work/tiny.toml" 40000 1
train() { "$bin/bantam" train --lm "$1" --data "$work" --out "$2" --threads 1 --checkpoint-seconds 0.1 --quiet; }
cases=0
# expect NAME PATTERN COMMAND…
expect() {
  local name=$1 pattern=$2; shift 2
  if "$@" >"$work/case.out" 2>"$work/case.err"; then fail "$name: ended well"; fi
  grep -qE "$pattern" "$work/case.err" || fail "$name: said $(cat "$work/case.err")"
  cases=$((cases + 1))
}
: >"$work/empty.txt"
sed 's/tickets.txt/empty.txt/' "$work/tiny.toml" >"$work/empty.toml"
expect "no documents" "empty.txt: found no document to train on|found no text" train "$work/empty.toml" "$work/a"
sed 's/tickets.txt/none.txt/' "$work/tiny.toml" >"$work/none.toml"
expect "no file" "none.txt: No such file" train "$work/none.toml" "$work/a"
printf 'fine\n<|endoftext|>\nbro\xffken\n' >"$work/broken.txt"
sed 's/tickets.txt/broken.txt/' "$work/tiny.toml" >"$work/broken.toml"
expect "broken UTF-8" "broken.txt: document 2, byte 4: found 0xff, expected UTF-8" train "$work/broken.toml" "$work/a"
sed 's/vocab_size = 512/vocab_size = 100000/' "$work/tiny.toml" >"$work/vocabulary.toml"
expect "a vocabulary too large" "vocab_size" train "$work/vocabulary.toml" "$work/a"
sed 's/learning_rate/learning_rat/' "$work/tiny.toml" >"$work/key.toml"
expect "an unknown key" "learning_rat" train "$work/key.toml" "$work/a"

# A model whose vocabulary is larger than its embedding: the tokenizer of one run under the weights of another.
train "$work/tiny.toml" "$work/small" >/dev/null
sed -e 's/^dim = 64/from = "small\/model.gguf"/' -e '/^layers\|^heads\|^ffn_dim/d' -e 's/^context = 64/context = 65536/' "$work/tiny.toml" >"$work/context.toml"
expect "a context beyond the model's" "context: found 65536" train "$work/context.toml" "$work/a"

# A loss that is no number: the checkpoint before it stays and is whole.
sed -e 's/learning_rate = 0.005/learning_rate = 1.0\noptimiser = "adamw"\nclip = 1e6\nwarmup = 0.9\nweight_decay = 10/' -e 's/^tokens = .*/tokens = 2e6/' "$work/tiny.toml" >"$work/wild.toml"
expect "a loss that is no number" "the loss is .*checkpoint before it is kept" train "$work/wild.toml" "$work/wild"
[ -s "$work/wild/model.gguf.checkpoint" ] || fail "no checkpoint is left"
expect "again, from its checkpoint" "the loss is " train "$work/wild.toml" "$work/wild"
[ ! -e "$work/wild/model.gguf" ] || fail "a model was written"

# A full disk (a small file system of our own, where that is allowed).
if mkdir "$work/disk" && mount -t tmpfs -o size=2m none "$work/disk" 2>/dev/null; then
  trap 'umount "$work/disk"' EXIT
  expect "a full disk" "No space left" train "$work/tiny.toml" "$work/disk/run"
  [ ! -e "$work/disk/run/model.gguf" ] || fail "a model was written to a full disk"
else
  echo "skipped: a full disk (mounting is not allowed here)"
fi
echo "$cases cases of bad input refused"
