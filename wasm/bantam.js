// Bantam in a page or in Node: loads the module bantam.wasm and gives it a file system of one model file. Runs the model in
// the calling thread: in a page call it from a worker (worker.js). No dependency, no server, nothing leaves the page.
//
//   const engine = await Engine.create(await fetch('bantam.wasm').then((r) => r.arrayBuffer()));
//   engine.load(source);                    // {size, read(offset, length): Uint8Array}, see blobSource
//   engine.generate({prompt: 'Hello'}, (text) => { …; return true; });

const kOk = 0, kBadDescriptor = 8, kInvalid = 28, kNoEntry = 44, kNotSupported = 58;
const kRoot = 3, kModel = 4;
const kRegularFile = 4, kDirectory = 3;
const kModelPath = 'model.gguf';

/** A Blob or File as a model's bytes, read in pieces. Only in workers. */
export function blobSource(blob) {
  const reader = new FileReaderSync();
  return {
    size: blob.size,
    read: (offset, length) => new Uint8Array(reader.readAsArrayBuffer(blob.slice(offset, offset + length))),
  };
}

/** Bytes that are in memory already. */
export function bytesSource(bytes) {
  return {size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length)};
}

/** The system calls that the module makes (WASI preview 1): a read-only folder with one file, clocks, standard error. */
class System {
  constructor() {
    this.source = null;
    this.offset = 0;
    this.log = (text) => console.error(text);
    this.memory = null;
  }

  view() { return new DataView(this.memory.buffer); }
  bytes(at, length) { return new Uint8Array(this.memory.buffer, at, length); }

  /** Fills the buffers that `count` pairs of pointer and length at `vectors` describe; returns the bytes read. */
  fill(vectors, count, offset) {
    let total = 0;
    for (let i = 0; i < count; ++i) {
      const at = this.view().getUint32(vectors + 8 * i, true), length = this.view().getUint32(vectors + 8 * i + 4, true);
      for (let done = 0; done < length;) {
        const want = Math.min(length - done, 1 << 24, this.source.size - offset - total);
        if (want <= 0) return total;
        this.bytes(at + done, want).set(this.source.read(offset + total, want));
        done += want;
        total += want;
      }
    }
    return total;
  }

  stat(at, type, size) {
    const view = this.view();
    for (let i = 0; i < 64; i += 8) view.setBigUint64(at + i, 0n, true);
    view.setUint8(at + 16, type);
    view.setBigUint64(at + 24, 1n, true);
    view.setBigUint64(at + 32, BigInt(size), true);
    return kOk;
  }

  imports() {
    const none = () => kNotSupported;
    const calls = {
      args_sizes_get: (count, size) => {
        this.view().setUint32(count, 0, true);
        this.view().setUint32(size, 0, true);
        return kOk;
      },
      args_get: () => kOk,
      environ_sizes_get: (count, size) => {
        this.view().setUint32(count, 0, true);
        this.view().setUint32(size, 0, true);
        return kOk;
      },
      environ_get: () => kOk,
      clock_time_get: (id, precision, at) => {
        const now = id === 0 ? Date.now() : performance.now();
        this.view().setBigUint64(at, BigInt(Math.round(now * 1e6)), true);
        return kOk;
      },
      clock_res_get: (id, at) => {
        this.view().setBigUint64(at, 1000000n, true);
        return kOk;
      },
      random_get: (at, length) => {
        const random = new Uint8Array(length);  // getRandomValues takes no shared or growing memory
        for (let i = 0; i < length; i += 65536) crypto.getRandomValues(random.subarray(i, Math.min(length, i + 65536)));
        this.bytes(at, length).set(random);
        return kOk;
      },
      proc_exit: (code) => { throw new Error(`the engine ended with code ${code}`); },
      sched_yield: () => kOk,
      fd_prestat_get: (fd, at) => {
        if (fd !== kRoot) return kBadDescriptor;
        this.view().setUint32(at, 0, true);
        this.view().setUint32(at + 4, 1, true);
        return kOk;
      },
      fd_prestat_dir_name: (fd, at, length) => {
        if (fd !== kRoot || length < 1) return kInvalid;
        this.bytes(at, 1)[0] = 47;  // "/"
        return kOk;
      },
      fd_fdstat_get: (fd, at) => {
        const view = this.view();
        for (let i = 0; i < 24; i += 8) view.setBigUint64(at + i, 0n, true);
        view.setUint8(at, fd === kRoot ? kDirectory : fd === kModel ? kRegularFile : 2);
        view.setBigUint64(at + 8, 0xffffffffn, true);
        view.setBigUint64(at + 16, 0xffffffffn, true);
        return kOk;
      },
      fd_fdstat_set_flags: () => kOk,
      path_open: (folder, lookup, path, length, openFlags, rights, inheriting, flags, out) => {
        const name = new TextDecoder().decode(this.bytes(path, length));
        if (name !== kModelPath || this.source === null) return kNoEntry;
        this.offset = 0;
        this.view().setUint32(out, kModel, true);
        return kOk;
      },
      path_filestat_get: (fd, flags, path, length, at) => {
        const name = new TextDecoder().decode(this.bytes(path, length));
        return name === kModelPath && this.source !== null ? this.stat(at, kRegularFile, this.source.size) : kNoEntry;
      },
      fd_filestat_get: (fd, at) =>
        fd === kModel && this.source !== null ? this.stat(at, kRegularFile, this.source.size) : this.stat(at, 2, 0),
      fd_read: (fd, vectors, count, out) => {
        if (fd !== kModel) return kBadDescriptor;
        const read = this.fill(vectors, count, this.offset);
        this.offset += read;
        this.view().setUint32(out, read, true);
        return kOk;
      },
      fd_pread: (fd, vectors, count, offset, out) => {
        if (fd !== kModel) return kBadDescriptor;
        this.view().setUint32(out, this.fill(vectors, count, Number(offset)), true);
        return kOk;
      },
      fd_seek: (fd, offset, whence, out) => {
        if (fd !== kModel) return kNotSupported;
        const base = whence === 0 ? 0 : whence === 1 ? this.offset : this.source.size;
        this.offset = base + Number(offset);
        this.view().setBigUint64(out, BigInt(this.offset), true);
        return kOk;
      },
      fd_close: () => kOk,
      fd_write: (fd, vectors, count, out) => {
        let total = 0, text = '';
        for (let i = 0; i < count; ++i) {
          const at = this.view().getUint32(vectors + 8 * i, true), length = this.view().getUint32(vectors + 8 * i + 4, true);
          text += new TextDecoder().decode(this.bytes(at, length));
          total += length;
        }
        if (text.trim() !== '') this.log(text);
        this.view().setUint32(out, total, true);
        return kOk;
      },
    };
    return new Proxy(calls, {get: (all, name) => all[name] ?? none});
  }
}

