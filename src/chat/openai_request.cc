#include <nlohmann/json.hpp>

#include "chat/openai_wire.h"
#include "net/json.h"
#include "net/json_text.h"

namespace bantam::chat {
namespace {

// Ordered: in the order of a schema's members a model writes its answer's.
using OrderedJson = nlohmann::ordered_json;
using net::JsonText;

OrderedJson choice_schema(const std::vector<std::string>& choices) {
  OrderedJson schema = {{"type", "object"},
                        {"properties", {{kChoiceField, {{"type", "string"}, {"enum", choices}}}}},
                        {"required", {kChoiceField}},
                        {"additionalProperties", false}};
  return {{"type", "json_schema"},
          {"json_schema", {{"name", "choice"}, {"strict", true}, {"schema", std::move(schema)}}}};
}

void write_list(JsonText& out, const std::vector<std::string>& texts) {
  out.open('[');
  for (const std::string& text : texts) out.text(text);
  out.close(']');
}

void write_message(JsonText& out, const Message& m) {
  out.open('{').key("role").text(m.role).key("content");
  if (m.content.empty() && !m.tool_calls.empty())
    out.null();
  else
    out.text(m.content);
  if (!m.name.empty()) out.key("name").text(m.name);
  if (!m.tool_call_id.empty()) out.key("tool_call_id").text(m.tool_call_id);
  if (!m.tool_calls.empty()) out.key("tool_calls").open('[');
  for (const ToolCall& call : m.tool_calls) {
    out.open('{').key("id").text(call.id).key("type").text("function").key("function").open('{');
    out.key("name").text(call.name).key("arguments").text(call.arguments).close('}').close('}');
  }
  if (!m.tool_calls.empty()) out.close(']');
  out.close('}');
}

/// The messages, with what an instruction to choose puts before them.
void write_messages(JsonText& out, ChoiceMode mode, const Request& request) {
  out.key("messages").open('[');
  if (!request.choices.empty() && mode == ChoiceMode::kPrompt) {
    Message instruction{.role = "system",
                        .content = "Answer with exactly one of the following and nothing else:"};
    for (const std::string& choice : request.choices) instruction.content += "\n" + choice;
    write_message(out, instruction);
  }
  for (const Message& m : request.messages) write_message(out, m);
  out.close(']');
}

void write_choices(JsonText& out, ChoiceMode mode, const std::vector<std::string>& choices) {
  if (choices.empty()) return;
  if (mode == ChoiceMode::kJsonSchema)
    out.key("response_format").raw(net::ordered_text(choice_schema(choices)));
  if (mode == ChoiceMode::kGuidedChoice) write_list(out.key("guided_choice"), choices);
}

/// A schema that came as text. Errors: kInvalidArgument.
Result<OrderedJson> schema_json(const std::string& text, const std::string& what) {
  auto parsed = net::parse_ordered_json(text, what);
  if (!parsed) return fail(Code::kInvalidArgument, "{}", parsed.error().message);
  return parsed;
}

Status write_tools(JsonText& out, const Request& request) {
  if (request.tools.empty()) return {};
  OrderedJson tools = OrderedJson::array();
  for (size_t i = 0; i < request.tools.size(); ++i) {
    const Tool& tool = request.tools[i];
    OrderedJson function = {{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    if (!tool.parameters.empty()) {
      BANTAM_ASSIGN(function["parameters"],
                    schema_json(tool.parameters, fmt::format("tools: [{}].function.parameters", i)));
    }
    if (tool.strict) function["strict"] = true;
    tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  out.key("tools").raw(net::ordered_text(tools));
  const ToolChoice& choice = request.tool_choice;
  if (choice.mode == ToolChoice::Mode::kNone) out.key("tool_choice").text("none");
  if (choice.mode == ToolChoice::Mode::kRequired) out.key("tool_choice").text("required");
  if (choice.mode == ToolChoice::Mode::kFunction) {
    out.key("tool_choice").open('{').key("type").text("function").key("function");
    out.open('{').key("name").text(choice.function).close('}').close('}');
  }
  if (!request.parallel_tool_calls) out.key("parallel_tool_calls").flag(false);
  return {};
}

Status write_format(JsonText& out, const ResponseFormat& format) {
  if (format.kind == ResponseFormat::Kind::kPattern)
    return fail(Code::kUnsupported,
                "response_format: a pattern, which only models that run here can keep to");
  if (format.kind == ResponseFormat::Kind::kJsonObject)
    out.key("response_format").raw(R"({"type":"json_object"})");
  if (format.kind != ResponseFormat::Kind::kJsonSchema) return {};
  OrderedJson schema = {{"name", format.name.empty() ? "answer" : format.name}};
  if (!format.description.empty()) schema["description"] = format.description;
  if (format.strict) schema["strict"] = true;
  BANTAM_ASSIGN(schema["schema"], schema_json(format.schema, "response_format: json_schema.schema"));
  OrderedJson written = {{"type", "json_schema"}, {"json_schema", std::move(schema)}};
  out.key("response_format").raw(net::ordered_text(written));
  return {};
}

/// A float as the decimal a person wrote, which it reads back from: 0.7 and not 0.699999988079071.
void write_sampling(JsonText& out, const Request& request) {
  const Sampling& s = request.sampling;
  if (s.temperature) out.key("temperature").number(*s.temperature);
  if (s.top_p) out.key("top_p").number(*s.top_p);
  if (s.seed) out.key("seed").whole(*s.seed);
  if (s.frequency_penalty) out.key("frequency_penalty").number(*s.frequency_penalty);
  if (s.presence_penalty) out.key("presence_penalty").number(*s.presence_penalty);
  if (!s.logit_bias.empty()) {
    out.key("logit_bias").open('{');
    for (const auto& [token, bias] : s.logit_bias) out.key(std::to_string(token)).number(bias);
    out.close('}');
  }
  if (request.logprobs) out.key("logprobs").flag(true);
  if (request.logprobs && request.top_logprobs > 0) out.key("top_logprobs").whole(request.top_logprobs);
}

Status check_local(const RemoteOptions& options, const Request& request) {
  if (request.adapters)
    return fail(Code::kUnsupported, "lora: the API of '{}' has no such parameter", options.name);
  if (request.context_shift)
    return fail(Code::kUnsupported, "context_shift: the API of '{}' has no such parameter", options.name);
  return {};
}

Status check_sampling(const RemoteOptions& options, const Sampling& sampling) {
  if (sampling.top_k)
    return fail(Code::kUnsupported, "top_k: the API of '{}' has no such parameter", options.name);
  if (sampling.min_p)
    return fail(Code::kUnsupported, "min_p: the API of '{}' has no such parameter", options.name);
  return {};
}

void write_end(JsonText& out, const RemoteOptions& options, const Request& request,
               const std::string& field) {
  if (request.max_tokens) out.key(field).whole(*request.max_tokens);
  // Without an end an answer's cost has no limit.
  if (!request.max_tokens && options.limits.money()) out.key(field).whole(options.max_answer_tokens);
  if (!request.stop.empty()) write_list(out.key("stop"), request.stop);
}

void write_stream(JsonText& out, bool stream) {
  if (stream) out.key("stream").flag(true).key("stream_options").raw(R"({"include_usage":true})");
}

}  // namespace

Result<std::string> request_body(const RemoteOptions& options, const Request& request, bool stream) {
  BANTAM_TRY(check_sampling(options, request.sampling));
  BANTAM_TRY(check_local(options, request));
  if (!request.choices.empty() && request.format.kind != ResponseFormat::Kind::kText)
    return fail(Code::kInvalidArgument, "response_format: does not go together with guided_choice");
  JsonText out;
  out.open('{').key("model").text(options.model);
  write_messages(out, options.choice_mode, request);
  write_sampling(out, request);
  write_end(out, options, request, options.max_tokens_field);
  BANTAM_TRY(write_tools(out, request));
  BANTAM_TRY(write_format(out, request.format));
  write_choices(out, options.choice_mode, request.choices);
  write_stream(out, stream);
  return out.close('}').take();
}

Result<std::string> completion_body(const RemoteOptions& options, const Request& request, bool stream) {
  BANTAM_TRY(check_sampling(options, request.sampling));
  BANTAM_TRY(check_local(options, request));
  auto refuse = [&](std::string_view field) {
    return fail(Code::kUnsupported, "{}: does not go together with a text to continue by '{}'", field,
                options.name);
  };
  if (!request.tools.empty()) return refuse("tools");
  if (request.format.kind != ResponseFormat::Kind::kText) return refuse("response_format");
  if (request.logprobs) return refuse("logprobs");
  bool guided = options.choice_mode == ChoiceMode::kGuidedChoice;
  if (!request.choices.empty() && !guided) return refuse("guided_choice");
  JsonText out;
  out.open('{').key("model").text(options.model).key("prompt").text(request.prompt);
  write_sampling(out, request);
  write_end(out, options, request, "max_tokens");
  write_choices(out, ChoiceMode::kGuidedChoice, request.choices);
  write_stream(out, stream);
  return out.close('}').take();
}

std::string embed_body(const RemoteOptions& options, const EmbedRequest& request) {
  OrderedJson body = {{"model", options.model}, {"input", request.inputs}, {"encoding_format", "float"}};
  if (request.dimensions) body["dimensions"] = *request.dimensions;
  return net::ordered_text(body);
}

}  // namespace bantam::chat
