// families.mjs RANDOM_FAMILY GREEDY: small models of random weights, one of each family, give llama.cpp's greedy tokens, or differ
// first where llama.cpp itself sees next to no difference. The prompt is longer than the windows of those that have one.
import {execFileSync} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {embedding, openModel} from "./llama.mjs";
import {compare, line} from "./parity.mjs";

const [randomFamily, greedyProgram] = process.argv.slice(2);
const kCount = 64, kTie = 1e-3;
const encoders = ["bert", "nomic-bert"];
const names = execFileSync(randomFamily, ["list"], {encoding: "utf8"}).trim().split("\n").filter((name) => !encoders.includes(name));
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
  // Encoders: the vectors of a text whose tokens both are given, beginning and end included.
  const text = [2, ...Array.from({length: 60}, (_, i) => 5 + ((i * 37) % 50)), 3];
  for (const name of encoders) {
    const path = join(folder, `${name}.gguf`);
    execFileSync(randomFamily, [name, path]);
    const [{vector}] = JSON.parse(execFileSync(greedyProgram, ["--embed", "--prompt", text.join(), path]));
    const theirs = await embedding(path, text);
    const length = Math.hypot(...theirs);
    const widest = Math.max(...vector.map((x, i) => Math.abs(x - theirs[i] / length)));
    console.log(`${name.padEnd(12)} vector of ${vector.length}, each number within ${widest.toExponential(1)}`);
    if (theirs.length !== vector.length || !(widest < 1e-3)) ++failed;
  }
} finally {
  rmSync(folder, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
