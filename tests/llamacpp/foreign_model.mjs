// foreign_model.mjs BANTAM MODEL: a model we did not make: same ids for the same text, same 200 greedy tokens.
import assert from "node:assert/strict";
import {existsSync} from "node:fs";
import {bantam, greedy, openModel} from "./llama.mjs";

const [program, path] = process.argv.slice(2);
if (!existsSync(path)) {
  console.log(`skipped: ${path} is not on this machine`);
  process.exit(77);
}
const opened = await openModel(path);
const {model} = opened;

const texts = ["Once upon a time", "  two spaces, then\ta tab\nand a line", "Zoë's naïve café — 12.5 €", "日本語 🙂", "a", " "];
for (const text of texts) {
  const {ids} = await bantam(program, ["tokenize", path, text, "--no-special"]);
  assert.deepEqual(ids, model.tokenize(text, false), `ids of ${JSON.stringify(text)}`);
}

const text = "Once upon a time";
const {ids: prompt} = await bantam(program, ["tokenize", path, text]);
assert.equal(prompt[0], model.tokens.bos);
const theirs = await greedy(opened, prompt, 200);
const ours = await bantam(program, ["run", path, text, "--raw", "--max-tokens", "200", "--temp", "0"]);
assert.equal(theirs.length, 200);
assert.deepEqual(ours.tokens, theirs);
console.log(`${texts.length} texts with equal ids, ${theirs.length} equal greedy tokens`);
process.exit(0);
