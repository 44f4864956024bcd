// The system calls that the module makes (WASI preview 1): a read-only folder with one file, clocks, standard error.

/** A model's bytes, read in pieces. */
export interface Source {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

// Error codes, kinds of files and descriptors as WASI numbers them; the last two are ours.
const kOk = 0, kBadDescriptor = 8, kInvalid = 28, kNoEntry = 44, kNotSupported = 58;
const kCharacters = 2, kDirectory = 3, kRegularFile = 4;
const kRoot = 3, kModel = 4;
const kPiece = 1 << 24;  // bytes read at a time

export const kModelPath = 'model.gguf';

type Call = (...args: never[]) => number;

export class System {
  source: Source | null = null;
  memory!: WebAssembly.Memory;
  log = (text: string): void => console.error(text);
  private offset = 0;

  bytes(at: number, length: number): Uint8Array { return new Uint8Array(this.memory.buffer, at, length); }
  private view(): DataView { return new DataView(this.memory.buffer); }
  private string(at: number, length: number): string { return new TextDecoder().decode(this.bytes(at, length)); }

  /** Calls fn(address, length) for each of the `count` buffers that `vectors` describes, until it returns false. */
  private eachBuffer(vectors: number, count: number, fn: (at: number, length: number) => boolean): void {
    for (let i = 0; i < count; ++i) {
      const view = this.view();
      if (!fn(view.getUint32(vectors + 8 * i, true), view.getUint32(vectors + 8 * i + 4, true))) return;
    }
  }

  /** Fills the buffers with the model's bytes from `offset` on; returns how many. */
  private fill(vectors: number, count: number, offset: number): number {
    const source = this.source;
    if (source === null) return 0;
    let total = 0;
    this.eachBuffer(vectors, count, (at, length) => {
      for (let done = 0; done < length;) {
        const want = Math.min(length - done, kPiece, source.size - offset - total);
        if (want <= 0) return false;
        this.bytes(at + done, want).set(source.read(offset + total, want));
        done += want;
        total += want;
      }
      return true;
    });
    return total;
  }

  private zero(at: number, length: number): DataView {
    this.bytes(at, length).fill(0);
    return this.view();
  }

  private status(at: number, kind: number, size: number): number {
    const view = this.zero(at, 64);
    view.setUint8(at + 16, kind);
    view.setBigUint64(at + 24, 1n, true);
    view.setBigUint64(at + 32, BigInt(size), true);
    return kOk;
  }

  private nothing(count: number, size: number): number {
    this.view().setUint32(count, 0, true);
    this.view().setUint32(size, 0, true);
    return kOk;
  }

  private isModel(path: number, length: number): boolean {
    return this.source !== null && this.string(path, length) === kModelPath;
  }

  private calls = {
    args_sizes_get: (count: number, size: number) => this.nothing(count, size),
    args_get: () => kOk,
    environ_sizes_get: (count: number, size: number) => this.nothing(count, size),
    environ_get: () => kOk,
    clock_time_get: (id: number, _precision: bigint, at: number) => {
      const milliseconds = id === 0 ? Date.now() : performance.now();
      this.view().setBigUint64(at, BigInt(Math.round(milliseconds * 1e6)), true);
      return kOk;
    },
    clock_res_get: (_id: number, at: number) => {
      this.view().setBigUint64(at, 1000000n, true);
      return kOk;
    },
    random_get: (at: number, length: number) => {
      const random = new Uint8Array(length);  // getRandomValues takes no shared or growing memory, and 64 KiB at most
      for (let i = 0; i < length; i += 65536) crypto.getRandomValues(random.subarray(i, Math.min(length, i + 65536)));
      this.bytes(at, length).set(random);
      return kOk;
    },
    proc_exit: (code: number): never => { throw new Error(`the engine ended with code ${code}`); },
    sched_yield: () => kOk,
    fd_prestat_get: (fd: number, at: number) => {
      if (fd !== kRoot) return kBadDescriptor;
      this.view().setUint32(at, 0, true);
      this.view().setUint32(at + 4, 1, true);
      return kOk;
    },
    fd_prestat_dir_name: (fd: number, at: number, length: number) => {
      if (fd !== kRoot || length < 1) return kInvalid;
      this.view().setUint8(at, 47);  // "/"
      return kOk;
    },
    fd_fdstat_get: (fd: number, at: number) => {
      const view = this.zero(at, 24);
      view.setUint8(at, fd === kRoot ? kDirectory : fd === kModel ? kRegularFile : kCharacters);
      view.setBigUint64(at + 8, 0xffffffffn, true);  // all rights
      view.setBigUint64(at + 16, 0xffffffffn, true);
      return kOk;
    },
    fd_fdstat_set_flags: () => kOk,
    path_open: (_folder: number, _lookup: number, path: number, length: number, _open: number, _rights: bigint,
                _inheriting: bigint, _flags: number, out: number) => {
      if (!this.isModel(path, length)) return kNoEntry;
      this.offset = 0;
      this.view().setUint32(out, kModel, true);
      return kOk;
    },
    path_filestat_get: (_fd: number, _flags: number, path: number, length: number, at: number) =>
      this.isModel(path, length) ? this.status(at, kRegularFile, this.source!.size) : kNoEntry,
    fd_filestat_get: (fd: number, at: number) =>
      fd === kModel && this.source !== null ? this.status(at, kRegularFile, this.source.size) : this.status(at, kCharacters, 0),
    fd_read: (fd: number, vectors: number, count: number, out: number) => {
      if (fd !== kModel) return kBadDescriptor;
      const read = this.fill(vectors, count, this.offset);
      this.offset += read;
      this.view().setUint32(out, read, true);
      return kOk;
    },
    fd_pread: (fd: number, vectors: number, count: number, offset: bigint, out: number) => {
      if (fd !== kModel) return kBadDescriptor;
      this.view().setUint32(out, this.fill(vectors, count, Number(offset)), true);
      return kOk;
    },
    fd_seek: (fd: number, offset: bigint, whence: number, out: number) => {
      if (fd !== kModel || this.source === null) return kNotSupported;
      const base = whence === 0 ? 0 : whence === 1 ? this.offset : this.source.size;
      this.offset = base + Number(offset);
      this.view().setBigUint64(out, BigInt(this.offset), true);
      return kOk;
    },
    fd_close: () => kOk,
    fd_write: (_fd: number, vectors: number, count: number, out: number) => {
      let total = 0, text = '';
      this.eachBuffer(vectors, count, (at, length) => {
        text += this.string(at, length);
        total += length;
        return true;
      });
      if (text.trim() !== '') this.log(text);
      this.view().setUint32(out, total, true);
      return kOk;
    },
  };

  /** The function that the module asks for by `name`; what a page has not answers "not supported". */
  call(name: string): Call {
    return name in this.calls ? this.calls[name as keyof typeof this.calls] as Call : () => kNotSupported;
  }
}
