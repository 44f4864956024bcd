#!/usr/bin/env bash
# The strategies of a team beside its two models alone, on tickets (labels) and on table bookings (free text), each with a
# table: accuracy with its interval, share of the LLM, cost, latency. The LLM answers behind HTTP in a process of its own.
#   recipes/team/run.sh BIN WORK
# BIN: folder of the programs (build/release/bin, bantam-train among them for the first run). WORK: a folder for models, data
# and answers; models that are there are used again. COUNT (default 500): examples of each table. TASKS: tickets, bookings. The prices of
# tokens are made up: the LLM's are 20 times the SLM's.
set -euo pipefail
[ $# -eq 2 ] || { sed -n 2,8p "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd) work=$2 count=${COUNT:-500}
mkdir -p "$work"; work=$(cd "$work" && pwd)
train=${BANTAM_TRAIN_BIN:-$bin}
exec 3>&1

make_tickets() {
  [ -f "$work/tickets/student.gguf" ] && return
  "$bin/generate_tickets" --grammar "$here/../helpdesk/tickets.grammar" --seed 5 --count 24000 --quiet --out "$work/tickets.csv"
  "$train/bantam" make "$here/tickets.toml" --data "$work/tickets.csv" --out "$work/tickets" >"$work/tickets.log"
}
make_bookings() {
  local b=$work/bookings
  [ -f "$b/small/model.gguf" ] && return
  "$bin/generate_bookings" --seed 1 --out "$b"
  for size in large small; do
    "$train/bantam" train --lm "$here/bookings-$size.toml" --data "$b" --tokens "$b/tokens" --out "$b/$size"
  done
}

servers=()
stop() { for pid in "${servers[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done; servers=(); }
trap stop EXIT
trap 'exit 1' INT TERM
# Starts `bantam serve` on a free port; its URL is in $url.
serve() {
  local log="$1.log"
  "$bin/bantam" serve --config "$1" >"$log" 2>&1 &
  servers+=($!)
  for _ in $(seq 200); do
    url=$(grep -o 'listening on http://[^ ]*' "$log" | head -1 | cut -d' ' -f3 || true)
    [ -n "$url" ] && return
    kill -0 "${servers[-1]}" 2>/dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.1
  done
  echo "run.sh: no server after 20 s: $log" >&2; exit 1
}
# The two models: llm_file slm_file choices
models() {
  cat >"$work/llm.toml" <<EOF
[server]
port = 0
[[models]]
name = "llm"
path = "$1"
threads = 1
EOF
  serve "$work/llm.toml"
  cat <<EOF
[server]
port = 0
[[models]]
name = "slm"
path = "$2"
threads = 1
sessions = 4
prices = { prompt = 0.05, completion = 0.2 }
[[models]]
name = "llm"
url = "$url/v1"
choices = "guided_choice"
prices = { prompt = 1, completion = 4 }
EOF
}
team() { printf '[[teams]]\nslm = "slm"\nllm = "llm"\nname = "%s"\nstrategy = "%s"\n' "$1" "$2"; cat; }

table() { "$bin/team_table" --url "$url" --count "$count" "$@" | tee -a "$work/tables.md" >&3; echo >&3; }

tickets() {
  make_tickets
  # Other tickets of the same grammar than those the models were made from.
  "$bin/generate_tickets" --grammar "$here/../helpdesk/tickets.grammar" --seed 77 --count 3000 --quiet --out "$work/tickets-test.csv"
  {
    models "$work/tickets/teacher.gguf" "$work/tickets/student.gguf"
    team cascade cascade </dev/null
    team cascade-margin cascade <<<$'confidence = "margin"\nthreshold = 0.9'
    team draft draft <<<$'prompt = "{request}"\ndoubt = 0.9'
    team verify verify <<<$'hold_back = 1'
    team verify-now verify <<<$'hold_back = 0\ncorrection = " -> {answer}"'
  } >"$work/team.toml"
  serve "$work/team.toml"
  table --data "$work/tickets-test.csv" --answer intent --correction " -> " --out "$work/tickets-answers.jsonl" \
    --title "Tickets: one of 25 labels" --models slm llm cascade cascade-margin draft verify verify-now
  stop
}
bookings() {
  make_bookings
  local by kinds="sequence least_token samples" data=(--data "$work/bookings/bookings.csv" --suffix $'\n=>' --max-tokens 60)
  # Thresholds come from the first 800 messages, the table from the others.
  {
    models "$work/bookings/large/model.gguf" "$work/bookings/small/model.gguf"
    for by in $kinds; do team "$by" cascade <<<"confidence = \"$by\""$'\nthreshold = 0'; done
  } >"$work/team.toml"
  serve "$work/team.toml"
  declare -A threshold
  for by in $kinds; do
    threshold[$by]=$("$bin/team_table" --url "$url" "${data[@]}" --count ${CALIBRATE:-800} --models "$by" llm --target 0.99 || echo 1)
  done
  stop
  {
    models "$work/bookings/large/model.gguf" "$work/bookings/small/model.gguf"
    for by in $kinds; do team "cascade-$by" cascade <<<"confidence = \"$by\""$'\nthreshold = '"${threshold[$by]}"; done
    team draft-mend draft <<<$'doubt = 0.8\nopen_mark = "("\nclose_mark = ")"\nprompt = "~{marked}\\n{request}"'
    team draft-complete draft <<<$'finish = "complete"\ndoubt = 0.8\nprompt = "{request}{kept}"'
    team check check <<<$'split = "words"\nby = "llm"\nunsupported = "send_up"\nparallel = 4\ncheck_prompt = "? {claim}\\n{sources}"\nprompt = "{request}"\nyes = " yes"\nno = " no"'
    team verify-final verify <<<$'hold_back = 0\ncorrection = " -> {answer}"'
    team verify-held verify </dev/null
  } >"$work/team.toml"
  serve "$work/team.toml"
  table "${data[@]}" --skip 800 --correction " -> " \
    --out "$work/bookings-answers.jsonl" --title "Bookings: a message to its line (free text; equal text counts as right)" \
    --models slm llm cascade-sequence cascade-least_token cascade-samples draft-mend draft-complete check verify-final verify-held
  stop
  {
    models "$work/bookings/large/model.gguf" "$work/bookings/small/model.gguf"
    team filter filter <<<$'by_paragraph = true\nparallel = 4\nkeep_at = 0.3\npick_prompt = "> {question}\\n{text}\\n=>"\npassage = "{text}\\n"\nprompt = "> {question}\\n{passages}=>"\nyes = " yes"\nno = " no"'
  } >"$work/team.toml"
  serve "$work/team.toml"
  table --data "$work/bookings/piles.csv" --material material --input question --alone $'> {input}\n{material}\n=>' --max-tokens 60 --out "$work/piles-answers.jsonl" \
    --title "Piles: the booking of one of four guests; the models alone read all four messages" --models slm llm filter
  stop
}
: >"$work/tables.md"
for task in ${TASKS:-tickets bookings}; do "$task"; done
