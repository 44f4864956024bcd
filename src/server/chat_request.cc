#include "server/chat_request.h"

#include <set>

#include "server/chat_reply.h"
#include "server/generation_reader.h"

namespace bantam::server {
namespace {

constexpr size_t kMaxCalls = 128;

class ChatReader final : public GenerationReader {
 public:
  using GenerationReader::GenerationReader;
  std::expected<Generation, ApiError> read(const json& body);

 private:
  static const Field<ChatReader> kFields[];

  void messages(const std::string& name, const json& value);
  void message(const std::string& name, const json& value);
  void member_of_message(const std::string& param, const std::string& key, const json& value,
                         chat::Message& out);
  std::string content(const std::string& name, const json& value, bool assistant);
  std::string content_part(const std::string& name, const json& value, bool assistant);
  void tool_calls(const std::string& name, const json& value, chat::Message& out);
  void tools(const std::string& name, const json& value) { functions(name, value, Members::kNested); }
  void response_format(const std::string& name, const json& value) { format(name, value, Members::kNested); }
  void logprobs(const std::string& name, const json& value) {
    chat_.logprobs = flag(name, value).value_or(false);
  }
  void no_functions(const std::string& name, const json& value) { only(name, value, {"none", "auto"}); }
  void text_modality(const std::string& name, const json& value) {
    only(name, value, {json::array({"text"})});
  }
};

// The parameters of the API reference of 2026, then ours.
const GenerationReader::Field<ChatReader> ChatReader::kFields[] = {
    {"model", &ChatReader::model},
    {"messages", &ChatReader::messages},
    {"temperature", &ChatReader::temperature},
    {"top_p", &ChatReader::top_p},
    {"seed", &ChatReader::seed},
    {"max_tokens", &ChatReader::max_tokens},
    {"max_completion_tokens", &ChatReader::max_tokens},
    {"stop", &ChatReader::stop},
    {"stream", &ChatReader::stream},
    {"stream_options", &ChatReader::stream_options},
    {"n", &ChatReader::n},
    {"frequency_penalty", &ChatReader::frequency_penalty},
    {"presence_penalty", &ChatReader::presence_penalty},
    {"logit_bias", &ChatReader::logit_bias},
    {"logprobs", &ChatReader::logprobs},
    {"top_logprobs", &ChatReader::top_logprobs},
    {"tools", &ChatReader::tools},
    {"tool_choice", &ChatReader::tool_choice},
    {"parallel_tool_calls", &ChatReader::parallel_tool_calls},
    {"response_format", &ChatReader::response_format},
    {"user", &ChatReader::label},
    {"safety_identifier", &ChatReader::label},
    {"prompt_cache_key", &ChatReader::label},
    {"prompt_cache_retention", &ChatReader::only_in_memory},
    {"metadata", &ChatReader::metadata},
    {"store", &ChatReader::only_false},
    {"functions", &ChatReader::only_empty_list},
    {"function_call", &ChatReader::no_functions},
    {"modalities", &ChatReader::text_modality},
    {"reasoning_effort", &ChatReader::reasoning_effort},
    {"verbosity", &ChatReader::only_medium},
    {"service_tier", &ChatReader::only_auto},
    {"audio", &ChatReader::refused},
    {"prediction", &ChatReader::refused},
    {"web_search_options", &ChatReader::refused},
    {"prompt_cache_options", &ChatReader::refused},
    {"moderation", &ChatReader::refused},
    {"guided_choice", &ChatReader::guided_choice},
    {"top_k", &ChatReader::top_k},
    {"min_p", &ChatReader::min_p},
    {"lora", &ChatReader::lora},
    {"context_shift", &ChatReader::context_shift},
    {"n_keep", &ChatReader::n_keep},
    {"typed_events", &ChatReader::typed_events},
};

void ChatReader::messages(const std::string& name, const json& value) {
  if (!is_array(name, value, 1, kMaxMessages)) return;
  for (size_t i = 0; i < value.size() && ok(); ++i) message(fmt::format("{}[{}]", name, i), value[i]);
}

void ChatReader::message(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  const json* role = required(name, value, "role");
  if (!role) return;
  chat::Message out;
  out.role = text(name + ".role", *role).value_or("");
  static const std::set<std::string> kRoles{"system", "developer", "user", "assistant", "tool"};
  if (ok() && !kRoles.contains(out.role)) {
    return wrong_value(name + ".role", "'" + out.role.substr(0, 100) + "'",
                       "'system', 'developer', 'user', 'assistant' or 'tool'");
  }
  for (const auto& [key, part] : value.items()) {
    if (ok() && !part.is_null() && key != "role") member_of_message(name + "." + key, key, part, out);
  }
  bool has_content = member(value, "content") || member(value, "refusal");
  if (!has_content && out.tool_calls.empty()) missing(name + ".content");
  if (out.role == "tool" && out.tool_call_id.empty()) missing(name + ".tool_call_id");
  chat_.messages.push_back(std::move(out));
}

void ChatReader::member_of_message(const std::string& param, const std::string& key, const json& value,
                                   chat::Message& out) {
  bool assistant = out.role == "assistant";
  if (key == "content") {
    out.content += content(param, value, assistant);
  } else if (key == "name") {  // of a tool's message, too, as LangChain sends it
    out.name = text(param, value).value_or("");
  } else if (key == "tool_call_id" && out.role == "tool") {
    out.tool_call_id = text(param, value).value_or("");
  } else if (key == "tool_calls" && assistant) {
    tool_calls(param, value, out);
  } else if (key == "refusal" && assistant) {
    out.content += text(param, value).value_or("");   // what it said instead of content
  } else if (!(value.is_array() && value.empty())) {  // clients send back annotations: []
    refused(param);
  }
}

std::string ChatReader::content(const std::string& name, const json& value, bool assistant) {
  if (value.is_string()) return value.get<std::string>();
  std::string out;
  if (!value.is_array() || value.empty()) {
    wrong_type(name, "a string or a non-empty array of content parts", value);
    return out;
  }
  if (!is_array(name, value, 1, kMaxParts)) return out;
  for (size_t i = 0; i < value.size() && ok(); ++i)
    out += content_part(fmt::format("{}[{}]", name, i), value[i], assistant);
  return out;
}

std::string ChatReader::content_part(const std::string& name, const json& value, bool assistant) {
  const json* type = member(value, "type");
  if (!type) {
    wrong_type(name, "an object with a type", value);
    return "";
  }
  const char* key = assistant && *type == "refusal" ? "refusal" : "text";
  if (*type != key) {
    wrong_value(name + ".type", shown(*type), "'text'");
    return "";
  }
  const json* words = required(name, value, key);
  return words ? text(name + "." + key, *words).value_or("") : "";
}

void ChatReader::tool_calls(const std::string& name, const json& value, chat::Message& out) {
  if (value.is_array() && value.empty()) return;  // as clients send back an answer without any
  if (!is_array(name, value, 1, kMaxCalls)) return;
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    if (!is_object(entry, value[i])) return;
    if (const json* type = member(value[i], "type"); type && *type != "function")
      return wrong_value(entry + ".type", "another type", "'function'");
    const json* id = required(entry, value[i], "id");
    const json* function = required(entry, value[i], "function");
    if (!id || !function || !is_object(entry + ".function", *function)) return;
    const json* called = required(entry + ".function", *function, "name");
    const json* arguments = required(entry + ".function", *function, "arguments");
    if (!called || !arguments) return;
    out.tool_calls.push_back({text(entry + ".id", *id).value_or(""),
                              text(entry + ".function.name", *called).value_or(""),
                              text(entry + ".function.arguments", *arguments).value_or("")});
  }
}

std::expected<Generation, ApiError> ChatReader::read(const json& body) {
  for (const char* key : {"model", "messages"}) required("", body, key);
  read_members(*this, "", body, kFields);
  read_tool_choice(Members::kNested);
  check_together(body);
  if (chat_.top_logprobs > 0 && !chat_.logprobs)
    wrong_value("top_logprobs", std::to_string(chat_.top_logprobs), "0, since 'logprobs' is not true");
  if (error_) return std::unexpected(*error_);
  Generation out;
  out.model = model_;
  out.stream = stream_;
  out.format = make_chat_reply({model_, include_usage_, chat_.logprobs});
  out.chats = answers(std::move(chat_));
  return out;
}

}  // namespace

std::expected<Generation, ApiError> read_chat_request(std::string_view text, const WireLimits& limits) {
  return read_body(text, ChatReader(limits));
}

}  // namespace bantam::server
