#!/usr/bin/env bash
# Teacher, student and linear baseline on three public data sets, from nothing, from the base models and from those after a first stage on
# other sets of intents (union.sh), with all labels and with ten of each: one table.
#   recipes/intents/run.sh BIN DATA WORK [BASE-LARGE.gguf BASE-SMALL.gguf]
# BIN: folder of the programs. DATA: a folder with banking77/train.csv, clinc150/data_full_dev.json and nlbse-issues/issues_train.csv.xz (where
# they come from: recipes/intents/README.md). WORK: a folder; what is there is used again, and a stopped run goes on. SETS (default: banking77 clinc150
# nlbse-issues), LABELS (default: "0 10"; 0: all examples), STARTS (default: "nothing base union") choose a part.
set -euo pipefail
[ $# -eq 3 ] || [ $# -eq 5 ] || { sed -n 2,8p "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "$1") data=$(realpath "$2") large=${4:+$(realpath "$4")} small=${5:+$(realpath "$5")}
mkdir -p "$3"; cd "$3"
for program in jq xz; do command -v $program >/dev/null || { echo "run.sh: $program is missing (Debian: jq, xz-utils)" >&2; exit 1; }; done

# text and label of each example, as JSON lines.
examples() {
  case $1 in
    banking77) cp "$data/banking77/train.csv" "$2" ;;
    clinc150) jq -c '(.train + .val)[] | {text: .[0], category: .[1]}' "$data/clinc150/data_full_dev.json" >"$2" ;;
    nlbse-issues) xz -dc "$data/nlbse-issues/issues_train.csv.xz" >"$2" ;;
    *) echo "run.sh: SETS: found $1, expected banking77, clinc150 or nlbse-issues" >&2; exit 2 ;;
  esac
}
file_of() { case $1 in clinc150) echo "$1.jsonl" ;; *) echo "$1.csv" ;; esac; }
columns() { case $1 in nlbse-issues) echo 'input = "title+body"
label = "label"' ;; *) echo 'input = "text"
label = "category"' ;; esac; }

# recipe FROM SET LABELS: the recipe of one cell.
recipe() {
  local from=$1 set=$2 labels=$3 source=$here/../tickets/recipe.toml large=$large small=$small
  if [ "$from" = nothing ]; then source=$here/../tickets/from-nothing.toml; fi
  if [ "$from" = union ]; then large=$PWD/union-$set-large.gguf small=$PWD/union-$set-small.gguf; fi
  sed -E -e '/^(input|label|per_label) = /d' \
    -e "s|^base = .*base-large-q8_0.gguf\"|base = \"$large\"|; s|^base = .*base-small-q8_0.gguf\"|base = \"$small\"|" "$source" |
    awk -v extra="$(columns "$set")
per_label = $labels" '{ print } /^\[data\]/ { print extra }'
}

# first_stage SET: both base models after the other sets.
first_stage() {
  [ -f "union-$1.jsonl" ] || { "$here/union.sh" "$data" "$1" >"union-$1.jsonl.partial" && mv "union-$1.jsonl.partial" "union-$1.jsonl"; }
  stage() { "$bin/bantam" train --base "$2" --data "union-$1.jsonl" --label category --epochs 2 --learning-rate "$4" --out "union-$1-$3.gguf" --quiet; }
  [ -f "union-$1-large.gguf" ] || stage "$1" "$large" large 0.0008
  [ -f "union-$1-small.gguf" ] || stage "$1" "$small" small 0.0015
}

starts=(nothing)
[ -z "$large" ] || read -ra starts <<<"${STARTS:-nothing base union}"
echo "| data | examples of a label | from | teacher | student | of the teacher's | linear | student's bytes |"
echo "|---|---|---|---|---|---|---|---|"
for set in ${SETS:-banking77 clinc150 nlbse-issues}; do
  file=$(file_of "$set")
  [ -f "$file" ] || { examples "$set" "$file.partial" && mv "$file.partial" "$file"; }
  for labels in ${LABELS:-0 10}; do
    for from in "${starts[@]}"; do
      [ "$from" != union ] || first_stage "$set"
      out=$set-$labels-$from
      mkdir -p "$out"
      recipe "$from" "$set" "$labels" >"$out/recipe.toml"
      "$bin/bantam" make "$out/recipe.toml" --data "$file" --out "$out" --no-ablations --quiet >"$out/make.log"
      jq -r --arg set "$set" --arg labels "$labels" --arg from "$from" '
        def percent: . * 1000 | round / 10 | tostring;
        def share: "\(.accuracy.value | percent) % (\(.accuracy.interval_95 | map(percent) | join(" to ")), n = \(.accuracy.n))";
        (.candidates | map({(.name): .}) | add) as $c |
        "| \($set) | \(if $labels == "0" then "all" else $labels end) | \($from) | \($c.teacher | share) | \($c.student | share) | \($c.student.to_llm.accuracy | percent) % | \($c["linear baseline"] | share) | \($c.student.file_bytes) |"
      ' "$out/report.json"
    done
  done
done
