# Shared by the tests of this folder: a small text collection and a recipe for it.
set -euo pipefail
bin=$1 work=$2 here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rm -rf "$work" && mkdir -p "$work"

# The generator's tickets as documents: real sentences of ours, no foreign data.
"$bin/generate_tickets" --grammar "$here/../../recipes/helpdesk/tickets.grammar" --count 3000 --seed 5 --out "$work/data.csv" >/dev/null
awk 'NR > 1 { sub(/,[a-z_]*$/, ""); print; print "<|endoftext|>" }' "$work/data.csv" >"$work/tickets.txt"

# recipe FILE TOKENS ACCUMULATE
recipe() {
  cat >"$1" <<END
name = "tiny"
[data]
[[data.parts]]
file = "tickets.txt"
[tokenizer]
vocab_size = 512
megabytes = 1
[model]
dim = 64
layers = 2
heads = 2
ffn_dim = 128
[train]
context = 64
batch = 4
accumulate = $3
tokens = $2
learning_rate = 0.005
evaluate_every = 20
evaluate_rows = 4
END
}
# The log without what clocks said.
losses() { sed -E 's/"seconds":[0-9.e+-]+,?//' "$1/model.gguf.log.jsonl"; }
fail() { echo "FAILED: $*"; exit 1; }
