#!/usr/bin/env bash
# Bits per byte of language models beside xz, PPMd and an interpolated 5-gram model of the same training texts.
#   recipes/base/table.sh BIN TEXTS WIKITEXT WORK MODEL.gguf...
# BIN: folder of the programs; TEXTS: folder of *.txt.xz collections; WIKITEXT: a text no training saw; WORK: a folder for what is
# extracted. LIMIT (bytes of each text that are measured, default all) makes a quick look possible; the table says it. ONLINE (default
# "wikitext"): the texts that the first model also reads while it learns from them (online_score), as PPMd does; "" for none.
set -euo pipefail
[ $# -ge 5 ] || { sed -n 2,7p "$0" >&2; exit 2; }
bin=$1 texts=$2 wikitext=$3 work=$4; shift 4
limit=${LIMIT:-0} online=${ONLINE-wikitext} one_in=${HELD_BACK_ONE_IN:-10}
for program in xz 7z awk; do command -v $program >/dev/null || { echo "table.sh: $program is missing (Debian: xz-utils, p7zip-full)" >&2; exit 1; }; done
mkdir -p "$work"

# The documents that training keeps back (formats/documents.h), one after the other.
parts=()
for file in "$texts"/*.txt.xz; do
  name=$(basename "$file" .txt.xz)
  xz -dc "$file" | awk -v n="$one_in" 'BEGIN { d = 1 } /^<\|endoftext\|>$/ { d++; next } d % n == 0' >"$work/$name.all"
  parts+=("$name")
done
cp "$wikitext" "$work/wikitext.all"
parts+=(wikitext)
for name in "${parts[@]}"; do
  if [ "$limit" -gt 0 ]; then head -c "$limit" "$work/$name.all" | iconv -c -f UTF-8 -t UTF-8 >"$work/$name.txt"; else mv "$work/$name.all" "$work/$name.txt"; fi
  rm -f "$work/$name.all"
done
[ "$limit" -eq 0 ] || echo "Only the first $limit bytes of each text are measured."

bytes() { stat -c %s "$1"; }
ratio() { awk -v c="$1" -v b="$2" 'BEGIN { printf "%.4f", 8 * c / b }'; }
row() { local name=$1; shift; printf '| %s |' "$name"; printf ' %s |' "$@"; echo; }

row model parameters bytes "tokens seen" "CPU hours" "${parts[@]}"
row --- --- --- --- --- "${parts[@]//*/---}"
cells=(); for name in "${parts[@]}"; do cells+=("$(ratio "$(xz -9e -c "$work/$name.txt" | wc -c)" "$(bytes "$work/$name.txt")")"); done
row "xz -9e" - - - - "${cells[@]}"
cells=()
for name in "${parts[@]}"; do
  rm -f "$work/$name.7z"
  7z a -bd -bso0 -m0=PPMd:mem=1g:o=12 "$work/$name.7z" "$work/$name.txt" >/dev/null
  cells+=("$(ratio "$(bytes "$work/$name.7z")" "$(bytes "$work/$name.txt")")")
  rm -f "$work/$name.7z"
done
row "7z PPMd, order 12" - - - - "${cells[@]}"

# The n-gram model learns from all training documents; it is measured on the same texts as the others.
tests=(); for name in "${parts[@]}"; do tests+=("$work/$name.txt"); done
"$bin/ngram_model" --vocabulary "$1" --held-back-one-in "$one_in" --only-test --train "$texts"/*.txt.xz --test "${tests[@]}" >"$work/ngram.tsv"
cells=(); for name in "${parts[@]}"; do cells+=("$(awk -F'\t' -v f="$work/$name.txt" '$1 == f { print $4 }' "$work/ngram.tsv")"); done
row "5-gram, modified Kneser-Ney" - - - - "${cells[@]}"

for model in "$@"; do
  cells=()
  for name in "${parts[@]}"; do
    cells+=("$("$bin/bantam" eval "$model" --text "$work/$name.txt" --json | grep -o '"bits_per_byte":[0-9.]*' | cut -d: -f2 | xargs printf '%.4f')")
  done
  shown=$("$bin/bantam" show "$model" --json)
  provenance=$(grep -o '"bantam.provenance":"[^}]*}' <<<"$shown" | tr -d '\\' || true)
  field() { grep -o "\"$1\":[0-9.]*" <<<"$2" | head -1 | cut -d: -f2; }
  hours=$(field cpu_seconds "$provenance" | awk '{ printf "%.1f", $1 / 3600 }')
  row "$(basename "$(dirname "$model")")/$(basename "$model")" "$(field parameters "$shown")" "$(bytes "$model")" "$(field tokens "$provenance")" "${hours:--}" "${cells[@]}"
done

[ -n "$online" ] || exit 0
cells=()
for name in "${parts[@]}"; do
  # The learning rate and the rest were chosen on WikiText-2's validation part (docs/recipes.md).
  case " $online " in
    *" $name "*) cells+=("$("$bin/online_score" "$1" "$work/$name.txt" --out "$work/online-$name" --quiet |
      grep -o '"bits_per_byte":[0-9.]*' | cut -d: -f2 | xargs printf '%.4f')") ;;
    *) cells+=("-") ;;
  esac
done
row "$(basename "$(dirname "$1")")/$(basename "$1"), learning as it reads" - - - - "${cells[@]}"
