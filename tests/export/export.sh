#!/bin/bash
# export.sh BANTAM RANDOM_FAMILY ROUND_TRIP FOLDER DATA: GGUF to a Hugging Face directory and back, for every family, in every float
# type, quantised, and in shards.
set -euo pipefail
bantam="$1" random_family="$2" round_trip="$3" folder="$4" data="$5"
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
failures=0
complain() { echo "FAILED: $1" >&2; failures=$((failures + 1)); }

# there_and_back GGUF HOW ARGUMENTS...: exported, imported, compared.
there_and_back() {
  local model="$1" how="$2"
  shift 2
  rm -rf hf back.gguf
  "$bantam" export -q "$model" hf "$@" > said 2>&1 || { complain "export $model $*: $(cat said)"; return 0; }
  if grep -q "other ids" said; then complain "export $model: $(cat said)"; fi
  "$bantam" import -q hf back.gguf > said 2>&1 || { complain "import of $model $*: $(cat said)"; return 0; }
  "$round_trip" "$model" back.gguf "$how" > said 2>&1 || complain "$model $*: $(cat said)"
}

for family in $("$random_family" list); do
  "$random_family" "$family" "$family.gguf"
  # Gemma's norms are stored less one; below 0.5 the last bit may be lost.
  case "$family" in gemma*) how=close ;; *) how=exact ;; esac
  there_and_back "$family.gguf" "$how"
done

for type in f16 bf16; do
  "$bantam" quantize -q llama.gguf "llama-$type.gguf" --type "$type" > said 2>&1 || complain "quantize $type: $(cat said)"
  there_and_back "llama-$type.gguf" exact
  there_and_back "llama-$type.gguf" values --type f32
done
"$bantam" quantize -q llama.gguf llama-q8.gguf --type q8_0 > said 2>&1 || complain "quantize: $(cat said)"
there_and_back llama-q8.gguf values --type f32

# What a chat model and a model of sentence vectors have beside the weights; each of it is missed where it is not there.
for family in llama qwen3 phi3; do
  "$round_trip" dress "$family.gguf" "$family-dressed.gguf" || complain "$family was not dressed"
  there_and_back "$family-dressed.gguf" exact
done
if "$round_trip" llama-dressed.gguf llama.gguf > said 2>&1; then complain "round_trip sees no difference"; fi
for what in "tokenizer.chat_template: another value" "llama.pooling_type: another value" "token 65: ends an answer" "token 68: ends"; do
  grep -q "$what" said || complain "round_trip does not see it: $what: $(cat said)"
done
if "$round_trip" qwen3.gguf llama.gguf > said 2>&1; then complain "round_trip sees no difference between two families"; fi
for what in "other config" "missing or of another shape"; do grep -q "$what" said || complain "round_trip does not see it: $what"; done

there_and_back qwen3.gguf exact --shard-size 500kb
[ "$(ls hf/*.safetensors | wc -l)" -gt 2 ] || complain "no shards"
[ -s hf/model.safetensors.index.json ] || complain "no index of the shards"

# What is there is not overwritten, and what fails leaves nothing.
refused() { # refused MESSAGE COMMAND...: it fails, says so, and leaves what was there.
  local message="$1" before
  shift
  before=$(find . -not -name said | sort)
  if "$@" > said 2>&1; then complain "not refused: $*"; fi
  grep -q "$message" said || complain "$*: $(cat said)"
  [ "$(find . -not -name said | sort)" = "$before" ] || complain "$* changed what is there"
}
refused "expected no such folder or an empty one" "$bantam" export llama.gguf hf
head -c 5000 llama.gguf > cut.gguf
refused "cut.gguf" "$bantam" export cut.gguf none
mkdir none.partial
echo mine > none.partial/file
# No file may be larger than 64 KiB: it fails when the folder and its first files are there.
refused "File too large" bash -c 'trap "" XFSZ; ulimit -f 64; exec "$@"' _ "$bantam" export llama.gguf none
"$bantam" export -q llama.gguf none > said 2>&1 || complain "export: $(cat said)"
[ "$(cat none.partial/file)" = mine ] || complain "a folder none.partial is gone"

if [ -e "$data/models/stories260K.gguf" ]; then
  there_and_back "$data/models/stories260K.gguf" exact
else
  echo "no $data/models: models of others are left out"
fi

[ "$failures" = 0 ] || { echo "$failures checks failed" >&2; exit 1; }
echo "all checks passed"
