#pragma once
// The parameters that several of the generating endpoints share. Internal to server.

#include <string>

#include "server/body_reader.h"
#include "server/generation.h"

namespace bantam::server {

/// Reads into `chat_`. Parameters are those of OpenAI's reference unless they say otherwise.
class GenerationReader : public BodyReader {
 public:
  explicit GenerationReader(const WireLimits& limits) : limits_(limits) {}

 protected:
  void model(const std::string& name, const json& value) { model_ = text(name, value).value_or(""); }
  void temperature(const std::string& name, const json& value) {
    set(chat_.sampling.temperature, number(name, value, 0, 2));
  }
  void top_p(const std::string& name, const json& value);
  void min_p(const std::string& name, const json& value) {
    set(chat_.sampling.min_p, number(name, value, 0, 1));
  }
  void top_k(const std::string& name, const json& value);
  void seed(const std::string& name, const json& value);
  void frequency_penalty(const std::string& name, const json& value) {
    set(chat_.sampling.frequency_penalty, number(name, value, -2, 2));
  }
  void presence_penalty(const std::string& name, const json& value) {
    set(chat_.sampling.presence_penalty, number(name, value, -2, 2));
  }
  void logit_bias(const std::string& name, const json& value);
  void max_tokens(const std::string& name, const json& value);
  void stop(const std::string& name, const json& value);
  void stream(const std::string& name, const json& value) { stream_ = flag(name, value).value_or(false); }
  void stream_options(const std::string& name, const json& value);
  void n(const std::string& name, const json& value);
  void guided_choice(const std::string& name, const json& value);
  void typed_events(const std::string& name, const json& value) {
    chat_.typed_events = flag(name, value).value_or(false);
  }
  void parallel_tool_calls(const std::string& name, const json& value) {
    chat_.parallel_tool_calls = flag(name, value).value_or(true);
  }
  void reasoning_effort(const std::string& name, const json& value) { only(name, value, {"none"}); }

  /// A function that may be called: name, description, parameters, strict are members of `value`.
  chat::Tool function_tool(const std::string& name, const json& value);
  /// "none", "auto", "required"; false for another word.
  bool tool_mode(const std::string& word);
  /// Schema, name, description and strict are members of `value`.
  void json_schema(const std::string& name, const json& value);
  /// Leaves only the functions of these names to be called, as "allowed_tools" says.
  void allow_tools(const std::string& name, const std::vector<std::string>& allowed);
  /// What only shows once all is read; `streaming` names what stream_options belongs to.
  void check_together(const json& body);
  /// The requests for n answers to chat_: seeds count up from the one given.
  std::vector<chat::Request> answers() const;

  static void set(std::optional<float>& to, std::optional<double> value) {
    if (value) to = static_cast<float>(*value);
  }

  const WireLimits limits_;
  std::string model_;
  chat::Request chat_;
  bool stream_ = false, include_usage_ = false;
  uint32_t n_ = 1;
};

}  // namespace bantam::server
