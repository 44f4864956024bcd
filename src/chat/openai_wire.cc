#include "chat/openai_wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::chat {
namespace {

using nlohmann::json;

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
  const json* details = member(*usage, "prompt_tokens_details");
  const json* cached = details ? member(*details, "cached_tokens") : nullptr;
  if (cached && cached->is_number_unsigned()) out.usage->cached_tokens = cached->get<uint64_t>();
  const json* more = member(*usage, "completion_tokens_details");
  const json* accepted = more ? member(*more, "accepted_prediction_tokens") : nullptr;
  const json* rejected = more ? member(*more, "rejected_prediction_tokens") : nullptr;
  if (!accepted || !rejected || !accepted->is_number_unsigned() || !rejected->is_number_unsigned()) return;
  out.usage->accepted_tokens = accepted->get<uint64_t>();
  out.usage->drafted_tokens = out.usage->accepted_tokens + rejected->get<uint64_t>();
}

TokenLogprob token_logprob(const json& entry) {
  TokenLogprob out;
  out.text = string_of(entry, "token");
  if (const json* value = member(entry, "logprob"); value && value->is_number())
    out.logprob = value->get<double>();
  return out;
}

/// The log-probabilities of a choice or a delta's choice.
std::vector<TokenLogprob> read_logprobs(const json& choice) {
  std::vector<TokenLogprob> out;
  const json* logprobs = member(choice, "logprobs");
  const json* content = logprobs ? member(*logprobs, "content") : nullptr;
  if (!content || !content->is_array()) return out;
  for (const json& entry : *content) {
    out.push_back(token_logprob(entry));
    const json* top = member(entry, "top_logprobs");
    if (!top || !top->is_array()) continue;
    for (const json& other : *top) {
      TokenLogprob o = token_logprob(other);
      out.back().top.emplace_back(std::move(o.text), o.logprob);
    }
  }
  return out;
}

/// The first choice of a body, null when it has none.
const json* first_choice(const json& body) {
  const json* choices = member(body, "choices");
  return choices && choices->is_array() && !choices->empty() ? &choices->front() : nullptr;
}

Error unexpected_answer(std::string_view why) {
  return {Code::kUnavailable, fmt::format("the answer is no chat completion: {}", why)};
}

Result<Answer> read_completion(const json& body, const json* choice) {
  const json* text = choice ? member(*choice, "text") : nullptr;
  if (!text || !text->is_string()) return std::unexpected(unexpected_answer("found no choices[0].text"));
  Answer out;
  out.text = text->get<std::string>();
  out.finish_reason = string_of(*choice, "finish_reason");
  read_usage(body, out);
  return out;
}

}  // namespace

Result<Answer> read_answer(std::string_view text, bool completion) {
  auto body = net::parse_json(text, "the answer");
  if (!body) return std::unexpected(unexpected_answer(body.error().message));
  const json* choice = first_choice(*body);
  if (completion) return read_completion(*body, choice);
  const json* message = choice ? member(*choice, "message") : nullptr;
  if (!message) return std::unexpected(unexpected_answer("found no choices[0].message"));
  Answer out;
  out.text = string_of(*message, "content");
  out.refusal = string_of(*message, "refusal");
  out.finish_reason = string_of(*choice, "finish_reason");
  out.logprobs = read_logprobs(*choice);
  if (const json* calls = member(*message, "tool_calls"); calls && calls->is_array()) {
    for (const json& call : *calls) {
      const json* function = member(call, "function");
      if (!function) return std::unexpected(unexpected_answer("found a tool call without its function"));
      out.tool_calls.push_back(
          {string_of(call, "id"), string_of(*function, "name"), string_of(*function, "arguments")});
    }
  }
  read_usage(*body, out);
  return out;
}

