// The unchanged LangChain.js ChatOpenAI.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { key, Stage } from "./stage.mjs";

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
}

test("errors", async () => {
  await assert.rejects(model("nobody").invoke("Hello"), { status: 404 });
});
