// The unchanged Vercel AI SDK with @ai-sdk/openai, over the responses API (its default) and over chat completions.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";
import { isTrip, key, locals, Stage } from "./stage.mjs";

let stage, openai;
before(async () => {
  stage = await Stage.open();
  openai = createOpenAI({ baseURL: `${stage.url}/v1`, apiKey: key });
});
after(() => stage?.close());

const over = { responses: (name) => openai(name), chat: (name) => openai.chat(name) };
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});

for (const [api, model] of Object.entries(over)) {
  test(`generateText over ${api}`, async () => {
    const scripted = await generateText({ model: model("scripted"), system: "Be kind.", prompt: "Hello" });
    assert.equal(scripted.text, "You said: Hello");
    assert.equal(scripted.finishReason, "stop");
    assert.equal(scripted.usage.inputTokens, 20);
    for (const name of ["chat", "peer"]) {
      const { text, finishReason, usage } = await generateText({ model: model(name), prompt: "Hello", maxOutputTokens: 8 });
      assert.ok(text.length > 0);
      assert.equal(finishReason, "length");
      assert.equal(usage.outputTokens, 8);
    }
  });

  test(`streamText over ${api}`, async () => {
    for (const name of ["chat", "peer"]) {
      const whole = await generateText({ model: model(name), prompt: "Hello", maxOutputTokens: 16 });
      const result = streamText({ model: model(name), prompt: "Hello", maxOutputTokens: 16 });
      let text = "";
      for await (const piece of result.textStream) text += piece;
      assert.equal(text, whole.text);
      assert.equal(await result.finishReason, "length");
      assert.equal((await result.usage).outputTokens, 16);
    }
  });

  test(`generateObject over ${api}`, async () => {
    const { object } = await generateObject({ model: model("scripted"), schema: z.object({ name: z.string(), age: z.number().int() }), prompt: "Who?" });
    assert.deepEqual(object, { name: "Ada", age: 36 });
    assert.equal(stage.upstream.requests.at(-1).response_format.type, "json_schema");
  });

  test(`a loop of tool calls over ${api}`, async () => {
    const providerOptions = { openai: { store: false } }; // the server keeps no responses
    const options = { model: model("scripted"), tools: { weather }, stopWhen: stepCountIs(3), providerOptions, prompt: "The weather?" };
    const whole = await generateText(options);
    assert.equal(whole.text, "The tool says: sunny in Paris");
    assert.equal(whole.steps.length, 2);
    const streamed = streamText(options);
    let text = "";
    for await (const piece of streamed.textStream) text += piece;
    assert.equal(text, "The tool says: sunny in Paris");
  });

  for (const name of locals) {
    const schema = z.object({ city: z.enum(["Paris", "Rome"]), days: z.number().int().min(1).max(9) });
    const drawn = { temperature: 1, maxOutputTokens: 500 };

    test(`generateObject and streamObject of ${name} over ${api}`, async () => {
      const { object, usage } = await generateObject({ model: model(name), schema, prompt: "Where?", ...drawn });
      assert.ok(isTrip(object), JSON.stringify(object));
      assert.ok(usage.outputTokens > 0);
      const streamed = streamObject({ model: model(name), schema, prompt: "Where?", ...drawn });
      let last;
      for await (const part of streamed.partialObjectStream) last = part;
      assert.ok(isTrip(last));
      assert.deepEqual(await streamed.object, last);
    });

    test(`tools of ${name} over ${api}`, async () => {
      const booked = [];
      const trip = tool({ description: "Books a trip", inputSchema: schema, execute: async (input) => booked.push(input) });
      const options = { model: model(name), tools: { trip }, toolChoice: "required", prompt: "Book it", ...drawn };
      options.providerOptions = { openai: { store: false, parallelToolCalls: false } };
      const whole = await generateText(options);
      assert.equal(whole.finishReason, "tool-calls");
      assert.equal(whole.toolCalls[0].toolName, "trip");
      assert.ok(isTrip(whole.toolCalls[0].input));
      const streamed = streamText(options);
      await streamed.consumeStream();
      assert.deepEqual((await streamed.toolCalls)[0].input, whole.toolCalls[0].input);
      assert.equal(booked.length, 2);
      assert.ok(booked.every(isTrip));
    });
  }

  test(`errors over ${api}`, async () => {
    await assert.rejects(generateText({ model: model("nobody"), prompt: "Hello", maxRetries: 0 }), { statusCode: 404 });
  });
}
