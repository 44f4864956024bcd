#include "server/responses_request.h"

#include <set>

#include "net/json.h"
#include "server/generation_reader.h"
#include "server/responses_reply.h"

namespace bantam::server {
namespace {

constexpr size_t kMaxItems = 4096;

class ResponsesReader final : public GenerationReader {
 public:
  using GenerationReader::GenerationReader;
  std::expected<Generation, ApiError> read(const json& body);

 private:
  static const Field<ResponsesReader> kFields[];

  // The input: a text, or items.
  void input(const std::string& name, const json& value);
  void item(const std::string& name, const json& value);
  void message(const std::string& name, const json& value);
  void function_call(const std::string& name, const json& value);
  void function_output(const std::string& name, const json& value);
  std::string content(const std::string& name, const json& value);
  std::string content_part(const std::string& name, const json& value);
  void item_members(const std::string& name, const json& value, std::set<std::string> known);

  void instructions(const std::string& name, const json& value) {
    instructions_ = text(name, value).value_or("");
  }
  void text_config(const std::string& name, const json& value);
  void tools(const std::string& name, const json& value) { functions(name, value, Members::kFlat); }
  void include(const std::string& name, const json& value);
  void reasoning(const std::string& name, const json& value);
  void truncation(const std::string& name, const json& value) { only(name, value, {"disabled"}); }
  void max_tool_calls(const std::string& name, const json& value) { whole(name, value, 1, UINT32_MAX); }
  void not_stored(const std::string& name, const json&) {
    problem(name, "unsupported_parameter",
            fmt::format("Unsupported parameter: '{}': this server keeps no responses; send the whole "
                        "conversation as 'input' instead.",
                        name));
  }
  void store(const std::string& name, const json& value) {
    if (flag(name, value).value_or(false)) {
      problem(name, "unsupported_value",
              "Unsupported value: 'store' does not support true with this server, which keeps no responses.");
    }
  }
  nlohmann::json echo(const json& body) const;

