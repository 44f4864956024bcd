// Starts `bantam serve` on a port of the system's choice and stops it as an operator does, by SIGTERM.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export class Serving {
  /** Resolves once the server says where it listens. `env` is added to this process's own. */
  static async start(folder, name, config, env = {}) {
    const file = join(folder, `${name}.toml`);
    writeFileSync(file, config);
    const child = spawn(process.env.BANTAM_BIN, ["serve", "--config", file, "--port", "0"], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "pipe"],
    });
    const serving = new Serving(child);
    await serving.#listening;
    return serving;
  }

  log = "";
  #listening;
  #ended;

  constructor(child) {
    this.child = child;
    this.#ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve({ code, signal })));
    this.#listening = new Promise((resolve, reject) => {
      child.stderr.setEncoding("utf8").on("data", (text) => {
        this.log += text;
        const url = this.log.match(/listening on (http:\/\/\S+)/)?.[1];
        if (url) resolve((this.url = url));
      });
      child.on("error", reject);
      this.#ended.then(() => reject(new Error(`the server ended before it listened:\n${this.log}`)));
    });
  }

  async health() {
    return (await fetch(`${this.url}/health`)).json();
  }

  /** The exit code after SIGTERM. */
  async stop() {
    this.child.kill("SIGTERM");
    return (await this.#ended).code;
  }
}
