// An OpenAI-compatible server whose answers are foreseeable, for what no small random model can be counted on to say: it calls the first
// tool it is given, reports a tool's result, fills a schema of a person, and otherwise repeats the last message.
import { createServer } from "node:http";

export class Upstream {
  requests = []; // the bodies, parsed

  static async start() {
    const upstream = new Upstream();
    upstream.server = createServer((request, response) => upstream.#serve(request, response));
    upstream.server.listen(0, "127.0.0.1");
    await new Promise((resolve) => upstream.server.once("listening", resolve));
    upstream.url = `http://127.0.0.1:${upstream.server.address().port}`;
    return upstream;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  #answer(body) {
    const last = body.messages.at(-1);
    const wanted = body.tool_choice?.function?.name ?? body.tools?.[0].function.name;
    if (last.role !== "tool" && body.tools?.length && body.tool_choice !== "none") {
      const call = (id, city) => ({ id, type: "function", function: { name: wanted, arguments: JSON.stringify({ city }) } });
      const calls = [call("call_paris", "Paris")];
      if (/two cities/.test(last.content) && body.parallel_tool_calls !== false) calls.push(call("call_rome", "Rome"));
      return { content: null, tool_calls: calls, finish: "tool_calls" };
    }
    if (last.role === "tool") return { content: `The tool says: ${last.content}`, finish: "stop" };
    if (body.response_format?.type === "json_schema") return { content: JSON.stringify({ name: "Ada", age: 36 }), finish: "stop" };
    return { content: `You said: ${last.content}`, finish: "stop" };
  }

  #serve(request, response) {
    let text = "";
    request.setEncoding("utf8").on("data", (piece) => (text += piece));
    request.on("end", () => {
      const body = JSON.parse(text);
      this.requests.push(body);
      const answer = this.#answer(body);
      const usage = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 };
      if (!body.stream) {
        const { content, tool_calls, finish } = answer;
        const choices = [{ index: 0, message: { role: "assistant", content, tool_calls }, finish_reason: finish }];
        response.setHeader("content-type", "application/json").end(JSON.stringify({ id: "x", object: "chat.completion", choices, usage }));
        return;
      }
      response.setHeader("content-type", "text/event-stream");
      const send = (delta, finish_reason = null) =>
        response.write(`data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
      send({ role: "assistant", content: "" });
      for (const piece of answer.content?.match(/.{1,4}/gsu) ?? []) send({ content: piece });
      for (const [index, { id, function: f }] of (answer.tool_calls ?? []).entries()) {
        send({ tool_calls: [{ index, id, type: "function", function: { name: f.name, arguments: "" } }] });
        for (const piece of f.arguments.match(/.{1,4}/gsu)) send({ tool_calls: [{ index, function: { arguments: piece } }] });
      }
      send({}, answer.finish);
      response.write(`data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", choices: [], usage })}\n\n`);
      response.end("data: [DONE]\n\n");
    });
  }
}
