#!/usr/bin/env bash
# The other intent sets as one: JSON lines of text and label, the labels named by their set, none of them from the set of the task at hand.
#   recipes/intents/union.sh DATA TARGET >union.jsonl
# DATA: a folder with hwu64, snips, bitext-support, banking77 and clinc150 (recipes/intents/README.md). TARGET: the set that is left out.
set -euo pipefail
[ $# -eq 2 ] || { sed -n 2,4p "$0" >&2; exit 2; }
data=$1 target=$2

# What a CSV's first two fields are: the text, which may be quoted and hold line breaks (a space here), and its label.
csv() {
  awk '{ record = record (record == "" ? "" : " ") $0 }
       gsub(/"/, "\"", record) % 2 == 1 { next }  # a field goes on in the next line
       { if (++n > 1) print record; record = "" }' |
    jq -Rc --arg set "$1" '
      capture("^(?:\"(?<quoted>(?:[^\"]|\"\")*)\"|(?<plain>[^,]*)),(?<label>[^,\r]+)")
      | {text: ((.quoted // .plain) | gsub("\"\""; "\"")), category: "\($set) \(.label)"}'
}
# TSV: the text first, the label last.
tsv() { jq -Rc --arg set "$1" 'split("\t") | select(.[-1] != "intent") | {text: (.[0] | gsub("^ +| +$"; "")), category: "\($set) \(.[-1])"}'; }
of() {
  case $1 in
    hwu64) cat "$data"/hwu64/train.tsv "$data"/hwu64/valid.tsv | tsv hwu64 ;;
    snips) cat "$data"/snips/train.tsv "$data"/snips/valid.tsv | tsv snips ;;
    bitext-support) for part in train dev; do csv bitext <"$data/bitext-support/$part.csv"; done ;;
    banking77) csv banking77 <"$data/banking77/train.csv" ;;
    clinc150) jq -c '(.train + .val)[] | {text: .[0], category: "clinc150 \(.[1])"}' "$data/clinc150/data_full_dev.json" ;;
  esac
}
for set in hwu64 snips bitext-support banking77 clinc150; do
  [ "$set" = "$target" ] || of "$set"
done | jq -c 'select(.text | test("[^ ]"))'
