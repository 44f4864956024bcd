// foreign_model.mjs BANTAM MODEL: a model we did not make: same ids for the same text, same 200 greedy tokens, same perplexity.
import assert from "node:assert/strict";
import {existsSync, mkdtempSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {bantam, greedy, openModel, perplexity} from "./llama.mjs";

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

const window = 64, {ids} = await bantam(program, ["tokenize", path, ours.text]);
const {perplexity: expected, scored} = await perplexity(opened, ids, window);
const folder = mkdtempSync(join(tmpdir(), "bantam-"));
writeFileSync(join(folder, "text"), ours.text);
const measured = await bantam(program, ["eval", path, "--text", join(folder, "text"), "--halves", "--window", String(window), "-q"]);
rmSync(folder, {recursive: true});
assert.equal(measured.tokens_scored, scored);
assert.ok(Math.abs(measured.perplexity / expected - 1) < 1e-3, `perplexity ${measured.perplexity}, llama.cpp's ${expected}`);

console.log(`${texts.length} texts with equal ids, ${theirs.length} equal greedy tokens, perplexity ${measured.perplexity.toFixed(4)} ` +
            `here and ${expected.toFixed(4)} there over ${scored} tokens`);
process.exit(0);
