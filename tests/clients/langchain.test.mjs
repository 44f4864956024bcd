// The unchanged LangChain.js ChatOpenAI.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { isTrip, key, locals, Stage } from "./stage.mjs";

let stage;
before(async () => (stage = await Stage.open()));
after(() => stage?.close());

const model = (name, more = {}) => new ChatOpenAI({ model: name, apiKey: key, maxRetries: 0, configuration: { baseURL: `${stage.url}/v1` }, ...more });

for (const useResponsesApi of [false, true]) {
  const over = useResponsesApi ? "responses" : "chat completions";
  test(`invoke and stream over ${over}`, async () => {
    const messages = [new SystemMessage("Be kind."), new HumanMessage("Hello")];
    const reply = await model("scripted", { useResponsesApi }).invoke(messages);
    assert.equal(reply.text, "You said: Hello");
    assert.equal(reply.usage_metadata.input_tokens, 20);
    for (const name of ["chat", "peer"]) {
      const local = model(name, { useResponsesApi, maxTokens: 12, temperature: 0 });
      const whole = await local.invoke(messages);
      assert.ok(whole.text.length > 0);
      let text = "";
      for await (const chunk of await local.stream(messages)) text += chunk.text;
      assert.equal(text, whole.text);
    }
  });

  test(`tools over ${over}`, async () => {
    const weather = tool(async ({ city }) => `sunny in ${city}`, { name: "weather", description: "The weather of a city", schema: z.object({ city: z.string() }) });
    const bound = model("scripted", { useResponsesApi }).bindTools([weather]);
    const asked = new HumanMessage("The weather?");
    const call = await bound.invoke([asked]);
    assert.equal(call.tool_calls[0].name, "weather");
    assert.deepEqual(call.tool_calls[0].args, { city: "Paris" });
    const result = new ToolMessage({ content: "sunny", tool_call_id: call.tool_calls[0].id });
    assert.equal((await bound.invoke([asked, call, result])).text, "The tool says: sunny");
  });

  test(`structured output over ${over}`, async () => {
    const schema = z.object({ name: z.string(), age: z.number().int() });
    const structured = model("scripted", { useResponsesApi }).withStructuredOutput(schema, { name: "person", method: "jsonSchema" });
    assert.deepEqual(await structured.invoke("Who?"), { name: "Ada", age: 36 });
  });

  for (const name of locals) {
    const schema = z.object({ city: z.enum(["Paris", "Rome"]), days: z.number().int().min(1).max(9) });
    const local = () => model(name, { useResponsesApi, temperature: 1, maxTokens: 500, modelKwargs: { parallel_tool_calls: false } });

    test(`structured output of ${name} over ${over}`, async () => {
      for (const method of ["jsonSchema", "functionCalling"]) {
        const structured = local().withStructuredOutput(schema, { name: "trip", method });
        const found = await structured.invoke("Where?");
        assert.ok(isTrip(found), `${method}: ${JSON.stringify(found)}`);
      }
    });

    test(`bound tools of ${name} over ${over}`, async () => {
      const trip = tool(async ({ city }) => `booked ${city}`, { name: "trip", description: "Books a trip", schema });
      const bound = local().bindTools([trip], { tool_choice: "trip" }); // "required" it does not send on to the responses API
      const asked = new HumanMessage("Book it");
      const call = await bound.invoke([asked]);
      assert.ok(isTrip(call.tool_calls[0].args));
      assert.ok(call.usage_metadata.output_tokens > 0);
      let joined;
      for await (const chunk of await bound.stream([asked])) joined = joined ? joined.concat(chunk) : chunk;
      assert.deepEqual(joined.tool_calls[0].args, call.tool_calls[0].args);
      const result = await trip.invoke(call.tool_calls[0]);
      const next = await model(name, { useResponsesApi, maxTokens: 5 }).bindTools([trip]).invoke([asked, call, result]);
      assert.ok(next.usage_metadata.input_tokens > call.usage_metadata.input_tokens);
    });
  }
}

test("errors", async () => {
  await assert.rejects(model("nobody").invoke("Hello"), { status: 404 });
});
