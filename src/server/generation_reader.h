#pragma once
// The parameters that several of the generating endpoints share. Internal to server.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/body_reader.h"
#include "server/generation.h"

namespace bantam::server {

/// Reads into `chat_`. Parameters are those of OpenAI's reference unless they say otherwise.
class GenerationReader : public BodyReader {
 public:
  explicit GenerationReader(const WireLimits& limits) : limits_(limits) {}

 protected:
  static constexpr size_t kMaxMessages = 4096, kMaxParts = 4096, kMaxTools = 128;

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
  /// llama.cpp's: [{"id": index of an adapter, "scale": number}].
  void lora(const std::string& name, const json& value);
  void context_shift(const std::string& name, const json& value) {
    chat_.context_shift = flag(name, value).value_or(false);
  }
  void n_keep(const std::string& name, const json& value) {
    chat_.context_keep = static_cast<uint32_t>(whole(name, value, 0, UINT32_MAX).value_or(0));
  }
  void parallel_tool_calls(const std::string& name, const json& value) {
    chat_.parallel_tool_calls = flag(name, value).value_or(true);
  }
  void reasoning_effort(const std::string& name, const json& value) { only(name, value, {"none"}); }

  void top_logprobs(const std::string& name, const json& value) {
    chat_.top_logprobs = static_cast<uint32_t>(whole(name, value, 0, 20).value_or(0));
  }

  // Tools and formats. OpenAI's two APIs differ in this: with kNested, a function's members stand in
  // "function", a schema's in "json_schema", and the allowed tools in "allowed_tools".
  enum class Members { kNested, kFlat };
  /// The list of tools, all of them functions.
  void functions(const std::string& name, const json& value, Members members);
  /// Read by read_tool_choice(), once the tools are known.
  void tool_choice(const std::string& name, const json& value) { tool_choice_ = {name, &value}; }
  void read_tool_choice(Members members);
  /// {"type": "text" | "json_object" | "json_schema", …}
  void format(const std::string& name, const json& value, Members members);

  /// Members of a tool: name, description, the parameters' schema (called `schema`), strict, and for others
  /// what `other` does.
  chat::Tool tool(
      const std::string& name, const json& value, const char* schema,
      const std::function<void(const std::string& param, const std::string& key, const json&)>& other);
  /// "none", "auto", "required"; false for another word.
  bool tool_mode(const std::string& word);
  /// Schema, name, description and strict are members of `value`.
  void json_schema(const std::string& name, const json& value);
  /// What only shows once all is read; `streaming` names what stream_options belongs to.
  void check_together(const json& body);
  /// The requests for n answers to `chat`: seeds count up from the one given.
  std::vector<chat::Request> answers(chat::Request chat) const;

  static void set(std::optional<float>& to, std::optional<double> value) {
    if (value) to = static_cast<float>(*value);
  }

  const WireLimits limits_;
  chat::Request chat_;
  bool stream_ = false, include_usage_ = false;
  uint32_t n_ = 1;

 private:
  std::string function_name(const std::string& name, const json& value, Members members);
  void allowed_tools(const std::string& name, const json& value, Members members);
  void allow_tools(const std::string& name, const std::vector<std::string>& allowed);

  std::pair<std::string, const json*> tool_choice_{"", nullptr};
};

}  // namespace bantam::server