Result<Answer> read_embeddings(std::string_view text, size_t inputs) {
  auto wrong = [](std::string_view why) {
    return std::unexpected(
        Error{Code::kUnavailable, fmt::format("the answer holds no embeddings as asked for: {}", why)});
  };
  auto body = net::parse_json(text, "the answer");
  if (!body) return wrong(body.error().message);
  const json* data = member(*body, "data");
  if (!data || !data->is_array() || data->size() != inputs)
    return wrong(fmt::format("expected {} vectors", inputs));
  Answer out;
  out.vectors.resize(inputs);
  for (size_t i = 0; i < inputs; ++i) {
    const json* index = member((*data)[i], "index");
    const json* values = member((*data)[i], "embedding");
    size_t at = index && index->is_number_unsigned() ? index->get<size_t>() : i;
    if (at >= inputs || !out.vectors[at].empty()) return wrong("an index is out of range or comes twice");
    if (!values || !values->is_array() || values->empty()) return wrong("found no list of numbers");
    for (const json& value : *values) {
      if (!value.is_number()) return wrong("found no list of numbers");
      out.vectors[at].push_back(value.get<float>());
    }
    if (out.vectors[at].size() != out.vectors.front().size() && !out.vectors.front().empty())
      return wrong("the vectors differ in length");
  }
  const json* usage = member(*body, "usage");
  const json* tokens = usage ? member(*usage, "prompt_tokens") : nullptr;
  if (tokens && tokens->is_number_unsigned()) out.usage = Usage{tokens->get<uint64_t>(), 0, 0};
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
    return false;  // whatever follows is not looked at
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
  if (const json* choice = first_choice(*body)) take_delta(*choice);
  return !error_;
}

void AnswerStream::take_delta(const json& choice) {
  if (std::string reason = string_of(choice, "finish_reason"); !reason.empty())
    answer_.finish_reason = reason;
  const json* delta = completion_ ? &choice : member(choice, "delta");
  if (!delta) return;
  answer_.refusal += string_of(*delta, "refusal");
  TextDelta text(string_of(*delta, completion_ ? "text" : "content"), read_logprobs(choice));
  if (!text.text.empty() || !text.logprobs.empty()) {
    answer_.text += text.text;
    answer_.logprobs.insert(answer_.logprobs.end(), text.logprobs.begin(), text.logprobs.end());
    events_.emplace_back(std::move(text));
  }
  if (const json* calls = member(*delta, "tool_calls");
      calls && calls->is_array() && !take_tool_calls(*calls))
    error_ = unexpected_answer("found a tool call that is not the last one or the next");
}

/// Calls come one after the other: a part belongs to the last one or begins the next.
bool AnswerStream::take_tool_calls(const json& calls) {
  for (const json& call : calls) {
    const json* index = member(call, "index");
    const json* function = member(call, "function");
    size_t i = index && index->is_number_unsigned() ? index->get<size_t>() : answer_.tool_calls.size();
    if (i > answer_.tool_calls.size() || i + 1 < answer_.tool_calls.size()) return false;
    ToolCallDelta part;
    part.index = static_cast<uint32_t>(i);
    if (i == answer_.tool_calls.size()) {
      part.id = string_of(call, "id");
      part.name = function ? string_of(*function, "name") : "";
      answer_.tool_calls.push_back({part.id, part.name});
    }
    part.arguments = function ? string_of(*function, "arguments") : "";
    answer_.tool_calls[i].arguments += part.arguments;
    events_.emplace_back(std::move(part));
  }
  return true;
}

bool AnswerStream::feed(std::string_view bytes) {
  if (error_ || done_) return !error_;
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
    named = body ? string_of(*body, kChoiceField) : "";
  } else if (mode == ChoiceMode::kPrompt) {
    named = trimmed(text);
  }
  if (std::find(choices.begin(), choices.end(), named) != choices.end()) return named;
  return fail(Code::kUnavailable, "the model answered '{}', which is none of the {} choices",
              text.substr(0, 100), choices.size());
}

}  // namespace bantam::chat
