// Bantam in a page or in Node: loads the module bantam.wasm and gives it a file system of one model file. Runs the model in
// the calling thread: in a page call it from a worker (worker.ts). No server, nothing leaves the page.
//
//   const engine = await Engine.create(await fetch('bantam.wasm').then((r) => r.arrayBuffer()));
//   engine.load(blobSource(file));
//   engine.generate({prompt: 'Hello'}, (text) => { …; return true; });
import {kModelPath, type Source, System} from './system';

export type {Source};

// Of the library for workers, which cannot be used beside that for pages.
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** A Blob or File as a model's bytes, read in pieces. Only in workers. */
export function blobSource(blob: Blob): Source {
  const reader = new FileReaderSync();
  return {
    size: blob.size,
    read: (offset, length) => new Uint8Array(reader.readAsArrayBuffer(blob.slice(offset, offset + length))),
  };
}

/** Bytes that are in memory already. */
export function bytesSource(bytes: Uint8Array): Source {
  return {size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length)};
}

export interface Model {
  architecture: string;
  layers: number;
  dim: number;
  vocabulary: number;
  context: number;
  chat: boolean;   // has a chat template
  memory: number;  // bytes by the engine's own plan
}

export interface Message {
  role: string;
  content: string;
}

/** One of messages, prompt and tokens. With a chat template and without `raw` a prompt is a user's turn. */
export interface GenerateRequest {
  messages?: Message[];
  prompt?: string;
  tokens?: number[];
  raw?: boolean;
  max_tokens?: number;   // 256
  temperature?: number;  // 0: greedy
  top_k?: number;
  top_p?: number;
  min_p?: number;
  repeat_penalty?: number;
  seed?: number;
  ignore_end?: boolean;
}

export interface Generation {
  tokens: number[];
  finish: 'stop' | 'length' | 'cancelled';
  prompt_tokens: number;
  prefill_seconds: number;
  decode_seconds: number;
}

/** Sees complete UTF-8; false ends the generation. */
export type OnText = (piece: string) => boolean | void;

/** What bantam.wasm exports (wasm/module.cc). */
interface Exports {
  memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  free(at: number): void;
  bantam_load(path: number, context: number): number;
  bantam_generate(request: number): number;
  bantam_answer(): number;
  bantam_error(): number;
  _initialize(): void;
}

/** One engine with at most one model. Every method may throw an Error with the engine's message. */
export class Engine {
  private system = new System();
  private exports!: Exports;
  private onText: OnText | null = null;
  private thrown: {error: unknown} | null = null;

  private constructor() {}

  /** `module`: a WebAssembly.Module or the bytes of bantam.wasm. */
  static async create(module: WebAssembly.Module | BufferSource): Promise<Engine> {
    const engine = new Engine();
    const compiled = module instanceof WebAssembly.Module ? module : await WebAssembly.compile(module);
    const wasi: WebAssembly.ModuleImports = {};
    for (const {module: from, name} of WebAssembly.Module.imports(compiled))
      if (from === 'wasi_snapshot_preview1') wasi[name] = engine.system.call(name);
    const text = (at: number, length: number): number => engine.tell(at, length);
    const instance = await WebAssembly.instantiate(compiled, {wasi_snapshot_preview1: wasi, bantam: {text}});
    engine.exports = instance.exports as unknown as Exports;
    engine.system.memory = engine.exports.memory;
    engine.exports._initialize();
    return engine;
  }

  /** Loads the model; `context`: tokens, 0 for the model's own (at most 8,192). */
  load(source: Source, context = 0): Model {
    this.system.source = source;
    return this.answer(this.withText(`/${kModelPath}`, (path) => this.exports.bantam_load(path, context))) as Model;
  }

  generate(request: GenerateRequest, onText: OnText | null = null): Generation {
    this.onText = onText;
    try {
      return this.answer(this.withText(JSON.stringify(request), (text) => this.exports.bantam_generate(text))) as Generation;
    } finally {
      this.onText = null;
    }
  }

  /** What the callback throws comes out of generate(), after the engine has ended. */
  private tell(at: number, length: number): number {
    if (this.thrown !== null) return 0;
    if (this.onText === null) return 1;
    try {
      return this.onText(this.string(at, length)) === false ? 0 : 1;
    } catch (error) {
      this.thrown = {error};
      return 0;
    }
  }

  private string(at: number, length: number): string {
    return new TextDecoder().decode(this.system.bytes(at, length));
  }
  /** The text at `at`, up to its zero. */
  private text(at: number): string {
    return this.string(at, new Uint8Array(this.exports.memory.buffer).indexOf(0, at) - at);
  }

  /** Calls fn with the address of `text` in the engine's memory. */
  private withText(text: string, fn: (at: number) => number): number {
    const bytes = new TextEncoder().encode(text);
    const at = this.exports.malloc(bytes.length + 1);
    if (at === 0) throw new Error(`no memory for ${bytes.length} bytes`);
    const memory = this.system.bytes(at, bytes.length + 1);
    memory.set(bytes);
    memory[bytes.length] = 0;
    try {
      return fn(at);
    } finally {
      this.exports.free(at);
    }
  }

  private answer(code: number): unknown {
    if (this.thrown !== null) {
      const {error} = this.thrown;
      this.thrown = null;
      throw error;
    }
    if (code !== 0) throw new Error(this.text(this.exports.bantam_error()));
    return JSON.parse(this.text(this.exports.bantam_answer()));
  }
}
