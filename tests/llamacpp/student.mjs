// student.mjs BANTAM MODEL TICKETS.csv: a model we made loads in llama.cpp and gives the same ids, the same greedy tokens and the
// same ranking of the labels for 200 tickets.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {bantam, choiceScores, greedy, openModel} from "./llama.mjs";

const kTickets = 200;
const kGreedyTickets = 20;
// Two labels whose log-probabilities differ by less than this may change places. In F32 only the order of sums differs. Where the
// weights are quantized, both round activations to 8 bits, and a difference in the last bit of a float can round one the other way:
// llama.cpp's own ranking changes as much between its two cache types, which is measured beside.
const kTieF32 = 0.001, kTieQuantized = 0.05;

const [program, path, ticketsPath] = process.argv.slice(2);
const {task, metadata} = await bantam(program, ["show", path]);
const opened = await openModel(path, {contextSize: metadata["llama.context_length"]});
const {model} = opened;
const kTie = metadata["general.file_type"] === 0 ? kTieF32 : kTieQuantized;

/** The texts of a CSV file whose first column is the text (quotes doubled inside quotes). */
function readTexts(csv) {
  const rows = [...csv.matchAll(/(?:^|\n)(?:"((?:[^"]|"")*)"|([^,"\n]*)),/g)];
  return rows.slice(1).map(([, quoted, plain]) => (quoted !== undefined ? quoted.replaceAll('""', '"') : plain));
}

const texts = readTexts(readFileSync(ticketsPath, "utf8")).slice(0, kTickets);
assert.equal(texts.length, kTickets);
const {choices} = await bantam(program, ["tokenize", path, "--task", texts[0]]);
metadata["bantam.task.choices"].forEach((choice, i) => assert.equal(model.detokenize(choices[i]), choice));

const half = await openModel(path, {contextSize: metadata["llama.context_length"], cache: "F16"});
let ownSwaps = 0, ownWidest = 0;
let sameBest = 0, ties = 0, labelsCompared = 0, widest = 0;
for (const [i, text] of texts.entries()) {
  const {ids: prompt} = await bantam(program, ["tokenize", path, "--task", text]);
  const filled = metadata["bantam.task.prompt"].replace("{input}", () => text);
  const bos = model.tokens.shouldPrependBosToken ? [model.tokens.bos] : [];
  assert.deepEqual(prompt, [...bos, ...model.tokenize(filled, true)], `ids of ticket ${i}`);

  if (i < kGreedyTickets) {
    const ours = await bantam(program, ["run", path, filled, "--raw", "--parse-special", "--max-tokens", "16", "--temp", "0"]);
    assert.deepEqual(ours.tokens, await greedy(opened, prompt, 16), `greedy tokens of ticket ${i}`);
  }

  const {text: best, probabilities} = await bantam(program, ["run", path, text]);
  const scores = await choiceScores(opened, prompt, choices, model.tokens.eos);
  const theirs = new Map(task.labels.map((label, j) => [label, scores[j]]));
  const other = await choiceScores(half, prompt, choices, model.tokens.eos);
  const otherOrder = other.map((score, j) => [score, scores[j]]).sort(([a], [b]) => b - a);
  for (let j = 1; j < otherOrder.length; ++j) {
    const step = otherOrder[j - 1][1] - otherOrder[j][1];
    ownSwaps += step < 0 ? 1 : 0;
    ownWidest = Math.max(ownWidest, -step);
  }
  const ourOrder = probabilities.map(({label}) => label);
  assert.equal(ourOrder.length, task.labels.length);
  sameBest += theirs.get(best) === Math.max(...scores) ? 1 : 0;
  for (let j = 1; j < ourOrder.length; ++j) {
    const step = theirs.get(ourOrder[j - 1]) - theirs.get(ourOrder[j]);
    assert.ok(step > -kTie, `ticket ${i}: ${ourOrder[j - 1]} before ${ourOrder[j]} here, there ${-step} nats the other way`);
    ties += step < 0 ? 1 : 0;
    widest = Math.max(widest, -step);
    ++labelsCompared;
  }
}
console.log(`${texts.length} tickets: equal ids, ${sameBest} with the same first label, ${labelsCompared} pairs of neighbours in ` +
            `the ranking compared, ${ties} of them swapped (at most ${widest.toFixed(4)} nats apart); ${kGreedyTickets} equal greedy answers; ` +
            `llama.cpp with F16 beside F32 keys and values: ${ownSwaps} swapped (at most ${ownWidest.toFixed(4)} nats)`);
assert.ok(sameBest >= kTickets - 1);
process.exit(0);
