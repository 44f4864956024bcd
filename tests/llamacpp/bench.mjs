// llama.cpp for `bantam bench MODEL --vs 'build/release/npm/llamacpp/node build/release/npm/llamacpp/bench.mjs'`: prefill and
// decoding speed by llama.cpp's own timers (it prints them for each context), the time from loading to the first token of a prompt of
// 32, and the peak of memory, as one line of JSON.
import {performance} from "node:perf_hooks";
import {availableParallelism} from "node:os";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const environment = (name) => process.env[`BANTAM_BENCH_${name}`];
const promptLength = Number(environment("PROMPT") ?? 512), genLength = Number(environment("GEN") ?? 128);
const threads = Number(environment("THREADS") ?? 0) || availableParallelism();

const printed = [];
const llama = await getLlama({gpu: false, build: "never", maxThreads: 0, logLevel: LlamaLogLevel.info, progressLogs: false,
                              logger: (level, text) => printed.push(text)});
const loadStart = performance.now();
const model = await llama.loadModel({modelPath: environment("MODEL"), gpuLayers: 0});
const loadSeconds = (performance.now() - loadStart) / 1000;
const contextSize = promptLength + genLength + 8;
const context = await model.createContext({contextSize, batchSize: Math.min(512, contextSize), threads, flashAttention: true,
                                           performanceTracking: true});
const sequence = context.getSequence();

/** Runs `count` greedy steps after a prompt of that many ordinary tokens. */
async function generate(length, count) {
  await sequence.clearHistory();
  const tokens = Array.from({length}, (_, i) => 300 + ((i * 7919 + 13) % 28000));
  let made = 0;
  for await (const _ of sequence.evaluate(tokens, {temperature: 0, yieldEogToken: true})) {
    if (++made >= count) break;
  }
}

/** Tokens per second of the prompt and of the rest since the last call, as llama.cpp timed them. */
async function timings() {
  printed.length = 0;
  await context.printTimings();
  await new Promise((done) => setTimeout(done, 20));
  const text = printed.join("");
  const rate = (pattern) => Number(text.match(pattern)?.[1] ?? NaN);
  return {prefill: rate(/prompt eval time =.*?,\s*([\d.]+) tokens per second/),
          decode: rate(/(?<!prompt )eval time =.*?runs.*?,\s*([\d.]+) tokens per second/)};
}

await generate(32, 1);
const loadToFirstSeconds = (performance.now() - loadStart) / 1000;
await generate(promptLength, 1);  // once without counting
await generate(1, 8);
await timings();
await generate(promptLength, 1);
const {prefill} = await timings();
await generate(1, genLength + 1);
const {decode} = await timings();
console.log(JSON.stringify({prefill, decode, load_seconds: loadSeconds, load_to_first_seconds: loadToFirstSeconds,
                            peak_bytes: process.resourceUsage().maxRSS * 1024}));
process.exit(0);
