#!/bin/sh
# recipes/routing/run.sh DATA OUT: the tables of routing, by 5-fold cross-validation, on real graded answers. DATA holds the folders
# routellm-pairs (github.com/lm-sys/RouteLLM) and zeroeval-outputs (github.com/WildEval/ZeroEval); OUT is where what is unpacked goes.
# BANTAM names the program (default: bantam).
set -eu
data=$1 out=$2 bantam=${BANTAM:-bantam}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
pair=mistralai/Mixtral-8x7B-Instruct-v0.1,gpt-4-1106-preview

xz -dc "$data/routellm-pairs/mmlu_responses.csv.xz" > "$out/mmlu.csv"
cp "$data/routellm-pairs/gsm8k_responses.csv" "$out/gsm8k.csv"
chmod u+w "$out/gsm8k.csv"
node "$here/mt_bench.mjs" "$data/routellm-pairs/mt_bench_question.jsonl" "$data/routellm-pairs/mt_bench_judgements.jsonl" \
  > "$out/mt_bench.jsonl"
"$bantam" route eval -q --data "$out/mmlu.csv" --models "$pair"
"$bantam" route eval -q --data "$out/gsm8k.csv" --models "$pair"
"$bantam" route eval -q --data "$out/mt_bench.jsonl" --scale 10
cat <<'TABLE'
RouteLLM (Ong et al. 2024, arXiv:2406.18665), its best router on the same questions; MT-Bench and MMLU as others quote the paper's
tables (the paper itself was not at hand), GSM8K as remembered and not checked:
  MMLU      APGR 0.603, CPT(50 %) 35.4 %   (trained on Chatbot Arena and MMLU's validation part)
  GSM8K     APGR 0.622, CPT(50 %) 34 %     (trained on Chatbot Arena and judged answers; unchecked)
  MT-Bench  APGR 0.802, CPT(50 %) 13.4 %   (likewise)
Theirs never saw these benchmarks' questions; ours learned from the other four fifths of each. The same measure, not the same task.

TABLE
for task in gsm math-l5 crux; do
  xz -dc "$data/zeroeval-outputs/${task}_outputs.jsonl.xz" > "$out/${task}_outputs.jsonl"
  "$bantam" route eval -q --data "$data/zeroeval-outputs/${task}_correct.csv" --input id \
    --texts "$data/zeroeval-outputs/${task}_questions.jsonl" --text question --outputs "$out/${task}_outputs.jsonl" \
    --prices "$here/prices.toml"
done
