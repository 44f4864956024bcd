#include "chat/openai_wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::chat {
namespace {

using nlohmann::json;

constexpr const char* kAnswerField = "answer";  // of the schema that holds a choice

json choice_schema(const std::vector<std::string>& choices) {
  json schema = {{"type", "object"},
                 {"properties", {{kAnswerField, {{"type", "string"}, {"enum", choices}}}}},
                 {"required", {kAnswerField}},
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

std::string trimmed(const std::string& text) {
  size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string string_of(const json& object, const char* name) {
  const json* value = member(object, name);
  return value && value->is_string() ? value->get<std::string>() : "";
}

void read_usage(const json& body, Answer& out) {
  const json* usage = member(body, "usage");
  const json* prompt = usage ? member(*usage, "prompt_tokens") : nullptr;
  const json* completion = usage ? member(*usage, "completion_tokens") : nullptr;
  if (!prompt || !completion || !prompt->is_number_unsigned() || !completion->is_number_unsigned()) return;
  out.usage = Usage{prompt->get<uint64_t>(), completion->get<uint64_t>()};
}

/// The first choice of a body, null when it has none.
const json* first_choice(const json& body) {
  const json* choices = member(body, "choices");
  return choices && choices->is_array() && !choices->empty() ? &choices->front() : nullptr;
}

Error unexpected_answer(std::string_view why) {
  return {Code::kUnavailable, fmt::format("the answer is no chat completion: {}", why)};
}

}  // namespace

Result<std::string> request_body(const RemoteOptions& options, const Request& request, bool stream) {
  if (request.sampling.top_k)
    return fail(Code::kUnsupported, "top_k: the API of '{}' has no such parameter", options.name);
  if (request.sampling.min_p)
    return fail(Code::kUnsupported, "min_p: the API of '{}' has no such parameter", options.name);
  json body = {{"model", options.model}, {"messages", json::array()}};
  for (const Message& m : request.messages)
    body["messages"].push_back({{"role", m.role}, {"content", m.content}});
  if (request.sampling.temperature) body["temperature"] = decimal(*request.sampling.temperature);
  if (request.sampling.top_p) body["top_p"] = decimal(*request.sampling.top_p);
  if (request.sampling.seed) body["seed"] = *request.sampling.seed;
  if (request.max_tokens) body[options.max_tokens_field] = *request.max_tokens;
  if (!request.stop.empty()) body["stop"] = request.stop;
  if (!request.choices.empty()) add_choices(options.choice_mode, request.choices, body);
  if (stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
  }
  return net::to_text(body);
}

Result<Answer> read_answer(std::string_view text) {
  auto body = net::parse_json(text, "the answer");
  if (!body) return std::unexpected(unexpected_answer(body.error().message));
  const json* choice = first_choice(*body);
  const json* message = choice ? member(*choice, "message") : nullptr;
  if (!message) return std::unexpected(unexpected_answer("found no choices[0].message"));
  Answer out;
  out.text = string_of(*message, "content");
  out.finish_reason = string_of(*choice, "finish_reason");
  if (std::string refusal = string_of(*message, "refusal"); !refusal.empty() && out.text.empty()) {
    return std::unexpected(Error{Code::kUnavailable, "the model refused: " + refusal});
  }
  read_usage(*body, out);
  return out;
}

Error read_error(int status, std::string_view text) {
  std::string message, code;
  if (auto body = net::parse_json(text, "the answer")) {
    if (const json* error = member(*body, "error"); error && error->is_object()) {
      message = string_of(*error, "message");
      code = string_of(*error, "code");
    }
  }
  if (message.empty()) message = std::string(text.substr(0, 200));
  message =
      fmt::format("the API answered {} {}: {}", status, net::reason_phrase(status), message.substr(0, 1000));
  if (code == "context_length_exceeded") return {Code::kLimit, message};
  if (status == 400 || status == 422) return {Code::kInvalidArgument, message};
  return {Code::kUnavailable, message};
}

bool AnswerStream::take(const net::SseEvent& event) {
  if (event.data == "[DONE]") {
    done_ = true;
    return true;
  }
  auto body = net::parse_json(event.data, "an event");
  if (!body) {
    error_ = unexpected_answer(body.error().message);
    return false;
  }
  if (const json* error = member(*body, "error")) {
    error_ = Error{Code::kUnavailable, "the API failed within its answer: " +
                                           (error->is_object() ? string_of(*error, "message") : "")};
    return false;
  }
  read_usage(*body, answer_);
  const json* choice = first_choice(*body);
  if (!choice) return true;
  if (std::string reason = string_of(*choice, "finish_reason"); !reason.empty())
    answer_.finish_reason = reason;
  const json* delta = member(*choice, "delta");
  std::string piece = delta ? string_of(*delta, "content") : "";
  if (piece.empty()) return true;
  answer_.text += piece;
  passed_on_ = true;
  if (sink_ && !sink_(piece)) {
    error_ = Error{Code::kCancelled, "the caller stopped the answer"};
    return false;
  }
  return true;
}

bool AnswerStream::feed(std::string_view bytes) {
  if (error_) return false;
  Status status = parser_.feed(bytes, [this](net::SseEvent&& event) { return take(event); });
  if (!status && !error_) error_ = Error{Code::kUnavailable, status.error().message};
  return !error_;
}

Result<Answer> AnswerStream::finish() {
  if (error_) return std::unexpected(*error_);
  if (!done_ && answer_.finish_reason.empty()) {
    return fail(Code::kUnavailable, "the streamed answer was cut short after {} bytes of text",
                answer_.text.size());
  }
  return std::move(answer_);
}

Result<std::string> read_choice(ChoiceMode mode, const std::string& text,
                                const std::vector<std::string>& choices) {
  std::string named = text;
  if (mode == ChoiceMode::kJsonSchema) {
    auto body = net::parse_json(text, "the answer");
    named = body ? string_of(*body, kAnswerField) : "";
  } else if (mode == ChoiceMode::kPrompt) {
    named = trimmed(text);
  }
  if (std::find(choices.begin(), choices.end(), named) != choices.end()) return named;
  return fail(Code::kUnavailable, "the model answered '{}', which is none of the {} choices",
              text.substr(0, 100), choices.size());
}

}  // namespace bantam::chat
