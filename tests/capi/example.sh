#!/bin/bash
# example.sh EXAMPLE BANTAM WRITE_MODEL FOLDER: the example's text is what `bantam run` writes; its errors are the library's.
set -euo pipefail
example="$1" bantam="$2" write_model="$3" folder="$4"
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"
"$write_model" plain.gguf
"$example" plain.gguf "hello there" > found
"$bantam" run plain.gguf "hello there" --max-tokens 64 --raw > expected
head -c -1 expected > text  # without the line's end
head -c "$(stat -c %s text)" found | cmp - text
tail -n 1 found | grep -qE '^\[[0-9]+ tokens\]$'
code=0
"$example" missing.gguf hello > out 2> err || code=$?
[ "$code" = 1 ] && grep -q "missing.gguf" err
head -c 1000 plain.gguf > cut.gguf
! "$example" cut.gguf hello > out 2> err
grep -q "cut.gguf" err
! "$example" plain.gguf "$(head -c 3000 /dev/zero | tr '\0' a)" > out 2> err
grep -q "expected" err
if [ -w /dev/full ]; then ! "$example" plain.gguf hello > /dev/full 2> err; fi || true
echo "all checks passed"
