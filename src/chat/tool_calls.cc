#include "chat/tool_calls.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/http.h"
#include "net/json.h"

namespace bantam::chat {
namespace {

using OrderedJson = nlohmann::ordered_json;
using text::CallForm;
using text::kIdSlot;

constexpr std::string_view kSpaces = " \t\r\n";

std::string call_text(const std::vector<ToolCall>& calls) {
  const CallForm& form = stated_form();
  std::string out;
  for (const ToolCall& call : calls) {
    out += (out.empty() ? form.open : form.between) + call.name + form.after_name;
    out += call.arguments.empty() ? "{}" : call.arguments;
  }
  return out + form.close;
}

/// How many bytes at the end of `text` might begin the marker.
size_t partial_marker(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n) {
    if (text.ends_with(marker.substr(0, n))) return n;
  }
  return 0;
}

bool fits(char found, char wanted) {
  if (wanted != kIdSlot) return found == wanted;
  return (found >= '0' && found <= '9') || (found >= 'A' && found <= 'Z') || (found >= 'a' && found <= 'z');
}

}  // namespace

const CallForm& stated_form() {
  static const CallForm kForm{.open = "<tool_call>\n{\"name\": \"",
                              .after_name = "\", \"arguments\": ",
                              .between = "}\n</tool_call>\n<tool_call>\n{\"name\": \"",
                              .close = "}\n</tool_call>",
                              .marker = "<tool_call>"};
  return kForm;
}

bool may_be_called(const Tool& tool, const ToolChoice& choice) {
  return choice.mode != ToolChoice::Mode::kFunction || tool.name == choice.function;
}

bool may_call(const Request& request) {
  return !request.tools.empty() && request.tool_choice.mode != ToolChoice::Mode::kNone;
}

bool concerns_tools(const Request& request) {
  return may_call(request) || std::ranges::any_of(request.messages, [](const Message& m) {
           return m.role == "tool" || !m.tool_calls.empty();
         });
}

std::string tools_text(const std::vector<Tool>& tools, const ToolChoice& choice, bool parallel) {
  std::string out = "You can call these functions:\n";
  for (const Tool& tool : tools) {
    if (!may_be_called(tool, choice)) continue;
    OrderedJson line = {{"name", tool.name}};
    if (!tool.description.empty()) line["description"] = tool.description;
    auto parameters = net::parse_ordered_json(tool.parameters, "parameters");
    if (parameters) line["parameters"] = std::move(*parameters);
    out += net::ordered_text(line) + "\n";
  }
  const CallForm& form = stated_form();
  out += "A function is called by writing\n" + form.open + "FUNCTION" + form.after_name + "{…}" + form.close;
  out += parallel ? "\nonce for each call, one behind the other. " : "\nonce. ";
  out += choice.mode == ToolChoice::Mode::kAuto
             ? "Answer in plain text where no function is needed. "
             : "Call " + std::string(parallel ? "at least one" : "one") + ", and write nothing else. ";
  return out + "Results come with the next message.";
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
    } else {
      turn.name = message.name;
    }
    const bool joins = !out.empty() && turn.role == "user" && out.back().role == "user";
    if (joins)
      out.back().content += "\n\n" + turn.content;
    else
      out.push_back(std::move(turn));
  }
  if (!may_call(request)) return out;
  std::string text = tools_text(request.tools, request.tool_choice, request.parallel_tool_calls);
  bool has_system = !out.empty() && (out[0].role == "system" || out[0].role == "developer");
  if (has_system)
    out[0].content += "\n\n" + text;
  else
    out.insert(out.begin(), {.role = "system", .content = std::move(text)});
  return out;
}

