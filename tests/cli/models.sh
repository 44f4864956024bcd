#!/bin/bash
# What the verbs print about models, and that their forms agree with each other.
. "$(dirname "$0")/lib.sh"
labels=refund,login,other
"$WRITE_MODEL" plain.gguf
"$WRITE_MODEL" task.gguf --labels "$labels"
"$WRITE_MODEL" llm.gguf --labels "$labels" --seed 2

# tokenize: argument, file and pipe agree; bytes of the random vocabulary stand for themselves.
run 0 tokenize plain.gguf "Zoë 1" --json
cp out by-argument
printf 'Zoë 1' > text.txt
run 0 tokenize plain.gguf --file text.txt --json
cmp -s out by-argument || complain "tokenize --file differs"
cp text.txt in
run 0 tokenize plain.gguf --json
cmp -s out by-argument || complain "tokenize from a pipe differs"
rm in
grep -qE '^\{"ids":\[[0-9, ]+\]\}$' by-argument || complain "tokenize: $(cat by-argument)"
run 0 tokenize task.gguf refund --task
out_has "<|answer|>"
run 0 tokenize task.gguf refund --task --json
out_has '"choices":[['

# run: the same seed gives the same text, another seed another; greedy needs none. A pipe is a prompt.
run 0 run plain.gguf hello --max-tokens 12 --temp 1 --seed 3 --json
cp out first
run 0 run plain.gguf hello --max-tokens 12 --temp 1 --seed 3 --json --threads 1
same "$(sed 's/"seconds".*//' out)" "$(sed 's/"seconds".*//' first)" "two runs with one seed"
run 0 run plain.gguf hello --max-tokens 12 --temp 1 --seed 4 --json
[ "$(sed 's/"seconds".*//' out)" != "$(sed 's/"seconds".*//' first)" ] || complain "two seeds gave one text"
printf hello > in
run 0 run plain.gguf --max-tokens 12 --temp 1 --seed 3 --json
same "$(sed 's/"seconds".*//' out)" "$(sed 's/"seconds".*//' first)" "prompt from a pipe"
rm in
run 0 run plain.gguf hello --max-tokens 4
err_empty   # messages only where there is a terminal
run 0 run plain.gguf hello --choices "yes,no,yes please" --json
out_has '"probabilities":[{"label":'
run 0 run task.gguf "I want my money back" --json
out_has '"confidence":'
run 0 run task.gguf "I want my money back"
grep -qE '^(refund|login|other)$' out || complain "a task answered '$(cat out)'"

# run --draft: the same text, with a draft model and with prompt lookup; vocabularies have to be the same.
"$WRITE_MODEL" draft.gguf --seed 9
text_of() { sed 's/.*"text":\(.*\),"finish".*/\1/' out; }
for sampling in "--temp 0" "--temp 1 --seed 3"; do
  run 0 run plain.gguf "hello hello hello" --max-tokens 60 $sampling --json
  text_of > without
  for draft in draft.gguf plain.gguf lookup; do
    run 0 run plain.gguf "hello hello hello" --max-tokens 60 $sampling --draft $draft --json
    same "$(text_of)" "$(cat without)" "text with --draft $draft"
  done
done
run 0 run plain.gguf "hello hello hello" --max-tokens 60 --draft plain.gguf --json
out_has '"accepted_tokens":'
run 1 run plain.gguf hello --draft task.gguf
err_has "--draft: task.gguf: found"
run 1 run task.gguf hello --draft task.gguf
err_has "labels"

# embed: one object a line; the lines of a file give what each gives alone.
run 0 embed plain.gguf hello
cp out alone
grep -qE '^\{"embedding":\[-?[0-9.e,-]+\],"tokens":[0-9]+\}$' alone || complain "embed: $(cat alone)"
printf 'hello\n\nother words\n' > lines.txt
run 0 embed plain.gguf --file lines.txt
[ "$(wc -l < out)" = 2 ] || complain "embed --file: $(wc -l < out) lines of two texts"
same "$(head -1 out)" "$(cat alone)" "embed of a line"

# A prompt that does not fit is refused with the figures, never cut.
head -c 5000 /dev/zero | tr '\0' a > in
run 1 run plain.gguf
err_has 256
rm in

# quantize, show
run 0 quantize plain.gguf q8.gguf --type q8_0 --json
out_has '"fell_back":""'
run 0 show q8.gguf
out_has "Q8_0"
run 0 show q8.gguf --memory --json
out_has '"kv_cache":'
run 0 show task.gguf --tensors
out_has "bantam.task.labels"
[ "$(stat -c %s q8.gguf)" -lt "$(stat -c %s plain.gguf)" ] || complain "q8_0 is not smaller"

