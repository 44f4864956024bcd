// What the comparisons of greedy tokens share.
import {lastLogProbabilities, openModel} from "./llama.mjs";

/**
 * llama.cpp reads the prompt and our greedy tokens: the first step at which it would have said another (-1: none), by how much it
 * prefers that one there, and the largest difference of the log-probabilities of the tokens up to it.
 */
export async function compare(opened, prompt, ours) {
  const rows = await lastLogProbabilities(opened, [...prompt, ...ours.tokens.slice(0, -1)], ours.tokens.length);
  const gaps = rows.map((row, i) => Math.max(...row.values()) - row.get(ours.tokens[i]));
  const first = gaps.findIndex((gap) => gap > 0);
  const widest = Math.max(...rows.map((row, i) => Math.abs(row.get(ours.tokens[i]) - ours.logprobs[i])));
  return {first, gap: first < 0 ? 0 : gaps[first], widest};
}

/** One line of a report. */
export function line(name, {first, gap, widest}, count) {
  const outcome = first < 0 ? `${count} equal tokens` : `first difference at ${first}, gap ${gap.toExponential(1)}`;
  return `${name.padEnd(12)} ${outcome.padEnd(40)} log-probabilities within ${widest.toExponential(1)}`;
}

/** The largest difference of the same log-probabilities in llama.cpp alone, between F32 and F16 keys and values. */
export async function sensitivity(opened, path, prompt, ours) {
  const half = await openModel(path, {contextSize: 256, cache: "F16"});
  const tokens = [...prompt, ...ours.tokens.slice(0, -1)];
  const a = await lastLogProbabilities(opened, tokens, ours.tokens.length), b = await lastLogProbabilities(half, tokens, ours.tokens.length);
  await half.model.dispose();
  return Math.max(...a.map((row, i) => Math.abs(row.get(ours.tokens[i]) - b[i].get(ours.tokens[i]))));
}