/** One engine with at most one model. Every method may throw an Error with the engine's message. */
export class Engine {
  /** `module`: a WebAssembly.Module or the bytes of bantam.wasm. */
  static async create(module) {
    const engine = new Engine();
    engine.system = new System();
    const compiled = module instanceof WebAssembly.Module ? module : await WebAssembly.compile(module);
    const wasi = {}, calls = engine.system.imports();
    for (const {module: from, name} of WebAssembly.Module.imports(compiled)) {
      if (from === 'wasi_snapshot_preview1') wasi[name] = calls[name];
    }
    const text = (at, length) => {
      if (engine.broken || engine.onText === null) return engine.broken ? 0 : 1;
      // What the callback throws comes out of generate(), after the engine has ended.
      try {
        return engine.onText(engine.string(at, length)) === false ? 0 : 1;
      } catch (error) {
        engine.broken = error;
        return 0;
      }
    };
    const instance = await WebAssembly.instantiate(compiled, {wasi_snapshot_preview1: wasi, bantam: {text}});
    engine.exports = instance.exports;
    engine.system.memory = instance.exports.memory;
    engine.onText = null;
    engine.broken = null;
    instance.exports._initialize();
    return engine;
  }

  string(at, length) { return new TextDecoder().decode(this.system.bytes(at, length)); }
  /** The text at `at`, up to its zero. */
  text(at) {
    const bytes = new Uint8Array(this.system.memory.buffer);
    return this.string(at, bytes.indexOf(0, at) - at);
  }

  /** Calls fn with the address of `text` in the engine's memory. */
  withText(text, fn) {
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

  answer(code) {
    if (this.broken) {
      const error = this.broken;
      this.broken = null;
      throw error;
    }
    if (code !== 0) throw new Error(this.text(this.exports.bantam_error()));
    return JSON.parse(this.text(this.exports.bantam_answer()));
  }

  /**
   * Loads the model that `source` holds: {size, read(offset, length)}. `context`: tokens, 0 for the model's own (at most 8,192).
   * Returns {architecture, layers, dim, vocabulary, context, chat, memory}.
   */
  load(source, context = 0) {
    this.system.source = source;
    return this.answer(this.withText(`/${kModelPath}`, (path) => this.exports.bantam_load(path, context)));
  }

  /**
   * Continues `request`: {prompt | tokens: [ids], raw, max_tokens, temperature, seed, ignore_end}. With a chat template and without
   * `raw` the prompt is a user's turn. onText(piece) sees complete UTF-8 and ends the generation by returning false.
   * Returns {tokens, finish: "stop" | "length" | "cancelled", prompt_tokens, prefill_seconds, decode_seconds}.
   */
  generate(request, onText = null) {
    this.onText = onText;
    try {
      return this.answer(this.withText(JSON.stringify(request), (text) => this.exports.bantam_generate(text)));
    } finally {
      this.onText = null;
    }
  }
}
