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
# fails TEXT ARGUMENT…: the example ends with 1 and says TEXT on standard error.
fails() {
  local text="$1" code=0; shift
  "$example" "$@" > out 2> err || code=$?
  [ "$code" = 1 ] || { echo "$*: exit code $code, expected 1" >&2; exit 1; }
  grep -q "$text" err || { cat err >&2; echo "$*: expected '$text' on standard error" >&2; exit 1; }
}
fails "missing.gguf" missing.gguf hello
head -c 1000 plain.gguf > cut.gguf
fails "cut.gguf" cut.gguf hello
fails "expected" plain.gguf "$(head -c 3000 /dev/zero | tr '\0' a)"
echo "all checks passed"
