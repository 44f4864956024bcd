// The unchanged `openai` client against real servers: one that serves local models and teams, and behind it a second one that plays the
// remote LLM. BANTAM_BIN is the program, WRITE_MODEL makes the small models.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { Serving } from "./serving.mjs";

const labels = ["refund", "login", "other"];
const key = "peer-key-1";
const ticket = [{ role: "user", content: "I want my money back" }];
let folder, peer, server, client;

function model(name, ...more) {
  execFileSync(process.env.WRITE_MODEL, [join(folder, name), ...more], { stdio: "inherit" });
}

/** A port on which nothing listens. */
async function deadPort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => listener.once("listening", resolve));
  const { port } = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

function team(name, llm, threshold, onFailure) {
  return `[[teams]]
name = "${name}"
strategy = "cascade"
slm = "small"
llm = "${llm}"
threshold = ${threshold}
on_llm_failure = "${onFailure}"
`;
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "bantam-openai-"));
  model("small.gguf", "--labels", labels.join(","));
  model("large.gguf", "--labels", labels.join(","), "--seed", "2");
  model("chat.gguf", "--context", "65536", "--seed", "2"); // its greedy text goes on and on
  peer = await Serving.start(
    folder,
    "peer",
    `[server]
api_key_env = "PEER_KEY"
[[models]]
name = "llm-1"
path = "large.gguf"
`,
    { PEER_KEY: key },
  );
  const remote = (name, url) => `[[models]]
name = "${name}"
url = "${url}/v1"
model = "llm-1"
key_env = "LLM_KEY"
choices = "guided_choice"
max_retries = 0
prices = { prompt = 2, completion = 10 }
`;
  server = await Serving.start(
    folder,
    "server",
    `[[models]]
name = "small"
path = "small.gguf"
[[models]]
name = "chat"
path = "chat.gguf"
context = 65536
${remote("large", peer.url)}
${remote("gone", `http://127.0.0.1:${await deadPort()}`)}
${team("keep", "large", 0, "error")}
${team("escalate", "large", 1, "error")}
${team("marked", "gone", 1, "unverified")}
${team("strict", "gone", 1, "error")}
`,
    { LLM_KEY: key },
  );
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", maxRetries: 0 });
});

after(async () => {
  for (const running of [server, peer]) running?.child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

test("lists the models and shows one", async () => {
  const ids = (await client.models.list()).data.map((m) => m.id);
  assert.deepEqual(ids, ["small", "chat", "large", "gone", "keep", "escalate", "marked", "strict"]);
  assert.equal((await client.models.retrieve("keep")).object, "model");
});

test("a confident SLM answers alone", async () => {
  const reply = await client.chat.completions.create({ model: "keep", messages: ticket, temperature: 0 });
  assert.equal(reply.object, "chat.completion");
  assert.ok(labels.includes(reply.choices[0].message.content));
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.ok(reply.usage.total_tokens > 1);
  assert.equal(reply.bantam.answered_by, "small");
  assert.ok(reply.bantam.confidence > 1 / 3 && reply.bantam.confidence <= 1);
  assert.equal(reply.bantam.cost, 0);
  assert.deepEqual(reply.bantam.steps.map((s) => s.model), ["small"]);
});

test("below the threshold the remote LLM answers, and is paid for", async () => {
  const reply = await client.chat.completions.create({ model: "escalate", messages: ticket });
  const direct = await new OpenAI({ baseURL: `${peer.url}/v1`, apiKey: key }).chat.completions.create({ model: "llm-1", messages: ticket });
  assert.equal(reply.choices[0].message.content, direct.choices[0].message.content);
  assert.equal(reply.bantam.answered_by, "large");
  assert.deepEqual(reply.bantam.steps.map((s) => [s.model, s.outcome]), [["small", "below threshold"], ["large", "answered"]]);
  const { prompt_tokens, completion_tokens } = direct.usage;
  assert.ok(Math.abs(reply.bantam.cost - (2 * prompt_tokens + 10 * completion_tokens) * 1e-6) < 1e-12);
});

for (const name of ["keep", "escalate"]) {
  test(`streams the label of team ${name}`, async () => {
    const whole = await client.chat.completions.create({ model: name, messages: ticket });
    const stream = await client.chat.completions.create({ model: name, messages: ticket, stream: true, stream_options: { include_usage: true } });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), whole.choices[0].message.content);
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.deepEqual(chunks.at(-1).usage, whole.usage);
    assert.equal(chunks.at(-1).bantam.answered_by, whole.bantam.answered_by);
  });
}

test("the client's own stream helper puts the answer together", async () => {
  const final = await client.chat.completions.stream({ model: "keep", messages: ticket }).finalChatCompletion();
  assert.ok(labels.includes(final.choices[0].message.content));
});

test("an LLM that fails: the SLM's answer marked, or an error, as configured", async () => {
  const reply = await client.chat.completions.create({ model: "marked", messages: ticket });
  assert.equal(reply.bantam.answered_by, "small");
  assert.equal(reply.bantam.unverified, true);
  assert.match(reply.bantam.steps[1].outcome, /^failed: /);
  await assert.rejects(client.chat.completions.create({ model: "strict", messages: ticket }), { status: 502, code: "upstream_error" });
});

test("an answer among given choices", async () => {
  for (const model of ["small", "large", "chat"]) {
    const reply = await client.chat.completions.create({ model, messages: ticket, guided_choice: ["login", "other"] });
    assert.ok(["login", "other"].includes(reply.choices[0].message.content), model);
  }
});

test("OpenAI's own errors", async () => {
  const fails = (body, expected) => assert.rejects(client.chat.completions.create(body), expected);
  const invalid = { status: 400, type: "invalid_request_error" };
  await fails({ model: "nobody", messages: ticket }, { status: 404, code: "model_not_found", param: "model" });
  await assert.rejects(client.models.retrieve("nobody"), { status: 404, code: "model_not_found" });
  await fails({ model: "keep" }, { ...invalid, param: "messages" });
  await fails({ messages: ticket }, { ...invalid, param: "model" });
  await fails({ model: "keep", messages: ticket, temperature: "hot" }, { ...invalid, param: "temperature" });
  await fails({ model: "keep", messages: ticket, n: 1000 }, { ...invalid, param: "n" });
  await fails({ model: "keep", messages: ticket, logprobs: "yes" }, { ...invalid, param: "logprobs" });
  await fails({ model: "keep", messages: ticket, colour: "red" }, { ...invalid, param: "colour", code: "unknown_parameter" });
  await fails({ model: "keep", messages: [{ role: "robot", content: "x" }] }, { ...invalid, param: "messages[0].role" });
});

test("an over-long prompt is refused everywhere, never cut", async () => {
  const messages = [{ role: "user", content: "long ".repeat(2000) }];
  for (const model of ["small", "large", "keep"]) {
    for (const stream of [false, true]) {
      await assert.rejects(client.chat.completions.create({ model, messages, stream }), { status: 400, code: "context_length_exceeded", param: "messages" });
    }
  }
});

test("a wrong key is refused where one is asked for", async () => {
  for (const apiKey of ["wrong", key + "1"]) {
    const stranger = new OpenAI({ baseURL: `${peer.url}/v1`, apiKey, maxRetries: 0 });
    await assert.rejects(stranger.models.list(), { status: 401, code: "invalid_api_key" });
    await assert.rejects(stranger.chat.completions.create({ model: "llm-1", messages: ticket }), { status: 401, code: "invalid_api_key" });
  }
});

test("a client that leaves frees its worker", async () => {
  const stream = await client.chat.completions.create({ model: "chat", messages: ticket, stream: true });
  let chunks = 0;
  for await (const _ of stream) {
    if (++chunks === 3) break; // the client aborts its request
  }
  assert.equal(chunks, 3);
  const stopped = /model=chat failed: cancelled/;
  const until = Date.now() + 5000;
  while (!stopped.test(server.log) && Date.now() < until) await sleep(10);
  assert.match(server.log, stopped);
  while ((await server.health()).busy > 0 && Date.now() < until) await sleep(10);
  assert.equal((await server.health()).busy, 0);
});

test("SIGTERM lets requests in work finish, then the server ends well", async () => {
  const stream = await client.chat.completions.create({ model: "chat", messages: ticket, max_tokens: 2000, stream: true });
  const chunks = [];
  let ended;
  for await (const chunk of stream) {
    ended ??= server.stop();
    chunks.push(chunk);
  }
  assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
  assert.equal(await ended, 0);
  assert.equal(await peer.stop(), 0);
});
