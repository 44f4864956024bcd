// exported.mjs DATA: the vocabularies of DATA/tokenizers/gguf and of DATA/models as the tokenizer.json that `bantam export` writes: our
// own reader and @huggingface/tokenizers give the ids of the GGUF.
import {execFileSync} from "node:child_process";
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {Tokenizer} from "@huggingface/tokenizers";
import {texts} from "./texts.mjs";

const data = process.argv[2];
const folders = [join(data, "tokenizers", "gguf"), join(data, "models")].filter((folder) => existsSync(folder));
const files = folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".gguf")).map((name) => join(folder, name)));
if (files.length === 0) {
  console.log(`skipped: ${data}/tokenizers/gguf is not there`);
  process.exit(77);
}
// Where the JavaScript library itself differs from the Rust one: its white space and its digits are JavaScript's, and it splits at
// patterns of several stages otherwise where the text has none of them.
const lines = texts(data, 400);
const work = mkdtempSync(join(tmpdir(), "bantam-exported-"));
const tool = (...args) => execFileSync(process.env.TOKENIZE_LINES, args, {encoding: "utf8"});
let failed = 0;
try {
  writeFileSync(join(work, "texts.json"), JSON.stringify(lines));
  for (const file of files) {
    const name = file.split("/").pop();
    let notes;
    try {
      notes = tool("--hf", file, join(work, "tokenizer.json"));
    } catch (error) {
      console.log(`${name}: ${error.message}`);
      failed++;
      continue;
    }
    const ids = (vocabulary) => {
      tool(vocabulary, join(work, "texts.json"), join(work, "out.json"));
      return JSON.parse(readFileSync(join(work, "out.json"), "utf8")).ids;
    };
    const expected = ids(file), ours = ids(join(work, "tokenizer.json"));
    const tokenizer = new Tokenizer(JSON.parse(readFileSync(join(work, "tokenizer.json"), "utf8")), {});
    const theirs = lines.map((line) => tokenizer.encode(line, {add_special_tokens: false}).ids);
    const differ = (found) => lines.flatMap((_, i) => (found[i].join() === expected[i].join() ? [] : [i]));
    const [a, b] = [differ(ours), differ(theirs)];
    console.log(`${name}: of ${lines.length} lines ${lines.length - a.length} equal by our reader, ${lines.length - b.length} by @huggingface/tokenizers${notes && "; " + notes.trim()}`);
    for (const i of [...a, ...b].slice(0, 3)) {
      console.log(`  ${JSON.stringify(lines[i])}\n    GGUF   ${expected[i].join()}\n    ours   ${ours[i].join()}\n    theirs ${theirs[i].join()}`);
    }
    failed += a.length + b.length;
  }
} finally {
  rmSync(work, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
