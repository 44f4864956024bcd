// The unchanged `openai` client beyond chat completions of text, which tests/openai covers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { key, person, Stage, weather } from "./stage.mjs";

let stage, client;
before(async () => {
  stage = await Stage.open();
  client = new OpenAI({ baseURL: `${stage.url}/v1`, apiKey: key, maxRetries: 0 });
});
after(() => stage?.close());

const say = (content) => [{ role: "user", content }];
const tools = [{ type: "function", function: weather }];

test("completions: whole, streamed, several", async () => {
  const whole = await client.completions.create({ model: "chat", prompt: "Once upon", max_tokens: 8 });
  assert.equal(whole.object, "text_completion");
  assert.equal(whole.choices[0].finish_reason, "length");
  assert.ok(whole.usage.completion_tokens === 8);
  let text = "";
  for await (const chunk of await client.completions.create({ model: "chat", prompt: "Once upon", max_tokens: 8, stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, whole.choices[0].text);
  const echoed = await client.completions.create({ model: "chat", prompt: ["Once upon", "Far away"], max_tokens: 8, echo: true });
  assert.equal(echoed.choices.length, 2);
  assert.equal(echoed.choices[0].text, "Once upon" + whole.choices[0].text);
  assert.ok(echoed.choices[1].text.startsWith("Far away"));
  const remote = await client.completions.create({ model: "peer", prompt: "Once upon", max_tokens: 8 });
  assert.equal(remote.choices[0].text, whole.choices[0].text);
});

for (const model of ["chat", "peer"]) {
  test(`responses of ${model}: whole and streamed`, async () => {
    const request = { model, instructions: "Be kind.", input: "Hello", max_output_tokens: 12, temperature: 0 };
    const whole = await client.responses.create(request);
    assert.equal(whole.object, "response");
    assert.equal(whole.status, "incomplete");
    assert.equal(whole.incomplete_details.reason, "max_output_tokens");
    assert.equal(whole.usage.output_tokens, 12);
    assert.equal(whole.instructions, "Be kind.");
    const types = [];
    let text = "", last;
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      assert.equal(event.sequence_number, types.length);
      types.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.deepEqual(types.slice(0, 4), ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]);
    assert.equal(last.type, "response.incomplete");
    assert.equal(text, whole.output_text);
    assert.equal(last.response.output[0].content[0].text, text);
  });
}

test("the client's own response stream helper", async () => {
  const events = [];
  const stream = client.responses.stream({ model: "scripted", input: "Hello" }).on("response.output_text.delta", (e) => events.push(e.delta));
  const final = await stream.finalResponse();
  assert.equal(final.status, "completed");
  assert.equal(final.output_text, "You said: Hello");
  assert.equal(events.join(""), "You said: Hello");
});

test("several answers to one request", async () => {
  const reply = await client.chat.completions.create({ model: "chat", messages: say("Hello"), n: 3, max_tokens: 6, temperature: 1, seed: 1 });
  assert.deepEqual(reply.choices.map((c) => c.index), [0, 1, 2]);
  assert.ok(new Set(reply.choices.map((c) => c.message.content)).size > 1);
  const texts = ["", "", ""];
  for await (const chunk of await client.chat.completions.create({ model: "chat", messages: say("Hello"), n: 3, max_tokens: 6, temperature: 1, seed: 1, stream: true })) {
    texts[chunk.choices[0].index] += chunk.choices[0].delta.content ?? "";
  }
  assert.deepEqual(texts, reply.choices.map((c) => c.message.content));
});

test("tools in chat completions: called, answered, streamed", async () => {
  const messages = say("What is the weather in two cities?");
  const first = await client.chat.completions.create({ model: "scripted", messages, tools });
  const { message } = first.choices[0];
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  assert.deepEqual(message.tool_calls.map((c) => JSON.parse(c.function.arguments).city), ["Paris", "Rome"]);
  messages.push(message, { role: "tool", tool_call_id: message.tool_calls[1].id, content: "rain" });
  const second = await client.chat.completions.create({ model: "scripted", messages, tools });
  assert.equal(second.choices[0].message.content, "The tool says: rain");
  const sent = stage.upstream.requests.at(-1);
  assert.deepEqual(sent.tools[0].function.parameters, weather.parameters);
  assert.equal(sent.messages.at(-1).tool_call_id, "call_rome");
  const final = await client.chat.completions.stream({ model: "scripted", messages: say("one"), tools }).finalChatCompletion();
  assert.equal(final.choices[0].message.tool_calls[0].function.arguments, '{"city":"Paris"}');
  const single = await client.chat.completions.create({ model: "scripted", messages: say("two cities"), tools, parallel_tool_calls: false });
  assert.equal(single.choices[0].message.tool_calls.length, 1);
});

test("tools in responses: called, answered, streamed", async () => {
  const input = [{ role: "user", content: "What is the weather?" }];
  const own = [{ type: "function", ...weather, strict: true }];
  const first = await client.responses.create({ model: "scripted", input, tools: own });
  const [call] = first.output;
  assert.equal(call.type, "function_call");
  assert.equal(call.arguments, '{"city":"Paris"}');
  const next = [...input, call, { type: "function_call_output", call_id: call.call_id, output: "snow" }];
  const second = await client.responses.create({ model: "scripted", input: next, tools: own });
  assert.equal(second.output_text, "The tool says: snow");
  const final = await client.responses.stream({ model: "scripted", input, tools: own }).finalResponse();
  assert.equal(final.output[0].arguments, '{"city":"Paris"}');
  assert.equal(final.output[0].call_id, "call_paris");
});

test("JSON schemas: of a remote model", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } };
  const reply = await client.chat.completions.create({ model: "scripted", messages: say("Who?"), response_format });
  assert.deepEqual(JSON.parse(reply.choices[0].message.content), { name: "Ada", age: 36 });
  assert.deepEqual(stage.upstream.requests.at(-1).response_format.json_schema.schema, person);
  const other = await client.responses.create({ model: "scripted", input: "Who?", text: { format: { type: "json_schema", name: "person", schema: person } } });
  assert.deepEqual(JSON.parse(other.output_text), { name: "Ada", age: 36 });
});

test("errors in OpenAI's form on every endpoint", async () => {
  const invalid = { status: 400, type: "invalid_request_error" };
  await assert.rejects(client.completions.create({ model: "chat", prompt: "a", suffix: "b" }), { ...invalid, param: "suffix" });
  await assert.rejects(client.responses.create({ model: "chat", input: "a", previous_response_id: "resp_1" }), { ...invalid, param: "previous_response_id" });
  await assert.rejects(client.responses.create({ model: "chat", input: "a", store: true }), { ...invalid, param: "store" });
  await assert.rejects(client.responses.create({ model: "nobody", input: "a" }), { status: 404, code: "model_not_found" });
  await assert.rejects(client.embeddings.create({ model: "chat", input: "" }), { ...invalid, param: "input" });
  await assert.rejects(client.chat.completions.create({ model: "chat", messages: say("a"), n: 1000 }), { ...invalid, param: "n" });
  const stranger = new OpenAI({ baseURL: `${stage.url}/v1`, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.responses.create({ model: "chat", input: "a" }), { status: 401, code: "invalid_api_key" });
});

test("an aborted response frees its model", async () => {
  const stream = await client.responses.create({ model: "chat", input: "Hello", stream: true });
  let events = 0;
  for await (const _ of stream) if (++events === 8) break;
  const until = Date.now() + 5000;
  const stopped = /model=chat failed: cancelled/;
  while (!stopped.test(stage.server.log) && Date.now() < until) await sleep(10);
  assert.match(stage.server.log, stopped);
});
