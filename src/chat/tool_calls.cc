#include "chat/tool_calls.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/http.h"
#include "net/json.h"

namespace bantam::chat {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>";
constexpr std::string_view kSpaces = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

/// How many bytes at the end of `text` might begin the marker.
size_t partial_marker(std::string_view text) {
  for (size_t n = std::min(text.size(), kOpen.size() - 1); n > 0; --n) {
    if (text.ends_with(kOpen.substr(0, n))) return n;
  }
  return 0;
}

/// One call; llama's templates say "parameters" where others say "arguments".
bool add_call(const json& value, const std::vector<Tool>& tools, std::vector<ToolCall>& out) {
  if (!value.is_object()) return false;
  auto name = value.find("name");
  if (name == value.end() || !name->is_string()) return false;
  bool known = std::any_of(tools.begin(), tools.end(), [&](const Tool& t) { return *name == t.name; });
  auto arguments = value.find("arguments");
  if (arguments == value.end()) arguments = value.find("parameters");
  if (!known || (arguments != value.end() && !arguments->is_object())) return false;
  out.push_back({net::random_id("call_"), name->get<std::string>(),
                 arguments == value.end() ? "{}" : net::ordered_text(*arguments)});
  return true;
}

bool add_calls(std::string_view text, const std::vector<Tool>& tools, std::vector<ToolCall>& out) {
  auto value = net::parse_ordered_json(text, "the call");
  if (!value) return false;
  if (!value->is_array()) return add_call(*value, tools, out);
  return !value->empty() && std::all_of(value->begin(), value->end(),
                                        [&](const json& one) { return add_call(one, tools, out); });
}

bool may_be_called(const Tool& tool, const ToolChoice& choice) {
  return choice.mode != ToolChoice::Mode::kFunction || tool.name == choice.function;
}

std::string call_text(const std::vector<ToolCall>& calls) {
  json list = json::array();
  for (const ToolCall& call : calls) {
    auto arguments = net::parse_ordered_json(call.arguments, "arguments");
    list.push_back(
        {{"name", call.name}, {"arguments", arguments ? std::move(*arguments) : json(call.arguments)}});
  }
  return net::ordered_text(list.size() == 1 ? list[0] : list);
}

}  // namespace

std::string tools_text(const std::vector<Tool>& tools, const ToolChoice& choice, bool parallel) {
  using Mode = ToolChoice::Mode;
  std::string out = "You can call these functions:\n";
  for (const Tool& tool : tools) {
    if (!may_be_called(tool, choice)) continue;
    json line = {{"name", tool.name}};
    if (!tool.description.empty()) line["description"] = tool.description;
    auto parameters = net::parse_ordered_json(tool.parameters, "parameters");
    if (parameters) line["parameters"] = std::move(*parameters);
    out += net::ordered_text(line) + "\n";
  }
  out += choice.mode == Mode::kAuto ? "Either answer in plain text, or call a function by writing nothing but"
                                    : "Call a function by writing nothing but";
  out += R"( {"name": FUNCTION, "arguments": {…}})";
  if (parallel) out += ", or several calls as a list of these";
  return out + ". The result comes with the next message.";
}

std::vector<Message> with_tools_as_text(const Request& request) {
  std::vector<Message> out;
  for (const Message& message : request.messages) {
    Message turn{.role = message.role, .content = message.content};
    if (!message.tool_calls.empty()) {
      if (!turn.content.empty()) turn.content += "\n";
      turn.content += call_text(message.tool_calls);
    } else if (message.role == "tool") {
      turn.role = "user";
      turn.content = "Result of the function call " + message.tool_call_id + ":\n" + message.content;
    }
    out.push_back(std::move(turn));
  }
  if (request.tools.empty() || request.tool_choice.mode == ToolChoice::Mode::kNone) return out;
  std::string text = tools_text(request.tools, request.tool_choice, request.parallel_tool_calls);
  bool has_system = !out.empty() && (out[0].role == "system" || out[0].role == "developer");
  if (has_system)
    out[0].content += "\n\n" + text;
  else
    out.insert(out.begin(), {.role = "system", .content = std::move(text)});
  return out;
}

Result<std::string> calls_schema(const std::vector<Tool>& tools, const ToolChoice& choice, bool parallel) {
  json calls = json::array();
  for (const Tool& tool : tools) {
    if (!may_be_called(tool, choice)) continue;
    json parameters = {{"type", "object"}, {"properties", json::object()}, {"additionalProperties", false}};
    if (!tool.parameters.empty()) {
      auto given = net::parse_ordered_json(tool.parameters, "parameters");
      if (!given || !given->is_object())
        return fail(Code::kInvalidArgument, "tools: the parameters of '{}' are no JSON object", tool.name);
      parameters = std::move(*given);
    }
    calls.push_back({{"type", "object"},
                     {"properties", {{"name", {{"const", tool.name}}}, {"arguments", std::move(parameters)}}},
                     {"required", {"name", "arguments"}},
                     {"additionalProperties", false}});
  }
  json one = calls.size() == 1 ? std::move(calls[0]) : json{{"anyOf", std::move(calls)}};
  if (!parallel) return net::ordered_text(one);
  json list = {{"type", "array"}, {"items", one}, {"minItems", 1}};
  return net::ordered_text({{"anyOf", json::array({std::move(one), std::move(list)})}});
}

std::string ToolCallReader::push(std::string_view piece) {
  held_ += piece;
  if (holding_) return "";
  if (!begun_) {
    size_t first = held_.find_first_not_of(kSpaces);
    if (first == std::string::npos) return "";
    begun_ = true;
    if (held_[first] == '{' || held_[first] == '[') {
      holding_ = true;
      return "";
    }
  }
  size_t marker = held_.find(kOpen);
  holding_ = marker != std::string::npos;
  size_t safe = holding_ ? marker : held_.size() - partial_marker(held_);
  std::string out = held_.substr(0, safe);
  held_.erase(0, safe);
  return out;
}

ToolCallReader::End ToolCallReader::finish() {
  End out;
  if (holding_) out.calls = read_calls(held_, tools_);
  if (out.calls.empty()) out.text = std::move(held_);
  return out;
}

std::vector<ToolCall> read_calls(std::string_view text, const std::vector<Tool>& tools) {
  std::vector<ToolCall> out;
  text = trimmed(text);
  if (!text.starts_with(kOpen)) {
    if (!add_calls(text, tools, out)) out.clear();
    return out;
  }
  while (text.starts_with(kOpen)) {
    text.remove_prefix(kOpen.size());
    size_t end = text.find(kClose);
    if (!add_calls(trimmed(text.substr(0, end)), tools, out)) return {};
    text = end == std::string_view::npos ? "" : trimmed(text.substr(end + kClose.size()));
  }
  if (!text.empty()) return {};  // more was said than calls
  return out;
}

}  // namespace bantam::chat