CallReader::CallReader(CallForm form, std::vector<std::string> names, Mode mode)
    : form_(std::move(form)), names_(std::move(names)), lead_(form_.open) {
  if (mode == Mode::kRequired) {
    at_ = At::kOpen;
  } else if (mode == Mode::kInsteadOfText) {
    at_ = At::kUndecided;
  } else {
    // Spaces before the marker are text's.
    at_ = form_.anywhere ? At::kText : At::kUndecided;
    lead_ = form_.open.substr(form_.open.find(form_.marker));
  }
}

std::vector<Event> CallReader::push(std::string_view piece) {
  std::vector<Event> out;
  held_ += piece;
  while (!held_.empty() && step(out)) {
  }
  return out;
}

/// False: more is needed.
bool CallReader::step(std::vector<Event>& out) {
  switch (at_) {
    case At::kText:
      return read_text(out);
    case At::kOnlyText:
      say(held_.size(), out);
      return false;
    case At::kArguments:
      return read_arguments(out);
    default:
      return read_name(out);
  }
}

void CallReader::say(size_t bytes, std::vector<Event>& out) {
  if (bytes == 0) return;
  text_.append(held_, 0, bytes);
  out.emplace_back(TextDelta(held_.substr(0, bytes)));
  held_.erase(0, bytes);
}

bool CallReader::read_text(std::vector<Event>& out) {
  const size_t marker = held_.find(form_.marker);
  const bool found = marker != std::string::npos;
  const size_t safe = found ? marker : held_.size() - partial_marker(held_, form_.marker);
  // Spaces wait: those before a call are no part of the text.
  const size_t last = std::string_view(held_).substr(0, safe).find_last_not_of(kSpaces);
  const size_t spaces = safe - (last == std::string::npos ? 0 : last + 1);
  say(safe - spaces, out);
  if (!found) return false;
  held_.erase(0, spaces);
  at_ = At::kOpen;
  return true;
}

CallReader::Match CallReader::find_name(std::string_view lead, size_t& function, size_t& length) const {
  Match best = Match::kNo;
  for (size_t i = 0; i < names_.size(); ++i) {
    const std::string whole = std::string(lead) + names_[i] + form_.after_name;
    const size_t n = std::min(whole.size(), held_.size());
    if (!std::equal(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n), held_.begin(),
                    [](char wanted, char found) { return fits(found, wanted); }))
      continue;
    if (n < whole.size()) return Match::kPartly;  // a longer name may still come
    if (best == Match::kNo || whole.size() > length) {
      function = i;
      length = whole.size();
    }
    best = Match::kYes;
  }
  return best;
}

bool CallReader::read_name(std::vector<Event>& out) {
  size_t function = 0, length = 0;
  const Match match = find_name(lead_, function, length);
  if (match == Match::kYes) {
    held_.erase(0, length);
    calls_.push_back({net::random_id("call_"), names_[function]});
    out.emplace_back(
        ToolCallDelta(static_cast<uint32_t>(calls_.size()) - 1, calls_.back().id, names_[function]));
    lead_ = form_.between;
    depth_ = 0;
    at_ = At::kArguments;
    return true;
  }
  if (match == Match::kPartly || at_ != At::kUndecided) return false;
  at_ = At::kOnlyText;
  return true;
}

bool CallReader::read_arguments(std::vector<Event>& out) {
  size_t n = 0;
  bool done = false;
  for (; n < held_.size() && !done; ++n) {
    const char c = held_[n];
    if (quoted_) {
      if (!escaped_ && c == '"') quoted_ = false;
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      quoted_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      done = --depth_ == 0;
    }
  }
  calls_.back().arguments.append(held_, 0, n);
  out.emplace_back(ToolCallDelta(static_cast<uint32_t>(calls_.size()) - 1, "", "", held_.substr(0, n)));
  held_.erase(0, n);
  if (done) at_ = At::kAfter;
  return done;
}

std::vector<Event> CallReader::finish() {
  std::vector<Event> out;
  if (at_ == At::kText || at_ == At::kUndecided || at_ == At::kOnlyText) say(held_.size(), out);
  held_.clear();
  return out;
}

}  // namespace bantam::chat
