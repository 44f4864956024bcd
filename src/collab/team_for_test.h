#pragma once
// Two scripted models and a caller that writes down what it is told: for the tests of strategies.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "chat/scripted.h"

namespace bantam::collab {

inline chat::ScriptedTurn says(std::vector<std::string> parts, std::chrono::milliseconds delay = {},
                               double cost = 0) {
  chat::ScriptedTurn t;
  t.parts = std::move(parts);
  t.delay = delay;
  t.cost = cost;
  return t;
}

inline chat::ScriptedTurn sure(std::string text, double confidence) {
  chat::ScriptedTurn t = says({std::move(text)});
  t.confidence = confidence;
  return t;
}

inline chat::ScriptedTurn breaks(Code code, std::vector<std::string> parts = {},
                                 std::chrono::milliseconds delay = {}) {
  chat::ScriptedTurn t = says(std::move(parts), delay);
  t.error = Error{code, "the line is down"};
  return t;
}

inline chat::ScriptedTurn calls(std::string tool, std::string arguments,
                                std::chrono::milliseconds delay = {}) {
  chat::ScriptedTurn t = says({}, delay);
  t.tool_calls.push_back({"id-" + tool, std::move(tool), std::move(arguments)});
  return t;
}

inline chat::Request asks(std::string text) {
  chat::Request r;
  r.messages.push_back({"user", std::move(text)});
  return r;
}

/// Writes events down: texts as they are, calls as "call NAME", verdicts as "draft", "verified", "revised:
/// TEXT".
class Caller {
 public:
  std::vector<std::string> heard;
  size_t leaves_after = 1000;  // events

  std::string text() const { return text_; }

  Result<chat::Reply> ask(chat::ChatModel& model, const chat::Request& request) {
    return chat::wait(model.generate(request, [this](chat::Event e) -> chat::Awaitable<bool> {
      hear(e);
      co_return heard.size() < leaves_after;
    }));
  }

 private:
  void hear(const chat::Event& event) {
    if (auto* delta = std::get_if<chat::TextDelta>(&event)) {
      heard.push_back(delta->text);
      text_ += delta->text;
    } else if (auto* call = std::get_if<chat::ToolCallDelta>(&event)) {
      heard.push_back("call " + call->name);
    } else if (auto* verdict = std::get_if<chat::Verdict>(&event)) {
      using Kind = chat::Verdict::Kind;
      heard.push_back(verdict->kind == Kind::kDraft      ? "draft"
                      : verdict->kind == Kind::kVerified ? "verified"
                                                         : "revised: " + verdict->text);
    }
  }
  std::string text_;
};

}  // namespace bantam::collab
