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

there_and_back qwen3.gguf exact --shard-size 500kb
[ "$(ls hf/*.safetensors | wc -l)" -gt 2 ] || complain "no shards"
[ -s hf/model.safetensors.index.json ] || complain "no index of the shards"

# What is there is not overwritten, and what fails leaves nothing.
if "$bantam" export llama.gguf hf > said 2>&1; then complain "it wrote into a folder with files"; fi
grep -q "expected no such folder or an empty one" said || complain "$(cat said)"
head -c 5000 llama.gguf > cut.gguf
if "$bantam" export cut.gguf none > said 2>&1; then complain "a cut file was exported"; fi
if [ -e none ] || [ -e none.partial ]; then complain "a failed export left something"; fi

if [ -e "$data/models/stories260K.gguf" ]; then
  there_and_back "$data/models/stories260K.gguf" exact
else
  echo "no $data/models: models of others are left out"
fi

[ "$failures" = 0 ] || { echo "$failures checks failed" >&2; exit 1; }
echo "all checks passed"
