// The unchanged `openai` client against models that run here: tools, schemas, log-probabilities, embeddings and reranking.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { drawn, isTrip, key, locals, Stage, trip } from "./stage.mjs";

let stage, client;
before(async () => {
  stage = await Stage.open();
  client = new OpenAI({ baseURL: `${stage.url}/v1`, apiKey: key, maxRetries: 0 });
});
after(() => stage?.close());

const say = (content) => [{ role: "user", content }];
const stop = { name: "stop", description: "Ends it" };
const tools = [{ type: "function", function: { ...trip, strict: true } }, { type: "function", function: stop }];
const own = [{ type: "function", ...trip, strict: true }, { type: "function", ...stop, parameters: { type: "object", properties: {}, additionalProperties: false }, strict: true }];
const valid = (name, args) => (name === "trip" ? isTrip(JSON.parse(args)) : name === "stop" && Object.keys(JSON.parse(args)).length === 0);

for (const model of locals) {
  test(`${model}: a call that is required, whole and streamed, and what follows it`, async () => {
    const request = { model, messages: say("Book it"), tools, tool_choice: "required", parallel_tool_calls: false, ...drawn, max_tokens: 500 };
    const whole = await client.chat.completions.create(request);
    const [choice] = whole.choices;
    assert.equal(choice.finish_reason, "tool_calls");
    assert.equal(choice.message.content, null);
    assert.equal(choice.message.tool_calls.length, 1);
    const [call] = choice.message.tool_calls;
    assert.equal(call.type, "function");
    assert.ok(valid(call.function.name, call.function.arguments), JSON.stringify(call));
    assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

    const parts = [];
    const stream = client.chat.completions.stream(request).on("chunk", (chunk) => parts.push(...(chunk.choices[0]?.delta.tool_calls ?? [])));
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "tool_calls");
    assert.equal(final.choices[0].message.tool_calls[0].function.arguments, call.function.arguments);
    assert.ok(parts.length > 1, "the name comes first, then the arguments");
    assert.deepEqual([parts[0].index, parts[0].function.name, parts[0].function.arguments], [0, call.function.name, ""]);
    assert.match(parts[0].id, /^call_/);
    assert.ok(parts.slice(1).every((part) => part.id === undefined && part.function.name === undefined));

    const messages = [...request.messages, choice.message, { role: "tool", tool_call_id: call.id, content: "booked" }];
    const next = await client.chat.completions.create({ model, messages, tools, max_tokens: 5 });
    assert.ok(next.usage.prompt_tokens > whole.usage.prompt_tokens);
    assert.equal(next.choices[0].message.tool_calls, undefined);
  });

  test(`${model}: tool_choice names a function, allows any, or none`, async () => {
    for (let seed = 0; seed < 4; seed++) {
      const named = await client.chat.completions.create({
        model, messages: say("Book it"), tools, tool_choice: { type: "function", function: { name: "trip" } }, parallel_tool_calls: false, temperature: 1, seed, max_tokens: 500,
      });
      assert.deepEqual(named.choices[0].message.tool_calls.map((c) => c.function.name), ["trip"]);
      assert.ok(isTrip(JSON.parse(named.choices[0].message.tool_calls[0].function.arguments)));
    }
    const auto = await client.chat.completions.create({ model, messages: say("Hello"), tools, max_tokens: 10 });
    assert.equal(auto.choices[0].finish_reason, "length");
    const none = await client.chat.completions.create({ model, messages: say("Hello"), tools, tool_choice: "none", max_tokens: 10 });
    assert.ok(none.usage.prompt_tokens < auto.usage.prompt_tokens);
    const allowed = { type: "allowed_tools", allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "stop" } }] } };
    const only = await client.chat.completions.create({ model, messages: say("Hello"), tools, tool_choice: allowed, parallel_tool_calls: false, ...drawn, max_tokens: 300 });
    assert.equal(only.choices[0].message.tool_calls[0].function.name, "stop");
  });

  test(`${model}: several calls in one answer`, async () => {
    const seen = new Set();
    for (let seed = 0; seed < 12; seed++) {
      const reply = await client.chat.completions.create({ model, messages: say("Book two"), tools, tool_choice: "required", temperature: 1.5, seed, max_tokens: 400 });
      const { finish_reason, message } = reply.choices[0];
      for (const call of finish_reason === "tool_calls" ? message.tool_calls : message.tool_calls.slice(0, -1)) {
        assert.ok(valid(call.function.name, call.function.arguments), JSON.stringify(call));
      }
      assert.equal(new Set(message.tool_calls.map((c) => c.id)).size, message.tool_calls.length);
      seen.add(message.tool_calls.length);
    }
    assert.ok(seen.size > 1, [...seen].join());
  });

  test(`${model}: tools of responses, whole and streamed, and what follows them`, async () => {
    const input = [{ role: "user", content: "Book it" }];
    const request = { model, input, tools: own, tool_choice: { type: "function", name: "trip" }, parallel_tool_calls: false, temperature: 1, max_output_tokens: 500 };
    const whole = await client.responses.create(request);
    assert.equal(whole.status, "completed");
    const [call] = whole.output;
    assert.equal(call.type, "function_call");
    assert.ok(isTrip(JSON.parse(call.arguments)));
    const types = new Set();
    let text = "", last;
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      types.add(event.type);
      if (event.type === "response.function_call_arguments.delta") text += event.delta;
      last = event;
    }
    assert.ok(types.has("response.function_call_arguments.done") && types.has("response.output_item.done"));
    assert.equal(last.type, "response.completed");
    assert.equal(last.response.output[0].arguments, text);
    assert.equal(text, call.arguments);
    const next = [...input, call, { type: "function_call_output", call_id: call.call_id, output: "booked" }];
    const second = await client.responses.create({ model, input: next, tools: own, max_output_tokens: 5 });
    assert.ok(second.usage.input_tokens > whole.usage.input_tokens);
  });

  test(`${model}: schemas`, async () => {
    for (let seed = 0; seed < 4; seed++) {
      const response_format = { type: "json_schema", json_schema: { name: "trip", strict: true, schema: trip.parameters } };
      const request = { model, messages: say("Where?"), response_format, temperature: 1, seed, max_tokens: 500 };
      const reply = await client.chat.completions.parse(request);
      assert.ok(isTrip(reply.choices[0].message.parsed), reply.choices[0].message.content);
      assert.equal(reply.choices[0].finish_reason, "stop");
      const final = await client.chat.completions.stream(request).finalChatCompletion();
      assert.deepEqual(final.choices[0].message.parsed, reply.choices[0].message.parsed);
    }
    const format = { type: "json_schema", name: "trip", strict: true, schema: trip.parameters };
    const other = await client.responses.parse({ model, input: "Where?", text: { format }, temperature: 1, max_output_tokens: 500 });
    assert.ok(isTrip(other.output_parsed), other.output_text);
  });

  test(`${model}: log-probabilities spell the text`, async () => {
    const request = { model, messages: say("Hello"), max_tokens: 12, logprobs: true, top_logprobs: 3 };
    const bytes = (tokens) => Buffer.from(tokens.flatMap((t) => t.bytes));
    const reply = await client.chat.completions.create(request);
    const { content } = reply.choices[0].logprobs;
    assert.equal(content.length, reply.usage.completion_tokens);
    assert.equal(bytes(content).toString(), reply.choices[0].message.content);
    for (const token of content) {
      assert.equal(token.top_logprobs.length, 3);
      assert.ok(token.logprob <= 0 && token.top_logprobs[0].logprob >= token.logprob);
    }
    const streamed = [];
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) streamed.push(...(chunk.choices[0]?.logprobs?.content ?? []));
    assert.deepEqual(streamed.map((t) => t.token), content.slice(0, streamed.length).map((t) => t.token));
    const text = await client.completions.create({ model, prompt: "Hello", max_tokens: 6, logprobs: 2 });
    const { tokens, token_logprobs, text_offset } = text.choices[0].logprobs;
    assert.deepEqual([tokens.length, token_logprobs.length, text_offset.length], [6, 6, 6]);
    const response = await client.responses.create({ model, input: "Hello", max_output_tokens: 6, include: ["message.output_text.logprobs"], top_logprobs: 2 });
    assert.equal(response.output[0].content[0].logprobs.length, 6);
  });
}

