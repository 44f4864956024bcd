#include "text/call_form.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/file.h"

namespace bantam::text {
namespace {

/// A template of the usual shape, whose turns of calls are `call` with `separator` between them.
std::string with_calls(const std::string& begin, const std::string& call, const std::string& separator,
                       const std::string& end) {
  return "{% if tools %}Tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}<{{ m.role }}>{% if "
         "m.tool_calls %}" +
         begin + "{% for c in m.tool_calls %}" + call + "{% if not loop.last %}" + separator +
         "{% endif %}{% endfor %}" + end +
         "{% else %}{{ m.content }}{% endif %}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% "
         "endif %}";
}

TEST(CallForm, IsFoundByAsking) {
  auto form = find_call_form(
      with_calls("<calls>[",
                 R"({"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}})",
                 ", ", "]"),
      {});
  ASSERT_TRUE(form);
  EXPECT_EQ(form->open, "<calls>[{\"name\": \"");
  EXPECT_EQ(form->after_name, "\", \"arguments\": ");
  EXPECT_EQ(form->between, "}, {\"name\": \"");
  EXPECT_EQ(form->close, "}]");
  EXPECT_EQ(form->marker, "<calls>");
  EXPECT_TRUE(form->anywhere);
  EXPECT_FALSE(form->short_ids);
}

TEST(CallForm, JsonAloneBeginsATurn) {
  auto form = find_call_form(
      with_calls("",
                 R"({"name": "{{ c.function.name }}", "parameters": {{ c.function.arguments | tojson }}})",
                 "{{ raise_exception('one call') }}", ""),
      {});
  ASSERT_TRUE(form);
  EXPECT_EQ(form->marker, "{\"name\": \"");
  EXPECT_FALSE(form->anywhere);
  EXPECT_EQ(form->between, "");
  EXPECT_EQ(form->close, "}");
}

TEST(CallForm, IdsAreSlots) {
  const std::string call =
      "{% if c.id | length != 9 %}{{ raise_exception('ids have nine characters') }}{% endif %}"
      "{{ c.function.name }}[ID]{{ c.id }}[ARGS]{{ c.function.arguments | tojson }}";
  auto form = find_call_form(with_calls("[CALLS]", call, "[CALLS]", ""), {});
  ASSERT_TRUE(form);
  EXPECT_EQ(form->after_name, "[ID]" + std::string(9, kIdSlot) + "[ARGS]");
  EXPECT_EQ(form->between, "[CALLS]");
  EXPECT_EQ(form->close, "");
  EXPECT_TRUE(form->short_ids);
}

TEST(CallForm, WhatCannotBeUsedHasNone) {
  const std::string good =
      R"({"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}})";
  for (const std::string& other :
       {std::string(), std::string("{% for m in messages %}{{ m.content }}{% endfor %}"),
        std::string("{{ broken"), with_calls("", "{{ c.function.name }}", "", ""),  // no arguments
        with_calls("",
                   R"({"arguments": {{ c.function.arguments | tojson }}, "name": "{{ c.function.name }}"})",
                   "", ""),
        with_calls("", "{{ c.function.name }}: {{ c.function.arguments | tojson | tojson }}", "",
                   ""),                                 // in a string
        with_calls("<c>", good, "", "").substr(13)}) {  // tells of no tools
    EXPECT_FALSE(find_call_form(other, {})) << other;
  }
}

/// Forms of templates in use, where their files are at hand.
TEST(CallForm, OfTemplatesInUse) {
  const std::filesystem::path root = BANTAM_SOURCE_DIR "/../shared/data/tokenizers/chat-templates";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is not there";
  const std::map<std::string, std::string> markers{
      {"Qwen-Qwen2.5-7B-Instruct", "<tool_call>"},
      {"Qwen-Qwen3-0.6B", "<tool_call>"},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "<tool_call>"},
      {"meta-llama-Llama-3.1-8B-Instruct", "{\"name\": \""},
      {"mistralai-Mistral-Nemo-Instruct-2407", "[TOOL_CALLS]"},
      {"Mistral-Small-3.2-24B-Instruct-2506", "[TOOL_CALLS]"},
      {"llama-cpp-deepseek-r1", "<｜tool▁calls▁begin｜>"},
      {"google-gemma-2-2b-it", ""},
      {"Qwen3-Coder", ""}};  // arguments as XML
  size_t found = 0, all = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.path().extension() != ".jinja") continue;
    auto form = find_call_form(*read_file(entry.path().string()), {});
    ++all;
    found += form ? 1 : 0;
    const auto expected = markers.find(entry.path().stem().string());
    if (expected == markers.end()) continue;
    EXPECT_EQ(form ? form->marker : "", expected->second) << entry.path();
  }
  fmt::print("{} of {} templates have a form that can be used\n", found, all);
  EXPECT_GE(found, 20U);
}

}  // namespace
}  // namespace bantam::text
