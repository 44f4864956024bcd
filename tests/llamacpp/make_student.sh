#!/bin/bash
# make_student.sh GENERATE_TICKETS BANTAM FOLDER: tickets.csv and model/student.gguf in a fresh FOLDER.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)" generate="$1" bantam="$2" folder="$3"
rm -rf "$folder"
mkdir -p "$folder"
"$generate" --grammar "$here/../../recipes/helpdesk/tickets.grammar" --count 3000 --seed 5 --out "$folder/tickets.csv"
"$bantam" make "$here/recipe.toml" --data "$folder/tickets.csv" --out "$folder/model"
