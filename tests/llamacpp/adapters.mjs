// adapters.mjs BANTAM RANDOM_FAMILY RANDOM_ADAPTER GREEDY: low-rank adapters of random values beside weights of several types and
// families give llama.cpp's greedy tokens, or differ first where llama.cpp itself sees next to no difference; two at once; and merged
// into the weights they give next to the same.
import {execFileSync} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {openModel} from "./llama.mjs";
import {compare, line} from "./parity.mjs";

const [program, randomFamily, randomAdapter, greedyProgram] = process.argv.slice(2);
const kCount = 64, kTie = 1e-3, kOneTie = 2e-2;
const folder = mkdtempSync(join(tmpdir(), "bantam-adapters-"));
const file = (name) => join(folder, `${name}.gguf`);
const make = (program, ...args) => execFileSync(program, args, {stdio: ["ignore", "pipe", "inherit"]});
let failed = 0;

const prompt = Array.from({length: 40}, (_, i) => 5 + ((i * 37) % 250));
const answer = (model, adapters) => JSON.parse(make(greedyProgram, "--prompt", prompt.join(), "--count", String(kCount),
  ...adapters.flatMap(({filePath, scale}) => ["--lora", `${filePath}:${scale}`]), model))[0];

try {
  const cases = [
    {family: "llama", adapters: [{options: [], scale: 1}]},
    {family: "llama", adapters: [{options: ["--table", "--rank", "4", "--alpha", "0"], scale: 0.7}]},
    {family: "llama", adapters: [{options: ["--type", "F16"], scale: 1}, {options: ["--seed", "9", "--rank", "3"], scale: -0.5}]},
    {family: "llama", adapters: [{options: [], scale: 0}]},
    {family: "phi3", adapters: [{options: [], scale: 1}]},
    {family: "qwen3", adapters: [{options: [], scale: 1}]},
    {family: "gemma2", adapters: [{options: [], scale: 1}]},
    {family: "llama-256", type: "Q8_0", adapters: [{options: [], scale: 1}], tie: kOneTie},
    {family: "llama-256", type: "Q4_K", adapters: [{options: [], scale: 1}], tie: kOneTie},
  ];
  for (const [i, {family, type, adapters, tie = kTie}] of cases.entries()) {
    const base = file(`${family}-base`);
    let model = base;
    make(randomFamily, family, base);
    if (type) make(program, "quantize", base, model = file(type), "--type", type, "--pure", "--quiet");
    const given = adapters.map(({options, scale}, k) => {
      const filePath = file(`adapter-${i}-${k}`);
      make(randomAdapter, base, filePath, ...options);
      return {filePath, scale};
    });
    const ours = answer(model, given), without = answer(model, []);
    const opened = await openModel(model, {contextSize: 512, adapters: given});
    const found = await compare(opened, prompt, ours);
    const moved = Math.max(...ours.logprobs.map((x, k) => (ours.tokens[k] === without.tokens[k] ? Math.abs(x - without.logprobs[k]) : 9)));
    console.log(`${line(`${family} ${type ?? ""}`, found, kCount)}; the adapters move them by ${moved.toExponential(1)}`);
    if (found.gap >= tie || (given.some(({scale}) => scale !== 0)) !== moved > 0.01) ++failed;
    await opened.model.dispose();
    if (type || given.some(({scale}) => scale === 0)) continue;
    const merged = file("merged");
    make(program, "quantize", base, merged, "--type", "f32", "--quiet", ...given.flatMap(({filePath, scale}) => ["--lora", `${filePath}:${scale}`]));
    const same = await compare(await openModel(merged, {contextSize: 512}), prompt, ours);
    console.log(`  merged: ${line("", same, kCount)}`);
    if (same.gap >= kTie) ++failed;
  }
} finally {
  rmSync(folder, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
