// The unchanged `@anthropic-ai/sdk` client: messages, whole and streamed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { isTrip, key, locals, person, Stage, trip, weather } from "./stage.mjs";

let stage, client;
before(async () => {
  stage = await Stage.open();
  client = new Anthropic({ baseURL: stage.url, apiKey: key, maxRetries: 0 });
});
after(() => stage?.close());

/** Tokens of the prompt, those that had been worked out before included. */
const read = (usage) => usage.input_tokens + usage.cache_read_input_tokens;
const say = (content) => [{ role: "user", content }];
const tools = [{ name: weather.name, description: weather.description, input_schema: weather.parameters }];

test("a message, whole", async () => {
  const system = [{ type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } }];
  const message = await client.messages.create({ model: "scripted", max_tokens: 50, system, messages: say([{ type: "text", text: "Hello" }]) });
  assert.equal(message.type, "message");
  assert.equal(message.model, "scripted");
  assert.equal(message.content[0].text, "You said: Hello");
  assert.equal(message.stop_reason, "end_turn");
  assert.equal(message.usage.input_tokens, 20);
  assert.equal(stage.upstream.requests.at(-1).messages[0].content, "Be kind.");
});

for (const model of ["chat", "peer"]) {
  test(`${model}: whole and streamed say the same`, async () => {
    const request = { model, max_tokens: 12, messages: say("Hello"), temperature: 0 };
    const whole = await client.messages.create(request);
    assert.equal(whole.stop_reason, "max_tokens");
    assert.equal(whole.usage.output_tokens, 12);
    const pieces = [];
    const stream = client.messages.stream(request).on("text", (piece) => pieces.push(piece));
    const final = await stream.finalMessage();
    assert.deepEqual(final.content[0].text, whole.content[0].text);
    assert.equal(pieces.join(""), whole.content[0].text);
    assert.equal(final.usage.output_tokens, 12);
    assert.equal(read(final.usage), read(whole.usage));
    assert.equal(final.stop_reason, "max_tokens");
  });
}

test("tools: used, answered, streamed", async () => {
  const messages = say("What is the weather?");
  const first = await client.messages.create({ model: "scripted", max_tokens: 50, messages, tools });
  assert.equal(first.stop_reason, "tool_use");
  const use = first.content.find((block) => block.type === "tool_use");
  assert.deepEqual(use.input, { city: "Paris" });
  messages.push({ role: "assistant", content: first.content });
  messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "hail" }] });
  const second = await client.messages.create({ model: "scripted", max_tokens: 50, messages, tools });
  assert.equal(second.content[0].text, "The tool says: hail");
  const final = await client.messages.stream({ model: "scripted", max_tokens: 50, messages: say("The weather?"), tools }).finalMessage();
  assert.deepEqual(final.content[0].input, { city: "Paris" });
  assert.equal(final.stop_reason, "tool_use");
});

for (const model of locals) {
  test(`tools of ${model}: used, answered, streamed`, async () => {
    const own = [{ name: trip.name, description: trip.description, input_schema: trip.parameters }];
    const messages = say("Book it");
    for (const tool_choice of [{ type: "any", disable_parallel_tool_use: true }, { type: "tool", name: "trip", disable_parallel_tool_use: true }]) {
      const request = { model, max_tokens: 500, messages, tools: own, tool_choice, temperature: 1 };
      const first = await client.messages.create(request);
      assert.equal(first.stop_reason, "tool_use");
      assert.deepEqual(first.content.map((block) => block.type), ["tool_use"]);
      assert.ok(isTrip(first.content[0].input));
      const pieces = [];
      const final = await client.messages.stream(request).on("inputJson", (piece) => pieces.push(piece)).finalMessage();
      assert.deepEqual(final.content[0].input, first.content[0].input);
      assert.deepEqual(JSON.parse(pieces.join("")), first.content[0].input);
      const next = [...messages, { role: "assistant", content: first.content }];
      next.push({ role: "user", content: [{ type: "tool_result", tool_use_id: first.content[0].id, content: "booked" }, { type: "text", text: "And?" }] });
      const second = await client.messages.create({ model, max_tokens: 5, messages: next, tools: own });
      assert.ok(read(second.usage) > read(first.usage));
    }
    const plain = await client.messages.create({ model, max_tokens: 5, messages, tools: own });
    assert.deepEqual(plain.content.map((block) => block.type), ["text"]);
  });

  test(`a schema for the answer of ${model}`, async () => {
    const output_config = { format: { type: "json_schema", schema: trip.parameters } };
    const message = await client.messages.create({ model, max_tokens: 500, messages: say("Where?"), output_config, temperature: 1 });
    assert.ok(isTrip(JSON.parse(message.content[0].text)));
  });
}

test("a schema for the answer", async () => {
  const output_config = { format: { type: "json_schema", schema: person } };
  const message = await client.messages.create({ model: "scripted", max_tokens: 50, messages: say("Who?"), output_config });
  assert.deepEqual(JSON.parse(message.content[0].text), { name: "Ada", age: 36 });
});

test("counts tokens as the prompt has them", async () => {
  const { input_tokens } = await client.messages.countTokens({ model: "chat", messages: say("Hello") });
  const message = await client.messages.create({ model: "chat", max_tokens: 1, messages: say("Hello") });
  assert.equal(input_tokens, read(message.usage));
  await assert.rejects(client.messages.countTokens({ model: "scripted", messages: say("Hello") }), { status: 400, type: "invalid_request_error" });
});

test("errors in Anthropic's form", async () => {
  const fails = (body, status, type) => assert.rejects(client.messages.create({ max_tokens: 5, messages: say("Hello"), ...body }), { status, type });
  await fails({ model: "nobody" }, 404, "not_found_error");
  await fails({ model: "chat", temperature: 7 }, 400, "invalid_request_error");
  await fails({ model: "chat", thinking: { type: "enabled", budget_tokens: 2048 } }, 400, "invalid_request_error");
  await fails({ model: "chat", messages: say("long ".repeat(100000)) }, 400, "invalid_request_error");
  await assert.rejects(client.messages.batches.list(), (error) => error.status === 404 && error.type === "not_found_error" && error.requestID?.startsWith("req_"));
  const stranger = new Anthropic({ baseURL: stage.url, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.messages.create({ model: "chat", max_tokens: 5, messages: say("Hello") }), { status: 401, type: "authentication_error" });
});
