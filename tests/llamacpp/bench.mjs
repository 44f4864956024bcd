// llama.cpp for `bantam bench MODEL --vs 'build/release/npm/llamacpp/node build/release/npm/llamacpp/bench.mjs'`: prefill and
// decoding speed by its own clock, as one line of JSON.
import {performance} from "node:perf_hooks";
import {availableParallelism} from "node:os";
import {getLlama} from "node-llama-cpp";

const environment = (name) => process.env[`BANTAM_BENCH_${name}`];
const promptLength = Number(environment("PROMPT") ?? 512), genLength = Number(environment("GEN") ?? 128);
const threads = Number(environment("THREADS") ?? 0) || availableParallelism();

const llama = await getLlama({gpu: false, build: "never", maxThreads: 0, logLevel: "error", progressLogs: false});
const loadStart = performance.now();
const model = await llama.loadModel({modelPath: environment("MODEL"), gpuLayers: 0});
const loadSeconds = (performance.now() - loadStart) / 1000;
const contextSize = promptLength + genLength + 8;
const context = await model.createContext({contextSize, batchSize: Math.min(512, contextSize), threads, flashAttention: true});
const sequence = context.getSequence();

const vocabulary = [...model.iterateAllTokens()].filter((token) => model.detokenize([token]) !== "");
const prompt = Array.from({length: promptLength}, (_, i) => vocabulary[(i * 7919 + 13) % vocabulary.length]);

/** Seconds to the first token and from there to the last. */
async function generate(tokens, count) {
  await sequence.clearHistory();
  const start = performance.now();
  let first = start, made = 0;
  for await (const _ of sequence.evaluate(tokens, {temperature: 0, yieldEogToken: true})) {
    if (++made === 1) first = performance.now();
    if (made >= count) break;
  }
  return [(first - start) / 1000, (performance.now() - first) / 1000];
}

await generate(prompt, 1);
await generate(prompt.slice(0, 1), 8);
const [prefill] = await generate(prompt, 1);
const [, decode] = await generate(prompt.slice(0, 1), genLength + 1);
console.log(JSON.stringify({
  prefill: promptLength / prefill,
  decode: genLength / decode,
  load_seconds: loadSeconds,
  peak_bytes: process.resourceUsage().maxRSS * 1024,
}));
process.exit(0);
