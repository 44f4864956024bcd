// What the tests share: llama.cpp through node-llama-cpp on one CPU thread, and our own program.
import {execFile} from "node:child_process";
import {promisify} from "node:util";
import {getLlama} from "node-llama-cpp";

let llama;

/** A model with one sequence of its own, with adapters [{filePath, scale}]. build "never": the packaged binary or none, nothing is fetched or compiled. */
export async function openModel(modelPath, {contextSize = 512, cache = "F32", adapters = []} = {}) {
  llama ??= await getLlama({gpu: false, build: "never", maxThreads: 0, logLevel: "error", progressLogs: false});
  const model = await llama.loadModel({modelPath, gpuLayers: 0});
  // Keys and values in F32, as ours, unless asked otherwise (llama.cpp's default is F16).
  const context = await model.createContext({contextSize, batchSize: contextSize, threads: 1, flashAttention: false,
                                             experimentalKvCacheKeyType: cache, experimentalKvCacheValueType: cache,
                                             lora: adapters.length > 0 ? {adapters} : undefined});
  return {model, sequence: context.getSequence()};
}

/** The vector of these tokens by an encoder. */
export async function embedding(modelPath, tokens) {
  llama ??= await getLlama({gpu: false, build: "never", maxThreads: 0, logLevel: "error", progressLogs: false});
  const model = await llama.loadModel({modelPath, gpuLayers: 0});
  const context = await model.createEmbeddingContext({contextSize: 256, threads: 1});
  const {vector} = await context.getEmbeddingFor(tokens);
  await model.dispose();
  return vector;
}

/** At most `count` greedy tokens after `prompt` (ids); ends before an end-of-generation token. */
export async function greedy({sequence}, prompt, count) {
  await sequence.clearHistory();
  const tokens = [];
  for await (const token of sequence.evaluate(prompt, {temperature: 0})) {
    tokens.push(token);
    if (tokens.length >= count) break;
  }
  return tokens;
}

/** log softmax over the vocabulary of what follows each of the last `count` tokens of `tokens`: Map(token -> logprob) each. */
export async function lastLogProbabilities({sequence}, tokens, count) {
  await sequence.clearHistory();
  const first = tokens.length - count;
  const input = tokens.map((token, i) => (i < first ? token : [token, {generateNext: {logits: true}}]));
  const output = await sequence.controlledEvaluate(input);
  return output.slice(first).map(({next: {logits}}) => {
    let largest = -Infinity;
    for (const logit of logits.values()) largest = Math.max(largest, logit);
    let sum = 0;
    for (const logit of logits.values()) sum += Math.exp(logit - largest);
    const shift = largest + Math.log(sum);
    return new Map([...logits].map(([token, logit]) => [token, logit - shift]));
  });
}

/**
 * The log-probability of each choice (ids) after `prompt` (ids). A choice that is a prefix of another is ended by `end`.
 */
export async function choiceScores(opened, prompt, choices, end) {
  const isPrefix = (a, b) => a.length < b.length && a.every((token, i) => token === b[i]);
  const ended = choices.map((a) => (choices.some((b) => isPrefix(a, b)) ? [...a, end] : a));
  const [first] = await lastLogProbabilities(opened, prompt, 1);
  const scores = [];
  for (const choice of ended) {
    let score = first.get(choice[0]);
    if (choice.length > 1) {
      const after = await lastLogProbabilities(opened, [...prompt, ...choice.slice(0, -1)], choice.length - 1);
      after.forEach((row, i) => (score += row.get(choice[i + 1])));
    }
    scores.push(score);
  }
  return scores;
}

/**
 * Perplexity as llama-perplexity measures it: windows side by side, scored from the middle on, the first token of each replaced by
 * BOS. `progress` is told the share that is done.
 */
export async function perplexity(opened, ids, window, progress = () => {}) {
  let sum = 0, scored = 0;
  for (let start = 0; start + window <= ids.length; start += window) {
    const tokens = [opened.model.tokens.bos ?? ids[start], ...ids.slice(start + 1, start + window)];
    const rows = await lastLogProbabilities(opened, tokens, window / 2);
    for (let i = window / 2 + 1; i < window; ++i, ++scored) sum -= rows[i - 1 - window / 2].get(tokens[i]);
    progress((start + window) / ids.length);
  }
  return {perplexity: Math.exp(sum / scored), scored};
}

/** Runs `bantam` with --json and returns what it printed. */
export async function bantam(program, args) {
  const {stdout} = await promisify(execFile)(program, [...args, "--json"], {maxBuffer: 1 << 26});
  return JSON.parse(stdout);
}
