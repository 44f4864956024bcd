// families.mjs RANDOM_FAMILY GREEDY: small models of random weights, one of each family, give llama.cpp's greedy tokens, or differ
// first where llama.cpp itself sees next to no difference. The prompt is longer than the windows of those that have one.
import {execFileSync} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {openModel} from "./llama.mjs";
import {compare, line} from "./parity.mjs";

const [randomFamily, greedyProgram] = process.argv.slice(2);
const kCount = 64, kTie = 1e-3;
const names = execFileSync(randomFamily, ["list"], {encoding: "utf8"}).trim().split("\n");
const folder = mkdtempSync(join(tmpdir(), "bantam-families-"));
let failed = 0;
try {
  const files = names.map((name) => join(folder, `${name}.gguf`));
  names.forEach((name, i) => execFileSync(randomFamily, [name, files[i]]));
  const prompt = Array.from({length: 40}, (_, i) => 5 + ((i * 37) % 250));
  const ours = JSON.parse(execFileSync(greedyProgram, ["--prompt", prompt.join(), "--count", String(kCount), ...files]));
  for (const [i, name] of names.entries()) {
    const opened = await openModel(files[i], {contextSize: 512});
    const found = await compare(opened, prompt, ours[i]);
    console.log(line(name, found, kCount));
    if (found.gap >= kTie) ++failed;
    await opened.model.dispose();
  }
} finally {
  rmSync(folder, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
