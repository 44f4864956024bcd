#!/bin/bash
# run: adapters, states in files, texts longer than the context.
. "$(dirname "$0")/lib.sh"
random_adapter="$(dirname "$BANTAM")/random_adapter"
"$WRITE_MODEL" plain.gguf
"$WRITE_MODEL" other.gguf --seed 2
text_of() { sed 's/.*"text":\(.*\),"finish".*/\1/' out; }

# --lora: a file and how much of it; merged it says the same; what does not fit is named.
"$random_adapter" plain.gguf one.gguf --seed 5 --rank 4
"$random_adapter" plain.gguf two.gguf --seed 6 --rank 2 --table
run 0 run plain.gguf "hello there" --max-tokens 30 --json
text_of > without
run 0 run plain.gguf "hello there" --max-tokens 30 --json --lora one.gguf:0 --lora two.gguf:0
same "$(text_of)" "$(cat without)" "text with adapters at 0"
run 0 run plain.gguf "hello there" --max-tokens 30 --json --lora one.gguf --lora two.gguf:0.5
text_of > beside
[ "$(cat beside)" != "$(cat without)" ] || complain "adapters change nothing"
run 0 quantize plain.gguf merged.gguf --type f32 --lora one.gguf --lora two.gguf:0.5
run 0 run merged.gguf "hello there" --max-tokens 30 --json
same "$(text_of)" "$(cat beside)" "text of the merged model"
run 1 run plain.gguf hello --lora missing.gguf
err_has "missing.gguf"
run 1 run plain.gguf hello --lora other.gguf
err_has "other.gguf: general.type"
run 2 run plain.gguf hello --lora :2
err_has "--lora"

# --save-state and --load-state: the same text, without reading its beginning again.
run 0 run plain.gguf "hello there, how" --max-tokens 5 --json --save-state s.state
run 0 run plain.gguf "hello there, how are you" --max-tokens 20 --json
text_of > afresh
run 0 run plain.gguf "hello there, how are you" --max-tokens 20 --json --load-state s.state
same "$(text_of)" "$(cat afresh)" "text from a state"
run 1 run other.gguf hello --load-state s.state
err_has "s.state: found the state of another model"
run 1 run plain.gguf hello --load-state s.state --lora one.gguf
err_has "other adapters"
head -c 500 s.state > cut.state
run 1 run plain.gguf hello --load-state cut.state
err_has "cut.state"
run 1 run plain.gguf hello --load-state missing.state
err_has "missing.state"
run 1 run plain.gguf hello --save-state no/such/folder/x.state
err_has "x.state"

# --context-shift: past the end, and said so.
run 0 run plain.gguf "hello there" --max-tokens 100 --context 64 --json --temp 1 --seed 1
out_has '"finish":"length"'
run 0 run plain.gguf "hello there" --max-tokens 300 --context 64 --json --temp 1 --seed 1 --context-shift --keep 3 --logit-bias 0-inf
out_has '"completion_tokens":300'
out_has "were forgotten on the way"
run 2 run plain.gguf hello --keep 3
err_has "--context-shift"
run 1 run plain.gguf hello --context 64 --context-shift --keep 64
err_has "64 tokens to keep"
finish