  std::string instructions_;
};

const GenerationReader::Field<ResponsesReader> ResponsesReader::kFields[] = {
    {"model", &ResponsesReader::model},
    {"input", &ResponsesReader::input},
    {"instructions", &ResponsesReader::instructions},
    {"max_output_tokens", &ResponsesReader::max_tokens},
    {"temperature", &ResponsesReader::temperature},
    {"top_p", &ResponsesReader::top_p},
    {"top_logprobs", &ResponsesReader::top_logprobs},
    {"include", &ResponsesReader::include},
    {"stream", &ResponsesReader::stream},
    {"stream_options", &ResponsesReader::stream_options},
    {"text", &ResponsesReader::text_config},
    {"tools", &ResponsesReader::tools},
    {"tool_choice", &ResponsesReader::tool_choice},
    {"parallel_tool_calls", &ResponsesReader::parallel_tool_calls},
    {"reasoning", &ResponsesReader::reasoning},
    {"truncation", &ResponsesReader::truncation},
    {"max_tool_calls", &ResponsesReader::max_tool_calls},  // of built-in tools, of which there are none
    {"metadata", &ResponsesReader::metadata},
    {"user", &ResponsesReader::label},
    {"safety_identifier", &ResponsesReader::label},
    {"prompt_cache_key", &ResponsesReader::label},
    {"prompt_cache_retention", &ResponsesReader::only_in_memory},
    {"service_tier", &ResponsesReader::only_auto},
    {"background", &ResponsesReader::only_false},
    {"store", &ResponsesReader::store},
    {"previous_response_id", &ResponsesReader::not_stored},
    {"conversation", &ResponsesReader::not_stored},
    {"prompt", &ResponsesReader::not_stored},
    {"context_management", &ResponsesReader::only_empty_list},
    {"access_programs", &ResponsesReader::refused},
    {"image", &ResponsesReader::refused},
    {"moderation", &ResponsesReader::refused},
    {"prompt_cache_options", &ResponsesReader::refused},
    {"guided_choice", &ResponsesReader::guided_choice},
    {"top_k", &ResponsesReader::top_k},
    {"min_p", &ResponsesReader::min_p},
};

void ResponsesReader::input(const std::string& name, const json& value) {
  if (value.is_string()) {
    chat_.messages.push_back({.role = "user", .content = value.get<std::string>()});
  } else if (!value.is_array()) {
    wrong_type(name, "a string or an array of items", value);
  } else if (is_array(name, value, 1, kMaxItems)) {
    for (size_t i = 0; i < value.size() && ok(); ++i) item(fmt::format("{}[{}]", name, i), value[i]);
  }
}

void ResponsesReader::item(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  const json* type = member(value, "type");
  if (!type || *type == "message") return message(name, value);
  if (*type == "function_call") return function_call(name, value);
  if (*type == "function_call_output") return function_output(name, value);
  if (*type == "item_reference") return not_stored(name, value);
  only(name + ".type", *type, {"message", "function_call", "function_call_output"});
}

void ResponsesReader::item_members(const std::string& name, const json& value, std::set<std::string> known) {
  known.insert({"type", "id", "status"});
  for (const auto& [key, part] : value.items()) {
    if (!part.is_null() && !known.contains(key)) return refused(name + "." + key.substr(0, 100));
  }
}

void ResponsesReader::message(const std::string& name, const json& value) {
  const json* role = required(name, value, "role");
  const json* said = required(name, value, "content");
  if (!role || !said) return;
  static const std::set<std::string> kRoles{"system", "developer", "user", "assistant"};
  chat::Message out;
  out.role = text(name + ".role", *role).value_or("");
  if (ok() && !kRoles.contains(out.role)) {
    return wrong_value(name + ".role", "'" + out.role.substr(0, 100) + "'",
                       "'system', 'developer', 'user' or 'assistant'");
  }
  item_members(name, value, {"role", "content", "phase"});
  out.content = content(name + ".content", *said);
  chat_.messages.push_back(std::move(out));
}

std::string ResponsesReader::content(const std::string& name, const json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string out;
  if (!is_array(name, value, 0, kMaxParts)) return out;
  for (size_t i = 0; i < value.size() && ok(); ++i)
    out += content_part(fmt::format("{}[{}]", name, i), value[i]);
  return out;
}

std::string ResponsesReader::content_part(const std::string& name, const json& value) {
  const json* type = member(value, "type");
  if (!type) {
    wrong_type(name, "an object with a type", value);
    return "";
  }
  if (*type != "input_text" && *type != "output_text" && *type != "refusal" && *type != "text") {
    only(name + ".type", *type, {"input_text", "output_text"});
    return "";
  }
  const char* key = *type == "refusal" ? "refusal" : "text";
  const json* words = required(name, value, key);
  return words ? text(name + "." + key, *words).value_or("") : "";
}

/// Calls follow the text they came with, or one another: together they are one turn of the assistant.
void ResponsesReader::function_call(const std::string& name, const json& value) {
  const json* id = required(name, value, "call_id");
  const json* called = required(name, value, "name");
  const json* arguments = required(name, value, "arguments");
  if (!id || !called || !arguments) return;
  item_members(name, value, {"call_id", "name", "arguments"});
  if (chat_.messages.empty() || chat_.messages.back().role != "assistant")
    chat_.messages.push_back({.role = "assistant"});
  chat_.messages.back().tool_calls.push_back({text(name + ".call_id", *id).value_or(""),
                                              text(name + ".name", *called).value_or(""),
                                              text(name + ".arguments", *arguments).value_or("")});
}

void ResponsesReader::function_output(const std::string& name, const json& value) {
  const json* id = required(name, value, "call_id");
  const json* output = required(name, value, "output");
  if (!id || !output) return;
  item_members(name, value, {"call_id", "output"});
  chat::Message out;
  out.role = "tool";
  out.tool_call_id = text(name + ".call_id", *id).value_or("");
  out.content = content(name + ".output", *output);
  chat_.messages.push_back(std::move(out));
}

void ResponsesReader::text_config(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  for (const auto& [key, part] : value.items()) {
    if (part.is_null()) continue;
    if (key == "format")
      format(name + ".format", part, Members::kFlat);
    else if (key == "verbosity")
      only_medium(name + ".verbosity", part);
    else
      unknown(name + "." + key.substr(0, 100));
  }
}

void ResponsesReader::include(const std::string& name, const json& value) {
  if (!is_array(name, value, 0, 16)) return;
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    if (value[i] == "message.output_text.logprobs") chat_.logprobs = true;
    // There is no reasoning here that could be given.
    else
      only(entry, value[i], {"message.output_text.logprobs", "reasoning.encrypted_content"});
  }
}

void ResponsesReader::reasoning(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  for (const auto& [key, part] : value.items()) {
    if (part.is_null()) continue;
    if (key == "effort")
      reasoning_effort(name + ".effort", part);
    else
      refused(name + "." + key.substr(0, 100));
  }
}

/// What a response repeats of its request, with the API's defaults.
nlohmann::json ResponsesReader::echo(const json& body) const {
  auto or_default = [&](const char* key, nlohmann::json otherwise) {
    const json* value = member(body, key);
    return value ? nlohmann::json::parse(net::ordered_text(*value)) : std::move(otherwise);
  };
  nlohmann::json out = {{"model", model_},
                        {"store", false},
                        {"truncation", "disabled"},
                        {"background", false},
                        {"previous_response_id", nullptr},
                        {"service_tier", "default"}};
  for (const char* key : {"instructions", "temperature", "top_p", "max_output_tokens", "max_tool_calls",
                          "user", "safety_identifier", "prompt_cache_key"})
    out[key] = or_default(key, nullptr);
  out["metadata"] = or_default("metadata", nlohmann::json::object());
  out["parallel_tool_calls"] = chat_.parallel_tool_calls;
  out["top_logprobs"] = chat_.top_logprobs;
  out["tool_choice"] = or_default("tool_choice", "auto");
  out["tools"] = or_default("tools", nlohmann::json::array());
  out["text"] = or_default("text", nlohmann::json::object());
  if (!out["text"].contains("format")) out["text"]["format"] = {{"type", "text"}};
  if (!out["text"].contains("verbosity")) out["text"]["verbosity"] = "medium";
  out["reasoning"] = {{"effort", nullptr}, {"summary", nullptr}};
  return out;
}

std::expected<Generation, ApiError> ResponsesReader::read(const json& body) {
  for (const char* key : {"model", "input"}) required("", body, key);
  read_members(*this, "", body, kFields);
  read_tool_choice(Members::kFlat);
  check_together(body);
  if (chat_.top_logprobs > 0 && !chat_.logprobs) {
    wrong_value("top_logprobs", std::to_string(chat_.top_logprobs),
                "0, since 'include' has no 'message.output_text.logprobs'");
  }
  if (error_) return std::unexpected(*error_);
  if (!instructions_.empty())
    chat_.messages.insert(chat_.messages.begin(), {.role = "system", .content = instructions_});
  Generation out;
  out.model = model_;
  out.stream = stream_;
  out.format = make_responses_reply(echo(body), chat_.logprobs);
  out.chats = answers(std::move(chat_));
  return out;
}

}  // namespace

std::expected<Generation, ApiError> read_responses_request(std::string_view text, const WireLimits& limits) {
  return read_body(text, ResponsesReader(limits));
}

}  // namespace bantam::server
