// A chat template over a small conversation: whatever it is, it renders or fails within its limits.

#include <nlohmann/json.hpp>

#include "text/jinja/interpreter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace jinja = bantam::text::jinja;
  auto program = jinja::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!program) return 0;
  jinja::Heap heap({.steps = 5'000, .bytes = 1 << 20, .depth = 150});
  jinja::Scope globals;
  for (const char* name : {"range", "namespace", "dict", "raise_exception", "strftime_now"})
    globals.set(
        name, jinja::Value::of(heap.function({jinja::Function::Kind::kGlobal, name, {}, nullptr, nullptr})));
  static const auto kMessages = nlohmann::ordered_json::parse(
      R"([{"role":"user","content":"a\u00e4 <b>"},{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"x":[1,2.5]}}}]}])");
  if (auto messages = jinja::from_json(kMessages, heap, jinja::kFirstMessage))
    globals.set("messages", *messages);
  jinja::Interpreter interpreter(heap, {});
  auto text = interpreter.run(*program, globals);
  if (!text) return 0;
  size_t length = 0;
  for (const auto& run : text->runs()) length += run.length;
  if (length != text->size()) std::abort();
  return 0;
}
