// huggingface.mjs DATA: every tokenizer.json of DATA/tokenizers/hf gives the ids that @huggingface/tokenizers gives.
import {execFileSync} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {Tokenizer} from "@huggingface/tokenizers";
import {texts} from "./texts.mjs";

const data = process.argv[2];
const files = ["gpt2/tokenizer.json", "smollm/tokenizer.json", "gpt-neox/20B_tokenizer.json", "llama2/tokenizer.json",
  "phi3/tokenizer.json", "t5-small/tokenizer.json", "bert-uncased/tokenizer.json"];
if (!existsSync(join(data, "tokenizers", "hf"))) {
  console.log(`skipped: ${data}/tokenizers/hf is not there`);
  process.exit(77);
}
const lines = texts(data);
const work = mkdtempSync(join(tmpdir(), "bantam-tokenizers-"));
const rounds = Number(process.env.ROUNDS ?? 1);
let failed = 0;
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
try {
  writeFileSync(join(work, "texts.json"), JSON.stringify(lines));
  const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
  for (const file of files) {
    const json = execFileSync("xz", ["-dc", join(data, "tokenizers", "hf", `${file}.xz`)], {maxBuffer: 1 << 28});
    writeFileSync(join(work, "tokenizer.json"), json);
    execFileSync(process.env.TOKENIZE_LINES, [join(work, "tokenizer.json"), join(work, "texts.json"), join(work, "out.json"), String(rounds)],
      {stdio: "inherit"});
    const ours = JSON.parse(readFileSync(join(work, "out.json"), "utf8"));
    const tokenizer = new Tokenizer(JSON.parse(json), {});
    const seconds = [];
    let theirs;
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      theirs = lines.map((line) => tokenizer.encode(line, {add_special_tokens: false}).ids);
      seconds.push((performance.now() - start) / 1000);
    }
    const tokens = theirs.reduce((sum, ids) => sum + ids.length, 0);
    // The Rust library's Digits takes every number (½, ٣) for a digit, as we do; the JavaScript one takes 0 to 9.
    const known = (line) => file.startsWith("smollm/") && /(?![0-9])\p{N}/u.test(line);
    const different = lines.flatMap((line, i) => (theirs[i].join() === ours.ids[i].join() || known(line) ? [] : [i]));
    console.log(`${file}: ${lines.length - different.length} of ${lines.length} lines equal; tokens/s: ours ` +
      `${Math.round(tokens / median(ours.seconds))}, @huggingface/tokenizers ${Math.round(tokens / median(seconds))}; ` +
      `load ${(ours.load_seconds * 1000).toFixed(0)} ms; ${(bytes / tokens).toFixed(2)} bytes a token`);
    for (const i of different.slice(0, 5)) {
      console.log(`  ${JSON.stringify(lines[i])}\n    ours   ${ours.ids[i].join()}\n    theirs ${theirs[i].join()}`);
    }
    failed += different.length;
  }
} finally {
  rmSync(work, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
