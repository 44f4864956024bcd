// render_templates CASES.json OUT.json: CASES holds {"templates": [text…], "conversations": [{"messages",
// "tools", "variables", "add_generation_prompt"}…]}; OUT is, for each template, a list with {"text"} or
// {"error"} for each conversation. A prompt that needed a change of the messages counts as refused.

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "text/chat_template.h"

using Json = nlohmann::ordered_json;

namespace {

Json rendered(const std::string& chat_template, const Json& conversation) {
  bantam::text::ChatOptions options;
  options.add_generation_prompt = conversation["add_generation_prompt"].get<bool>();
  if (conversation.contains("tools")) options.tools = &conversation["tools"];
  if (conversation.contains("variables")) options.variables = &conversation["variables"];
  auto prompt = bantam::text::render_chat(chat_template, conversation["messages"], options);
  if (!prompt) return {{"error", prompt.error().message}};
  if (!prompt->notes.empty()) return {{"error", prompt->notes[0]}};
  return {{"text", prompt->text()}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto text = bantam::read_file(argv[1]);
  if (!text) {
    fmt::print(stderr, "{}\n", text.error().message);
    return 1;
  }
  const Json cases = Json::parse(*text);
  Json out = Json::array();
  for (const auto& chat_template : cases["templates"]) {
    Json list = Json::array();
    for (const auto& conversation : cases["conversations"])
      list.push_back(rendered(chat_template.get<std::string>(), conversation));
    out.push_back(std::move(list));
  }
  auto written = bantam::write_file(argv[2], out.dump());
  if (!written) fmt::print(stderr, "{}\n", written.error().message);
  return written ? 0 : 1;
}
