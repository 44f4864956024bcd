#!/usr/bin/env bash
# The whole family from a folder of texts: base-large, base-small and base-tiny, their second stage, sentence vectors, all
# quantized for shipping. A stage whose output is there is skipped, one that was stopped goes on; so call it as often as it takes.
#   recipes/base/make.sh BIN TEXTS OUT [large-recipe]
# BIN: folder of the programs; TEXTS: dialogue, docs, books and explain .txt.xz and sgd-calls.jsonl.xz; OUT: a folder for models.
set -euo pipefail
[ $# -ge 3 ] || { sed -n 2,6p "$0" >&2; exit 2; }
bin=$(realpath "$1") texts=$(realpath "$2") recipes=$(realpath "$(dirname "$0")")
large=${4:-base-large-cpu.toml}
mkdir -p "$3/recipes/base" && cd "$3"
# The recipes name each other's models relative to themselves.
cp "$recipes"/*.toml recipes/base/
train() { [ -f "$1/model.gguf" ] || "$bin/bantam" train --lm "recipes/base/$2" --data "${4:-$texts}" --out "$1" --tokens "$3"; }
prune() {
  local out=$1 from=$2 recipe=$3; shift 3
  mkdir -p "$out"
  [ -f "$out/pruned.gguf" ] || "$bin/bantam" prune "$from/model.gguf" --lm "recipes/base/$recipe" --data "$texts" --out "$out/pruned.gguf" \
    --tokens texts.tokens "$@"
}
quantize() { [ -f "$2" ] || "$bin/bantam" quantize "$1" "$2" --type "$3"; }

train base-large "$large" texts.tokens
prune base-small base-large base-small.toml --dim 160 --layers 4 --heads 4 --ffn-dim 384
train base-small base-small.toml texts.tokens
prune base-tiny base-small base-tiny.toml --dim 96 --layers 2 --heads 2 --ffn-dim 192
train base-tiny base-tiny.toml texts.tokens
# What the same compute gives without a large model.
train base-small-scratch base-small-scratch.toml texts.tokens
train base-tiny-scratch base-tiny-scratch.toml texts.tokens

mkdir -p forms
[ -f forms/chat.jsonl ] || { "$bin/chat_forms" --talk "$texts/dialogue.txt.xz" --explain "$texts/explain.txt.xz" \
  --calls "$texts/sgd-calls.jsonl.xz" --out forms/chat.jsonl.partial && mv forms/chat.jsonl.partial forms/chat.jsonl; }
ln -sf "$texts/explain.txt.xz" forms/
train base-large-chat chat.toml forms.tokens forms
train base-embed embed.toml texts.tokens

mkdir -p models
quantize base-large/model.gguf models/base-large-q8_0.gguf q8_0
quantize base-large-chat/model.gguf models/base-large-chat-q8_0.gguf q8_0
quantize base-small/model.gguf models/base-small-q8_0.gguf q8_0
quantize base-tiny/model.gguf models/base-tiny-q8_0.gguf q8_0
quantize base-embed/model.gguf models/base-embed-q8_0.gguf q8_0
ls -l models
