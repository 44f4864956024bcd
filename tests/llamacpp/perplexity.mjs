// perplexity.mjs BANTAM TEXT LIMIT MODEL...: the perplexity of files on a text (its first LIMIT bytes; 0: all), by us and by
// llama.cpp, and what each file loses beside the first. Exit code 1 where the two differ by more than 0.1 %.
import {readFileSync, mkdtempSync, rmSync, statSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {basename, dirname, join} from "node:path";
import {bantam, openModel, perplexity} from "./llama.mjs";

const [program, path, limit, ...models] = process.argv.slice(2);
if (models.length === 0) {
  console.error("use: perplexity.mjs BANTAM TEXT LIMIT MODEL...");
  process.exit(2);
}
const window = 512;
const bytes = readFileSync(path);
let end = Number(limit) > 0 ? Math.min(Number(limit), bytes.length) : bytes.length;
while (end < bytes.length && (bytes[end] & 0xc0) === 0x80) --end;  // not inside a character
const folder = mkdtempSync(join(tmpdir(), "bantam-")), text = join(folder, "text");
writeFileSync(text, bytes.subarray(0, end));
process.on("exit", () => rmSync(folder, {recursive: true, force: true}));

console.log(`${basename(path)}: ${end} bytes${end < bytes.length ? ` of ${bytes.length}` : ""}, windows of ${window} tokens`);
console.log("| model | bytes | tokens scored | perplexity here | llama.cpp | differ by | beside the first |");
console.log("|---|---|---|---|---|---|---|");
let first, worst = 0;
for (const model of models) {
  const ours = await bantam(program, ["eval", model, "--text", text, "--halves", "--window", String(window), "-q"]);
  const opened = await openModel(model);
  const {ids} = await bantam(program, ["tokenize", model, "--file", text]);
  const show = (share) => process.stderr.isTTY && process.stderr.write(`\r${model}: ${(100 * share).toFixed(0)} % `);
  const theirs = await perplexity(opened, ids, window, show);
  await opened.model.dispose();
  const differ = Math.abs(ours.perplexity / theirs.perplexity - 1);
  worst = Math.max(worst, differ, ours.tokens_scored === theirs.scored ? 0 : 1);
  first ??= ours.perplexity;
  console.log(`| ${basename(dirname(model))}/${basename(model)} | ${statSync(model).size} | ${ours.tokens_scored} | ` +
              `${ours.perplexity.toFixed(4)} | ${theirs.perplexity.toFixed(4)} | ${(100 * differ).toFixed(4)} % | ` +
              `${(100 * (ours.perplexity / first - 1)).toFixed(2)} % |`);
}
process.exit(worst > 1e-3 ? 1 : 0);
