#!/bin/bash
# Help, exit codes, and the order flag, environment, config file.
. "$(dirname "$0")/lib.sh"

verbs=(run serve eval compare bench quantize calibrate tokenize show import embed route ledger key audit)
run 0 --help
for verb in "${verbs[@]}" make train distill prune; do out_has "  $verb "; done
for verb in "${verbs[@]}"; do
  run 0 "$verb" --help
  out_has "bantam $verb "   # an example
  out_has "--quiet"
  err_empty
done
for verb in run eval compare bench quantize calibrate tokenize show; do
  run 0 "$verb" --help
  out_has "--json"
done
run 0 --version
out_has "bantam "

run 2
run 2 rnu
run 2 run
err_has "bantam run --help"
out_empty
run 2 run model.gguf --no-such-flag
run 2 run model.gguf --temp warm
run 2 tokenize model.gguf text --file also.txt
run 2 eval model.gguf
run 2 eval model.gguf --data a.csv --text b.txt
run 2 quantize a.gguf b.gguf --type q3_x
err_has "Q8_0"

"$WRITE_MODEL" model.gguf
run 2 run model.gguf hello --temp -1
run 0 run model.gguf hello --max-tokens 2 --json
run 2 run model.gguf hello --mirostat 2 --top-k 5
err_has "mirostat"
run 2 run model.gguf hello --logit-bias 5
err_has "15043+1"
run 2 run model.gguf hello --json-schema '{}' --regex a
run 1 run model.gguf hello --json-schema '{"contains": 1}'
err_has "contains"
run 1 run model.gguf hello --json-schema '{}' --choices a,b
run 0 run model.gguf hello --temp 1 --typical 0.9 --xtc-probability 0.1 --dry-multiplier 0.8 --repeat-penalty 1.1 --max-tokens 5 --json
for seed in 1 2 3; do
  run 0 run model.gguf hello --regex '(ab|ba){2}' --temp 1 --seed "$seed" --quiet
  grep -Eqx '(ab|ba){2}' out || complain "--regex: $(cat out)"
  printf '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false}' > schema.json
  run 0 run model.gguf hello --json-schema-file schema.json --temp 1 --seed "$seed" --max-tokens 200 --quiet
  tr -d ' \n\t' < out | grep -Eqx '\{"ok":(true|false)\}' || complain "--json-schema-file: $(cat out)"
done
run 2 run model.gguf hello --json-schema-file none.json
err_has "none.json"
# The likeliest token, forbidden, does not come.
run 0 run model.gguf hello --max-tokens 1 --json
first=$(sed -n 's/.*"tokens":\[\([0-9]*\)\].*/\1/p' out)
run 0 run model.gguf hello --max-tokens 1 --json --logit-bias "$first-inf"
! grep -qF "\"tokens\":[$first]" out || complain "--logit-bias: token $first came all the same"
printf 'max-tokens = 3\n[run]\nraw = true\n' > config.toml
count() { sed -n 's/.*"completion_tokens":\([0-9]*\).*/\1/p' out; }
run 0 run model.gguf hello --json --config config.toml
same "$(count)" 3 "tokens by the config file"
BANTAM_MAX_TOKENS=4 run 0 run model.gguf hello --json --config config.toml
same "$(count)" 4 "tokens by the environment"
BANTAM_MAX_TOKENS=4 run 0 run model.gguf hello --json --config config.toml --max-tokens 5
same "$(count)" 5 "tokens by the flag"
printf 'max-tokenz = 3\n' > config.toml
run 2 run model.gguf hello --config config.toml
err_has "config.toml:1: max-tokenz"

# The verbs of bantam-train say what is missing where there is none.
cp "$BANTAM" ./bantam-alone
code=0
PATH=/nowhere ./bantam-alone make recipe.toml > out 2> err || code=$?
same "$code" 1 "exit code without bantam-train"
err_has "bantam-train"
out_empty

finish
