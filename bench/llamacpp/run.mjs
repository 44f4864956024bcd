// node bench/llamacpp/run.mjs [--build build/release] [--files FOLDER] [--shapes 0,1,…] [--types Q8_0,…] [--threads 1,2] [--reps 5]
// Speed, memory and load time beside llama.cpp (node-llama-cpp, its own timers), on random weights of five shapes and three types;
// runs of both lie between each other. Makes the files that are not there (6 GB in all). Needs the targets bantam and speed_model and,
// in the build folder, the packages of tests/llamacpp (`ctest -R npm.llamacpp`). A quiet machine, or the figures mean nothing.
import {execFileSync} from "node:child_process";
import {existsSync, mkdirSync, statSync, writeFileSync} from "node:fs";
import {join, resolve} from "node:path";

const given = Object.fromEntries(process.argv.slice(2).join(" ").split("--").filter(Boolean).map((one) => one.trim().split(/[ =]+/)));
const build = resolve(given.build ?? "build/release"), files = resolve(given.files ?? join(build, "speed-models"));
const shapes = ["288,6,6/6,768,32000", "576,30,9/3,1536,49152", "960,32,15/5,2560,49152", "896,24,14/2,4864,151936",
  "2048,16,32/8,8192,128256"].filter((_, i) => !given.shapes || given.shapes.split(",").includes(String(i)));
const types = (given.types ?? "Q8_0,Q4_0,Q4_K_M").split(","), threads = (given.threads ?? "1,2").split(",").map(Number);
const reps = given.reps ?? "5";
const npm = join(build, "npm", "llamacpp");
const kCacheBits = 16;

/** Bytes of the keys and values of the 512 + 128 + 8 tokens of a run. */
function cacheBytes(shape) {
  const [, dim, layers, heads, kv] = shape.match(/(\d+),(\d+),(\d+)\/(\d+)/).map(Number);
  return 2 * layers * (dim / heads) * kv * 648 * kCacheBits / 8;
}

mkdirSync(files, {recursive: true});
const rows = [], results = [];
for (const shape of shapes) {
  for (const type of types) {
    const file = join(files, `${shape.split(",")[0]}-${type}.gguf`);
    if (!existsSync(file)) execFileSync(join(build, "bin", "speed_model"), [shape, type, file], {stdio: "inherit"});
    for (const count of threads) {
      const out = execFileSync(join(build, "bin", "bantam"),
                               ["bench", file, "--threads", String(count), "--context", "648", "--reps", reps, "--json", "--quiet",
                                 "--vs", `${npm}/node ${npm}/bench.mjs`], {maxBuffer: 1 << 26});
      const found = JSON.parse(out), {bantam: a, rival: b, roofline} = found;
      results.push({shape, type, threads: count, ...found, file_bytes: statSync(file).size, cache_bytes: cacheBytes(shape)});
      const limit = 1.3 * statSync(file).size + cacheBytes(shape) + 24e6;
      const row = [shape.split(",")[0], type, count, ...["prefill", "decode"].flatMap((key) => [a[key].toFixed(1), b[key].toFixed(1),
        (a[key] / b[key]).toFixed(2)]), (a.peak_bytes / 1e6).toFixed(0), (limit / 1e6).toFixed(0), (b.peak_bytes / 1e6).toFixed(0),
        (1e3 * a.load_to_first_seconds).toFixed(0), (1e3 * b.load_to_first_seconds).toFixed(0),
        `${Math.round(100 * roofline.prefill_share)} %`, `${Math.round(100 * roofline.decode_share)} %`];
      if (rows.length === 0) {
        console.log("| dim | type | threads | prefill | llama.cpp | ratio | decode | llama.cpp | ratio | MB | limit | llama.cpp | " +
                    "load + first token, ms | llama.cpp | of int8 peak | of bandwidth |\n|" + " --- |".repeat(16));
      }
      rows.push(row);
      console.log(`| ${row.join(" | ")} |`);
      writeFileSync(join(files, "table.json"), JSON.stringify(results));
    }
  }
}

for (const key of ["prefill", "decode"]) {
  const ratios = results.map((one) => one[`${key}_ratio`]);
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  console.log(`${key}: geometric mean ${mean.toFixed(2)}, least ${Math.min(...ratios).toFixed(2)}`);
}
const over = results.filter(({bantam, file_bytes: size, cache_bytes: cache}) => bantam.peak_bytes > 1.3 * size + cache + 24e6).length;
const slow = results.filter(({bantam, rival}) => bantam.load_to_first_seconds > 0.5 * rival.load_to_first_seconds).length;
console.log(`above the limit of memory (1.3 files + cache + 24 MB): ${over} of ${results.length}; ` +
            `load and first token above half of llama.cpp's: ${slow} of ${results.length}`);
