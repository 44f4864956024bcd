// What the page and its worker say to each other. To stop a generation the page ends the worker.
import type {GenerateRequest, Generation, Model} from './bantam';

export type ToWorker = {wasm: string; load: Blob; context?: number} | {generate: GenerateRequest};
export type FromWorker = {loaded: Model} | {text: string} | {done: Generation} | {error: string};