test("a strict schema that is not implemented is refused by name, another is said to", async () => {
  const parameters = { type: "object", properties: { a: { type: "array", contains: {} } } };
  const ask = (strict) => client.chat.completions.create({ model: "chat", messages: say("x"), tools: [{ type: "function", function: { name: "f", parameters, strict } }], max_tokens: 4 });
  await assert.rejects(ask(true), { status: 400, param: "tools", code: "unsupported_parameter" });
  assert.match((await ask(false)).bantam.notes.join(), /'f'.*contains/);
});

test("embeddings: floats, base64, several inputs, dimensions", async () => {
  const input = ["the quick brown fox", "the lazy dog", "the quick brown fox"];
  const floats = await client.embeddings.create({ model: "chat", input, encoding_format: "float" });
  const packed = await client.embeddings.create({ model: "chat", input }); // this client asks for base64 and unpacks it
  assert.equal(floats.data.length, 3);
  assert.deepEqual(floats.data.map((d) => d.index), [0, 1, 2]);
  for (let i = 0; i < 3; i++) {
    assert.equal(floats.data[i].embedding.length, 64);
    assert.deepEqual(Float32Array.from(packed.data[i].embedding), Float32Array.from(floats.data[i].embedding));
    assert.ok(Math.abs(floats.data[i].embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-5);
  }
  assert.deepEqual(floats.data[0].embedding, floats.data[2].embedding);
  assert.notDeepEqual(floats.data[0].embedding, floats.data[1].embedding);
  assert.equal(floats.usage.total_tokens, floats.usage.prompt_tokens);
  const short = await client.embeddings.create({ model: "chat", input: input[0], dimensions: 16, encoding_format: "float" });
  assert.equal(short.data[0].embedding.length, 16);
  await assert.rejects(client.embeddings.create({ model: "chat", input: "a", dimensions: 65 }), { status: 400, param: "dimensions" });
});

test("rerank: the nearest first", async () => {
  const documents = ["the lazy dog", "the quick brown fox", { text: "something else" }];
  const rerank = (more) =>
    fetch(`${stage.url}/v1/rerank`, { method: "POST", headers: { authorization: `Bearer ${key}` }, body: JSON.stringify({ model: "chat", query: "the quick brown fox", documents, ...more }) });
  const { results, usage } = await (await rerank({ return_documents: true })).json();
  assert.deepEqual(results[0].document, { text: "the quick brown fox" });
  assert.equal(results[0].index, 1);
  assert.ok(results[0].relevance_score > 0.9999);
  assert.deepEqual(results.map((r) => r.relevance_score), results.map((r) => r.relevance_score).sort((a, b) => b - a));
  assert.ok(usage.total_tokens > 0);
  assert.equal((await (await rerank({ top_n: 1 })).json()).results.length, 1);
  assert.equal((await rerank({ documents: [] })).status, 400);
});

test("token ids: prompts and inputs", async () => {
  const tokenize = async (prompt) => (await (await fetch(`${stage.url}/tokenize`, { method: "POST", headers: { authorization: `Bearer ${key}` }, body: JSON.stringify({ model: "chat", prompt }) })).json()).tokens;
  const texts = ["the quick brown fox", "Once upon a time"];
  const ids = [await tokenize(texts[0]), await tokenize(texts[1])];
  const ask = (prompt, model = "chat") => client.completions.create({ model, prompt, max_tokens: 8 });
  const [whole, one, two] = [await ask(texts), await ask(ids[0]), await ask(ids)];
  assert.equal(one.choices[0].text, whole.choices[0].text);
  assert.deepEqual(two.choices.map((c) => c.text), whole.choices.map((c) => c.text));
  assert.equal(two.usage.prompt_tokens, whole.usage.prompt_tokens);
  await assert.rejects(ask([299, 999999]), { status: 400, param: "prompt" });
  await assert.rejects(ask([1, 2], "scripted"), { status: 400, param: "prompt" });
  const embed = (input) => client.embeddings.create({ model: "chat", input, encoding_format: "float" });
  const [texts_, ids_] = [await embed(texts), await embed(ids)];
  assert.deepEqual(ids_.data, texts_.data);
  assert.deepEqual((await embed(ids[1])).data[0].embedding, texts_.data[1].embedding);
});
