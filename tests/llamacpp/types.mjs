// types.mjs BANTAM RANDOM_FAMILY GREEDY: a small decoder of random weights in every tensor type gives llama.cpp's greedy tokens, or
// differs first where llama.cpp prefers its own by next to nothing.
import {execFileSync} from "node:child_process";
import {mkdtempSync, rmSync, statSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {openModel} from "./llama.mjs";
import {compare, line, sensitivity} from "./parity.mjs";

const [program, randomFamily, greedyProgram] = process.argv.slice(2);
const kCount = 64, kTie = 1e-3;
const types = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
  "IQ4_XS", "TQ1_0", "TQ2_0"];
const mixes = ["Q4_K_M", "Q2_K"];

const folder = mkdtempSync(join(tmpdir(), "bantam-types-"));
let failed = 0;
try {
  const base = join(folder, "base.gguf");
  execFileSync(randomFamily, ["llama-256", base]);
  const files = [...types.map((type) => [type, "--pure"]), ...mixes.map((mix) => [mix])].map(([type, ...more]) => {
    const path = join(folder, `${type}${more.join("")}.gguf`);
    const report = JSON.parse(execFileSync(program, ["quantize", base, path, "--type", type, ...more, "--threads", "1", "--json", "--quiet"]));
    return {name: more.length > 0 ? type : `${type} mix`, path, rmse: report.relative_rmse};
  });
  const prompt = Array.from({length: 12}, (_, i) => 17 + 19 * i);
  const ours = JSON.parse(execFileSync(greedyProgram, ["--prompt", prompt.join(), "--count", String(kCount), ...files.map(({path}) => path)]));
  for (const [i, {name, path, rmse}] of files.entries()) {
    const opened = await openModel(path, {contextSize: 256});
    const found = await compare(opened, prompt, ours[i]);
    // Both programs round activations to the weights' precision. A difference in the last bit of a float rounds one the other way,
    // which the layers above make larger: how much llama.cpp's own figures move when its keys and values are F16 says what a
    // difference here can mean.
    const own = await sensitivity(opened, path, prompt, ours[i]);
    console.log(`${line(name, found, kCount)} (llama.cpp's own ${own.toExponential(1)}), weights' relative RMSE ` +
                `${rmse.toFixed(4)}, ${statSync(path).size} bytes`);
    if (found.gap >= Math.max(kTie, 2 * own)) ++failed;
    await opened.model.dispose();
  }
} finally {
  rmSync(folder, {recursive: true});
}
process.exit(failed > 0 ? 1 : 0);