# eval on text: both ways of windows, and a random model is no better than guessing bytes.
head -c 3000 "$WRITE_MODEL" | base64 > text.txt
run 0 eval plain.gguf --text text.txt --json -q
out_has '"bits_per_byte":'
out_has "\"bytes_scored\":$(stat -c %s text.txt)"
err_empty
run 0 eval plain.gguf --text text.txt --window 64 --halves
out_has "perplexity"
value() { sed -n "s/.*\"$1\":\([-0-9.e+]*\).*/\1/p" out; }
for stride in 1 50 63; do  # every token once, whatever the stride
  run 0 eval plain.gguf --text text.txt --window 64 --stride "$stride" --json -q
  same "$(value tokens_scored)" "$(value tokens)" "tokens scored at stride $stride"
done
head -c 60 text.txt > short.txt
run 0 eval plain.gguf --text short.txt --window 128 --stride 1 --json -q
whole="$(value perplexity)"
run 0 eval plain.gguf --text short.txt --window 128 --stride 100 --json -q
same "$(value perplexity)" "$whole" "perplexity of a text within one window"
run 1 eval plain.gguf --text text.txt --window 64 --stride 64
err_has "--stride"
run 1 eval plain.gguf --text text.txt --window 9999
err_has "256"

# eval, compare and calibrate on labelled data
{ echo "text,label"; for i in $(seq 300); do for label in ${labels//,/ }; do echo "ticket $i about $label,$label"; done; done; } > data.csv
run 0 eval task.gguf --data data.csv --json
out_has '"n":900'
err_has "900/900"
run 0 compare task.gguf llm.gguf --data data.csv --train data.csv --html report.html
out_has "linear baseline"
[ -s report.html ] || complain "no HTML report"
run 0 compare task.gguf llm.gguf --data data.csv --json -q
out_has '"candidates":'
err_empty
run 0 calibrate task.gguf --data data.csv --out calibrated.gguf --json
out_has '"temperature":'
run 0 show calibrated.gguf
out_has "bantam.calibration.temperature"

# A certificate: refused with the number needed where there are too few examples, written into the file where there are enough.
run 1 calibrate task.gguf --data data.csv --error 0.001
err_has "needs at least 3744 examples, found 900"
run 2 calibrate task.gguf --data data.csv --error 0.01 --target 0.9 --llm llm.gguf
run 2 calibrate task.gguf --data data.csv --error 0.01 --reference llm
run 0 calibrate task.gguf --data data.csv --llm task.gguf --reference llm --error 0.05 --out certified.gguf
out_has "certificate: of the answers"
run 0 show certified.gguf --json
out_has '"reference":"llm"'
# A learned confidence: of labels, and of free text with samples; written into the file, gone with another calibration.
run 0 calibrate task.gguf --data data.csv --learned --out learned.gguf
out_has "learned confidence: calibration error"
out_has "on 450 examples"
run 0 show learned.gguf
out_has "bantam.confidence.weights"
run 0 calibrate learned.gguf --data data.csv --json
run 0 show learned.gguf
! grep -q bantam.confidence out || complain "a learned confidence outlived its calibration"
run 1 calibrate task.gguf --data data.csv --learned --samples 2
err_has "nothing to sample"
run 2 calibrate task.gguf --data data.csv --learned --llm llm.gguf
run 2 calibrate task.gguf --data data.csv --samples 2
# Half of the expected answers are what the model says.
{ echo "text,label"; for i in $(seq 120); do
    said=never
    [ $((i % 2)) = 0 ] || said=$("$BANTAM" run plain.gguf "q$i" -n 3 --raw | tr -cd '[:alnum:]')
    printf 'q%s,%s\n' "$i" "${said:-never}"
  done; } > free.csv
run 0 calibrate plain.gguf --data free.csv --learned --samples 2 -n 3 --out learned.gguf --json
out_has '"tested":60'
out_has '"name":"agreement"'
run 1 eval plain.gguf --data data.csv
err_has "bantam.task.kind"

run 0 bench plain.gguf --prompt 32 --gen 8 --reps 2 --vs 'echo "{\"prefill\": 1, \"decode\": 1}"' --json
out_has '"prefill_ratio":'
run 1 bench plain.gguf --prompt 32 --gen 8 --reps 1 --vs false
err_has "--vs"

finish
