// splitters.mjs TOKENIZE_LINES DATA: for each tokenizer.ggml.pre that we know, the GPT-2 vocabulary under that name gives the
// ids that llama.cpp gives.
import {execFileSync} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {getLlama} from "node-llama-cpp";
import {texts} from "../tokenizers/texts.mjs";

const [tool, data] = process.argv.slice(2);
const vocabulary = join(data, "tokenizers", "gguf", "ggml-vocab-gpt-2.gguf");
if (!existsSync(vocabulary)) {
  console.log(`skipped: ${vocabulary} is not there`);
  process.exit(77);
}
const names = ["gpt-2", "default", "falcon", "starcoder", "llama-bpe", "dbrx", "qwen2", "qwen35", "laguna", "minicpm5", "jais-2",
  "bailingmoe", "seed-coder", "ufakzeka", "exaone-moe", "deepseek-llm", "deepseek-coder", "deepseek-v3", "spark2_5", "afmoe", "youtu", "tekken",
  "gpt-4o", "granite-embed-multi-97m", "tiny_aya", "kimi-k2", "superbpe", "poro-chat", "viking", "chameleon"];
// Here llama.cpp's pattern engine does not know the classes of capitals and small letters that the models' own patterns
// name, and joins what they split ("iPhone"); we follow the models.
const published = new Set(["youtu", "tiny_aya"]);
const llama = await getLlama({gpu: false, build: "never", maxThreads: 1, logLevel: "error", progressLogs: false});
const lines = texts(data, 400);
const work = mkdtempSync(join(tmpdir(), "bantam-splitters-"));
let failed = 0;
try {
  writeFileSync(join(work, "texts.json"), JSON.stringify(lines));
  for (const name of names) {
    const file = join(work, `${name}.gguf`);
    execFileSync(tool, ["--pre", name, vocabulary, file]);
    execFileSync(tool, [file, join(work, "texts.json"), join(work, "out.json")], {stdio: "inherit"});
    const ours = JSON.parse(readFileSync(join(work, "out.json"), "utf8")).ids;
    let model;
    try {
      model = await llama.loadModel({modelPath: file, vocabOnly: true, gpuLayers: 0});
    } catch (error) {
      console.log(`${name}: this llama.cpp does not know it`);
      continue;
    }
    const theirs = lines.map((line) => [...model.tokenize(line, false)]);
    const different = lines.flatMap((line, i) => (theirs[i].join() === ours[i].join() ? [] : [i]));
    console.log(`${name}: ${lines.length - different.length} of ${lines.length} lines equal`);
    for (const i of different.slice(0, 4)) {
      console.log(`  ${JSON.stringify(lines[i])}\n    ours   ${ours[i].join()}\n    theirs ${theirs[i].join()}`);
    }
    failed += published.has(name) && different.length < 10 ? 0 : different.length;
    await model.dispose();
    rmSync(file);
  }
} finally {
  rmSync(work, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
