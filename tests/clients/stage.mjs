// What every client's test needs: a server of ours with local models of random weights ("chat", and "native" with a chat template that has
// a form for calls of functions), a second server of ours behind it as a
// remote ("peer"), and a scripted upstream behind it ("scripted") for texts that must be foreseeable.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Upstream } from "./upstream.mjs";

const { Serving } = await import(process.env.SERVING);

export const key = "clients-key-1";
/** The models that run here, and what makes their random weights say different things. */
export const locals = ["chat", "native"];
export const drawn = { temperature: 1, seed: 7 };

const template = `{% if tools %}Tools: {{ tools | tojson }}
{% endif %}{% for m in messages %}{{ m.role }}: {% if m.tool_calls %}<|answer|>[{% for c in m.tool_calls %}{"name": "{{ c.function.name }}", \
"arguments": {{ c.function.arguments | tojson }}}{% if not loop.last %}, {% endif %}{% endfor %}]{% else %}{{ m.content }}{% endif %}<|end|>
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`;

export class Stage {
  static async open() {
    const stage = new Stage();
    stage.folder = mkdtempSync(join(tmpdir(), "bantam-clients-"));
    const model = (name, ...more) => execFileSync(process.env.WRITE_MODEL, [join(stage.folder, name), ...more], { stdio: "inherit" });
    model("chat.gguf", "--context", "65536", "--seed", "2"); // its greedy text goes on and on
    writeFileSync(join(stage.folder, "native.jinja"), template);
    model("native.gguf", "--context", "65536", "--seed", "2", "--template", join(stage.folder, "native.jinja"));
    stage.upstream = await Upstream.start();
    stage.peer = await Serving.start(stage.folder, "peer", `[server]\napi_key_env = "KEY"\n[[models]]\nname = "chat"\npath = "chat.gguf"\ncontext = 65536\n`, { KEY: key });
    const remote = (name, url, model) => `[[models]]\nname = "${name}"\nurl = "${url}/v1"\nmodel = "${model}"\nkey_env = "KEY"\nmax_retries = 0\n`;
    stage.server = await Serving.start(
      stage.folder,
      "server",
      `[server]
api_key_env = "KEY"
[[models]]
name = "chat"
path = "chat.gguf"
context = 65536
[[models]]
name = "native"
path = "native.gguf"
context = 65536
${remote("peer", stage.peer.url, "chat")}
${remote("scripted", stage.upstream.url, "scripted-1")}
`,
      { KEY: key },
    );
    stage.url = stage.server.url;
    return stage;
  }

  async close() {
    for (const serving of [this.server, this.peer]) serving?.child.kill("SIGKILL");
    this.upstream?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const weather = {
  name: "weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
};
export const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};

/** What any model must keep to, however it was trained: bounded, so that random weights come to an end. */
export const trip = {
  name: "trip",
  description: "Books a trip",
  parameters: {
    type: "object",
    properties: { city: { type: "string", enum: ["Paris", "Rome"] }, days: { type: "integer", minimum: 1, maximum: 9 } },
    required: ["city", "days"],
    additionalProperties: false,
  },
};
export function isTrip(value) {
  return Object.keys(value).join() === "city,days" && ["Paris", "Rome"].includes(value.city) && Number.isInteger(value.days) && value.days >= 1 && value.days <= 9;
}
