#include <nlohmann/json.hpp>

#include "chat/openai_wire.h"
#include "net/json.h"

namespace bantam::chat {
namespace {

// Ordered: in the order of a schema's members a model writes its answer's.
using json = nlohmann::ordered_json;

json choice_schema(const std::vector<std::string>& choices) {
  json schema = {{"type", "object"},
                 {"properties", {{kChoiceField, {{"type", "string"}, {"enum", choices}}}}},
                 {"required", {kChoiceField}},
                 {"additionalProperties", false}};
  return {{"type", "json_schema"},
          {"json_schema", {{"name", "choice"}, {"strict", true}, {"schema", std::move(schema)}}}};
}

void add_choices(ChoiceMode mode, const std::vector<std::string>& choices, json& body) {
  if (mode == ChoiceMode::kJsonSchema) {
    body["response_format"] = choice_schema(choices);
  } else if (mode == ChoiceMode::kGuidedChoice) {
    body["guided_choice"] = choices;
  } else {
    std::string text = "Answer with exactly one of the following and nothing else:";
    for (const std::string& choice : choices) text += "\n" + choice;
    body["messages"].insert(body["messages"].begin(), {{"role", "system"}, {"content", text}});
  }
}

/// A float as the decimal a person wrote: 0.7f would otherwise go out as 0.699999988079071.
json decimal(float value) { return json::parse(fmt::format("{}", value)); }

json message_json(const Message& m) {
  json out = {{"role", m.role}, {"content", m.content}};
  if (!m.name.empty()) out["name"] = m.name;
  if (!m.tool_call_id.empty()) out["tool_call_id"] = m.tool_call_id;
  if (m.tool_calls.empty()) return out;
  if (m.content.empty()) out["content"] = nullptr;
  for (const ToolCall& call : m.tool_calls) {
    out["tool_calls"].push_back({{"id", call.id},
                                 {"type", "function"},
                                 {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return out;
}

/// A schema that came as text. Errors: kInvalidArgument.
Result<json> schema_json(const std::string& text, const std::string& what) {
  auto parsed = net::parse_ordered_json(text, what);
  if (!parsed) return fail(Code::kInvalidArgument, "{}", parsed.error().message);
  return parsed;
}

Status add_tools(const Request& request, json& body) {
  if (request.tools.empty()) return {};
  for (size_t i = 0; i < request.tools.size(); ++i) {
    const Tool& tool = request.tools[i];
    json function = {{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    if (!tool.parameters.empty()) {
      BANTAM_ASSIGN(function["parameters"],
                    schema_json(tool.parameters, fmt::format("tools: [{}].function.parameters", i)));
    }
    if (tool.strict) function["strict"] = true;
    body["tools"].push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  const ToolChoice& choice = request.tool_choice;
  if (choice.mode == ToolChoice::Mode::kNone) body["tool_choice"] = "none";
  if (choice.mode == ToolChoice::Mode::kRequired) body["tool_choice"] = "required";
  if (choice.mode == ToolChoice::Mode::kFunction)
    body["tool_choice"] = {{"type", "function"}, {"function", {{"name", choice.function}}}};
  if (!request.parallel_tool_calls) body["parallel_tool_calls"] = false;
  return {};
}

Status add_format(const ResponseFormat& format, json& body) {
  if (format.kind == ResponseFormat::Kind::kPattern)
    return fail(Code::kUnsupported,
                "response_format: a pattern, which only models that run here can keep to");
  if (format.kind == ResponseFormat::Kind::kJsonObject) body["response_format"] = {{"type", "json_object"}};
  if (format.kind != ResponseFormat::Kind::kJsonSchema) return {};
  json schema = {{"name", format.name.empty() ? "answer" : format.name}};
  if (!format.description.empty()) schema["description"] = format.description;
  if (format.strict) schema["strict"] = true;
  BANTAM_ASSIGN(schema["schema"], schema_json(format.schema, "response_format: json_schema.schema"));
  body["response_format"] = {{"type", "json_schema"}, {"json_schema", std::move(schema)}};
  return {};
}

void add_sampling(const Request& request, json& body) {
  const Sampling& s = request.sampling;
  if (s.temperature) body["temperature"] = decimal(*s.temperature);
  if (s.top_p) body["top_p"] = decimal(*s.top_p);
  if (s.seed) body["seed"] = *s.seed;
  if (s.frequency_penalty) body["frequency_penalty"] = decimal(*s.frequency_penalty);
  if (s.presence_penalty) body["presence_penalty"] = decimal(*s.presence_penalty);
  for (const auto& [token, bias] : s.logit_bias) body["logit_bias"][std::to_string(token)] = decimal(bias);
  if (request.logprobs) body["logprobs"] = true;
  if (request.logprobs && request.top_logprobs > 0) body["top_logprobs"] = request.top_logprobs;
}

Status check_sampling(const RemoteOptions& options, const Sampling& sampling) {
  if (sampling.top_k)
    return fail(Code::kUnsupported, "top_k: the API of '{}' has no such parameter", options.name);
  if (sampling.min_p)
    return fail(Code::kUnsupported, "min_p: the API of '{}' has no such parameter", options.name);
  return {};
}

void add_end(const RemoteOptions& options, const Request& request, const std::string& field, json& body) {
  if (request.max_tokens) body[field] = *request.max_tokens;
  // Without an end an answer's cost has no limit.
  if (!request.max_tokens && options.limits.money()) body[field] = options.max_answer_tokens;
  if (!request.stop.empty()) body["stop"] = request.stop;
}

void add_stream(json& body) {
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
}

}  // namespace

Result<std::string> request_body(const RemoteOptions& options, const Request& request, bool stream) {
  BANTAM_TRY(check_sampling(options, request.sampling));
  if (!request.choices.empty() && request.format.kind != ResponseFormat::Kind::kText)
    return fail(Code::kInvalidArgument, "response_format: does not go together with guided_choice");
  json body = {{"model", options.model}, {"messages", json::array()}};
  for (const Message& m : request.messages) body["messages"].push_back(message_json(m));
  add_sampling(request, body);
  add_end(options, request, options.max_tokens_field, body);
  BANTAM_TRY(add_tools(request, body));
  BANTAM_TRY(add_format(request.format, body));
  if (!request.choices.empty()) add_choices(options.choice_mode, request.choices, body);
  if (stream) add_stream(body);
  return net::ordered_text(body);
}

Result<std::string> completion_body(const RemoteOptions& options, const Request& request, bool stream) {
  BANTAM_TRY(check_sampling(options, request.sampling));
  auto refuse = [&](std::string_view field) {
    return fail(Code::kUnsupported, "{}: does not go together with a text to continue by '{}'", field,
                options.name);
  };
  if (!request.tools.empty()) return refuse("tools");
  if (request.format.kind != ResponseFormat::Kind::kText) return refuse("response_format");
  if (request.logprobs) return refuse("logprobs");
  bool guided = options.choice_mode == ChoiceMode::kGuidedChoice;
  if (!request.choices.empty() && !guided) return refuse("guided_choice");
  json body = {{"model", options.model}, {"prompt", request.prompt}};
  add_sampling(request, body);
  add_end(options, request, "max_tokens", body);
  if (!request.choices.empty()) body["guided_choice"] = request.choices;
  if (stream) add_stream(body);
  return net::ordered_text(body);
}

std::string embed_body(const RemoteOptions& options, const EmbedRequest& request) {
  json body = {{"model", options.model}, {"input", request.inputs}, {"encoding_format", "float"}};
  if (request.dimensions) body["dimensions"] = *request.dimensions;
  return net::ordered_text(body);
}

}  // namespace bantam::chat
