#!/usr/bin/env bash
# `bantam train --base`: a classifier from a language model, another from that classifier, and what cannot be a base.
source "$(dirname "$0")/lib.sh" "$@"
recipe "$work/tiny.toml" 60000 1
sed -i 's/^megabytes = 1/megabytes = 1\ncontrol = ["<|answer|>"]/' "$work/tiny.toml"
"$bin/bantam" train --lm "$work/tiny.toml" --data "$work" --out "$work/base" --threads 1 --quiet >/dev/null
"$bin/generate_tickets" --grammar "$here/../../recipes/helpdesk/tickets.grammar" --count 600 --seed 6 --out "$work/test.csv" >/dev/null
train() {
  "$bin/bantam" train --base "$1" --data "$work/data.csv" --label intent --epochs "$2" --batch 16 --learning-rate 0.003 --threads 1 --quiet --out "$3"
}
right() { "$bin/bantam" eval "$1" --data "$work/test.csv" --label intent --json --quiet | grep -o '"accuracy":[0-9.]*' | cut -d: -f2; }
train "$work/base/model.gguf" 3 "$work/first.gguf" >/dev/null
[ ! -e "$work/first.gguf.start.gguf" ] || fail "the start is still there"
"$bin/bantam" show "$work/first.gguf" --json | grep -q '"llama.embedding_length":64' || fail "first.gguf has another shape than its base"
train "$work/first.gguf" 1 "$work/second.gguf" >/dev/null
train "$work/base/model.gguf" 1 "$work/short.gguf" >/dev/null
first=$(right "$work/first.gguf") second=$(right "$work/second.gguf") short=$(right "$work/short.gguf")
echo "600 messages: from the language model $first (one epoch: $short), one epoch from that classifier $second"
awk -v a="$first" -v b="$second" -v c="$short" 'BEGIN { exit !(a > 0.3 && b > 0.3 && b >= c) }' || fail "too little was learned"
if train "$work/none.gguf" 1 "$work/x.gguf" 2>"$work/err"; then fail "a base that is not there"; fi
grep -q "none.gguf" "$work/err" || fail "said $(cat "$work/err")"
if "$bin/bantam" train --base "$work/base/model.gguf" --dim 128 --data "$work/data.csv" --label intent --out "$work/x.gguf" 2>"$work/err"; then fail "a shape beside a base"; fi
grep -q -- "--dim" "$work/err" || fail "said $(cat "$work/err")"
recipe "$work/plain.toml" 5000 1
"$bin/bantam" train --lm "$work/plain.toml" --data "$work" --out "$work/plain" --threads 1 --quiet >/dev/null
if train "$work/plain/model.gguf" 1 "$work/x.gguf" 2>"$work/err"; then fail "a base without the answer's token"; fi
grep -q "found no token <|answer|>" "$work/err" || fail "said $(cat "$work/err")"
[ ! -e "$work/x.gguf" ] || fail "a model was written"
echo "2 bases refused"
