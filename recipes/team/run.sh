#!/usr/bin/env bash
# The strategies of a team beside its two models alone, on tickets (labels) and on table bookings (free text), each with a
# table: accuracy with its interval, share of the LLM, cost, latency. The LLM answers behind HTTP in a process of its own.
#   recipes/team/run.sh BIN WORK
# BIN: folder of the programs (build/release/bin, bantam-train among them for the first run). WORK: a folder for models, data
# and answers; models that are there are used again. COUNT (default 500): examples of each table. TASKS: tickets, bookings, text. The prices of
# tokens are made up: the LLM's are 20 times the SLM's.
# The task `text` takes any two models for free text and any questions with answers:
#   TASKS=text SLM=small.gguf LLM=large.gguf DATA=questions.csv recipes/team/run.sh BIN WORK
# with INPUT and ANSWER (columns; default: text, answer), SUFFIX (put behind each text), MAX_TOKENS (default 64), MATCH (when an answer
# is right: equal, normalised, words; default normalised), CALIBRATE (examples from the beginning of DATA for thresholds and router).
set -euo pipefail
[ $# -eq 2 ] || { sed -n 2,13p "$0" >&2; exit 2; }
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
  rm -f "$log"  # or the loop below could still read where an earlier server listened
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
# The LLM once more, in the server of the teams: what speculative decoding needs, and is held against.
llm_here() { printf '[[models]]\nname = "llm-here"\npath = "%s"\nthreads = 1\nsessions = 2\nprices = { prompt = 1, completion = 4 }\n' "$1"; }
speculation() {
  [ -z "$shared" ] || printf '[[teams]]\nname = "speculative"\nstrategy = "speculative"\nslm = "slm"\nllm = "llm-here"\n'
  printf '[[teams]]\nname = "lookup"\nstrategy = "speculative"\ndraft = "lookup"\nllm = "llm-here"\n'
}
# A learned router from graded answers, at 99 % of the LLM's mean grade: grades_file. Names its file in $router; empty where nothing can be
# learned (every grade the same).
learn_router() {
  router=$work/router.gguf
  rm -f "$router"
  "$bin/bantam" route eval -q --data "$1" --models slm,llm >&3 || true
  echo >&3
  "$bin/bantam" route train -q --data "$1" --models slm,llm --out "$router" >"$work/router.log" 2>&1 ||
    { cat "$work/router.log" >&2; router=; return; }
  accuracy=$(sed 's/.*"quality":{\([^}]*\)}.*/\1/; s/.*"llm":\([01]\).*/\1/' "$1" | awk '{ sum += $1 } END { print NR ? 0.99 * sum / NR : 0 }')
}
routes() { # rule
  printf '[[teams]]\nname = "route-rules"\nstrategy = "routing"\nmodels = ["slm", "llm"]\nrules = [%s]\n' "$1"
  [ -z "$router" ] || printf '[[teams]]\nname = "route-learned"\nstrategy = "routing"\nmodels = ["slm", "llm"]\nrouter = "%s"\naccuracy = %s\n' "$router" "$accuracy"
}
team() { printf '[[teams]]\nslm = "slm"\nllm = "llm"\nname = "%s"\nstrategy = "%s"\n' "$1" "$2"; cat; }

table() { "$bin/team_table" --url "$url" --count "$count" "$@" | tee -a "$work/tables.md" >&3; echo >&3; }

tickets() {
  make_tickets
  # Other tickets of the same grammar than those the models were made from.
  "$bin/generate_tickets" --grammar "$here/../helpdesk/tickets.grammar" --seed 77 --count 3000 --quiet --out "$work/tickets-test.csv"
  # The router learns from tickets that no table uses.
  models "$work/tickets/teacher.gguf" "$work/tickets/student.gguf" >"$work/team.toml"
  serve "$work/team.toml"
  "$bin/team_table" --url "$url" --data "$work/tickets-test.csv" --answer intent --count "${CALIBRATE:-800}" --skip 2000 \
    --models slm llm --grades "$work/tickets-grades.jsonl" >/dev/null
  stop
  learn_router "$work/tickets-grades.jsonl"
  {
    models "$work/tickets/teacher.gguf" "$work/tickets/student.gguf"
    routes '{ model = "slm", max_bytes = 60 }'
    team cascade cascade </dev/null
    team cascade-margin cascade <<<$'confidence = "margin"\nthreshold = 0.9'
    team draft draft <<<$'prompt = "{request}"\ndoubt = 0.9'
    team verify verify <<<$'hold_back = 1'
    team verify-now verify <<<$'hold_back = 0\ncorrection = " -> {answer}"'
  } >"$work/team.toml"
  serve "$work/team.toml"
  table --data "$work/tickets-test.csv" --answer intent --correction " -> " --out "$work/tickets-answers.jsonl" \
    --title "Tickets: one of 25 labels" --models slm llm route-rules ${router:+route-learned} cascade cascade-margin draft verify verify-now
  stop
}
# Free text. Thresholds and router come from the first CALIBRATE examples, the table from the others: title answers_file rule data_flags…
free_text() {
  local by title=$1 answers=$2 rule=$3 kinds="sequence least_token samples" calibrate=${CALIBRATE:-800}
  shift 3
  local data=("$@") shared=
  if "$bin/bantam" run "$llm" x -n 1 --raw --draft "$slm" >/dev/null 2>"$work/draft.log"; then shared=1; else cat "$work/draft.log" >&2; fi
  {
    models "$llm" "$slm"
    for by in $kinds; do team "$by" cascade <<<"confidence = \"$by\""$'\nthreshold = 0'; done
  } >"$work/team.toml"
  serve "$work/team.toml"
  declare -A threshold
  for by in $kinds; do
    threshold[$by]=$("$bin/team_table" --url "$url" "${data[@]}" --count "$calibrate" --models "$by" llm --target 0.99 || echo 1)
  done
  "$bin/team_table" --url "$url" "${data[@]}" --count "$calibrate" --models slm llm --grades "$work/grades.jsonl" >/dev/null
  stop
  learn_router "$work/grades.jsonl"
  {
    models "$llm" "$slm"
    llm_here "$llm"
    routes "$rule"
    speculation
    for by in $kinds; do team "cascade-$by" cascade <<<"confidence = \"$by\""$'\nthreshold = '"${threshold[$by]}"; done
    "$teams"
    team verify-final verify <<<$'hold_back = 0\ncorrection = " -> {answer}"'
    team verify-held verify </dev/null
  } >"$work/team.toml"
  serve "$work/team.toml"
  table "${data[@]}" --skip "$calibrate" --correction " -> " --here llm-here --out "$answers" --title "$title" \
    --models slm llm route-rules ${router:+route-learned} cascade-sequence cascade-least_token cascade-samples $names verify-final verify-held \
    llm-here ${shared:+speculative} lookup
  stop
}
bookings_teams() {
  team draft-mend draft <<<$'doubt = 0.8\nopen_mark = "("\nclose_mark = ")"\nprompt = "~{marked}\\n{request}"'
  team draft-complete draft <<<$'finish = "complete"\ndoubt = 0.8\nprompt = "{request}{kept}"'
  team check check <<<$'split = "words"\nby = "llm"\nunsupported = "send_up"\nparallel = 4\ncheck_prompt = "? {claim}\\n{sources}"\nprompt = "{request}"\nyes = " yes"\nno = " no"'
}
bookings() {
  make_bookings
  local slm=$work/bookings/small/model.gguf llm=$work/bookings/large/model.gguf
  local teams=bookings_teams names="draft-mend draft-complete check"
  free_text "Bookings: a message to its line (free text; equal text counts as right)" "$work/bookings-answers.jsonl" \
    '{ model = "slm", max_bytes = 60 }' --data "$work/bookings/bookings.csv" --suffix $'\n=>' --max-tokens 60
  {
    models "$llm" "$slm"
    team filter filter <<<$'by_paragraph = true\nparallel = 4\nkeep_at = 0.3\npick_prompt = "> {question}\\n{text}\\n=>"\npassage = "{text}\\n"\nprompt = "> {question}\\n{passages}=>"\nyes = " yes"\nno = " no"'
  } >"$work/team.toml"
  serve "$work/team.toml"
  table --data "$work/bookings/piles.csv" --material material --input question --alone $'> {input}\n{material}\n=>' --max-tokens 60 --out "$work/piles-answers.jsonl" \
    --title "Piles: the booking of one of four guests; the models alone read all four messages" --models slm llm filter
  stop
}
# Any two models, with the teams' own prompts.
text_teams() {
  team draft-mend draft </dev/null
  team draft-complete draft <<<'finish = "complete"'
  team check check <<<'unsupported = "send_up"'
}
text() {
  local slm llm data teams=text_teams names="draft-mend draft-complete check"
  slm=$(realpath "${SLM:?the task text needs SLM, a model file}") llm=$(realpath "${LLM:?the task text needs LLM, a model file}")
  data=$(realpath "${DATA:?the task text needs DATA, a CSV of questions and answers}")
  free_text "$(basename "$data"): $(basename "$slm") and $(basename "$llm") (free text; ${MATCH:-normalised})" "$work/text-answers.jsonl" \
    '{ model = "slm", max_bytes = 60 }' --data "$data" --input "${INPUT:-text}" --answer "${ANSWER:-answer}" --suffix "${SUFFIX:-}" \
    --max-tokens "${MAX_TOKENS:-64}" --match "${MATCH:-normalised}"
}
: >"$work/tables.md"
for task in ${TASKS:-tickets bookings}; do "$task"; done
