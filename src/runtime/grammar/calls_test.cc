#include "runtime/grammar/calls.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "runtime/grammar/vocabulary.h"

namespace bantam::runtime {
namespace {

using grammar::Vocabulary;

constexpr text::TokenId kEnd = 256, kSilent = 257;

/// All single bytes, an end token, one that adds nothing, and pieces that straddle structure.
std::shared_ptr<const Vocabulary> vocabulary() {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  pieces.insert(pieces.end(),
                {"</s>", "", "<tool", "_call>", "<tool_call>", "Hi <", "</tool_call>", "{\"name\": \"",
                 "\", \"arguments\": ", "{\"a\"", "}}\n</", "}\n</tool_call>\n<tool_call>\n{", "é", "\xC3",
                 "add\"", "[TOOL", "[TOOL_CALLS][{", ": 1}", "12}"});
  pieces[kEnd].clear();
  return std::make_shared<const Vocabulary>(std::move(pieces), std::vector<text::TokenId>{kEnd});
}

const std::string kAdd =
    R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false})";

CallRules hermes() {
  CallRules rules;
  rules.form = {.open = "<tool_call>\n{\"name\": \"",
                .after_name = "\", \"arguments\": ",
                .between = "}\n</tool_call>\n<tool_call>\n{\"name\": \"",
                .close = "}\n</tool_call>",
                .marker = "<tool_call>"};
  rules.functions = {{"add", kAdd}, {"stop", R"({"type":"object","additionalProperties":false})"}};
  return rules;
}

bool accepts(const CallRules& rules, std::string_view text) {
  static const auto words = vocabulary();
  auto grammar = Grammar::calls(rules, words);
  EXPECT_TRUE(grammar) << grammar.error().message;
  GrammarState state(*grammar);
  return state.accept_bytes(text) && state.may_end();
}

const std::string kOne = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>",
                  kTwo = kOne + "\n<tool_call>\n{\"name\": \"stop\", \"arguments\": {}}\n</tool_call>";

TEST(CallGrammar, TextOrCallsOrBoth) {
  CallRules rules = hermes();
  for (const std::string& text : std::vector<std::string>{
           std::string(), std::string("Hello <b>"), std::string("<tool_"), "I add. " + kOne, kOne, kTwo})
    EXPECT_TRUE(accepts(rules, text)) << text;
  for (const std::string& text :
       std::vector<std::string>{std::string("<tool_call>"), kOne + "x", kOne + "\n", std::string("\xC3"),
                                "<tool_call>\n{\"name\": \"rm\", \"arguments\": {}}\n</tool_call>",
                                "<tool_call>\n{\"name\": \"add\", \"arguments\": {}}\n</tool_call>"})
    EXPECT_FALSE(accepts(rules, text)) << text;
  rules.several = false;
  EXPECT_TRUE(accepts(rules, "So: " + kOne));
  EXPECT_FALSE(accepts(rules, kTwo));
  rules.required = true;
  EXPECT_TRUE(accepts(rules, kOne));
  EXPECT_FALSE(accepts(rules, "So: " + kOne));
  EXPECT_FALSE(accepts(rules, ""));
}

TEST(CallGrammar, AnAnswerInAFormat) {
  CallRules rules = hermes();
  rules.text_schema =
      R"({"type":"object","properties":{"x":{"type":"null"}},"required":["x"],"additionalProperties":false})";
  EXPECT_TRUE(accepts(rules, R"({"x": null})"));
  EXPECT_TRUE(accepts(rules, kTwo));
  EXPECT_FALSE(accepts(rules, "Hello"));
  EXPECT_FALSE(accepts(rules, ""));
}

/// As Llama 3 (nothing but JSON), Mistral (ids) and Ministral (nothing at the end) write them.
TEST(CallGrammar, OtherForms) {
  CallRules rules = hermes();
  rules.form = {.open = "{\"name\": \"",
                .after_name = "\", \"parameters\": ",
                .close = "}",
                .marker = "{\"name\": \"",
                .anywhere = false};
  EXPECT_TRUE(accepts(rules, R"({"name": "add", "parameters": {"a": 1}})"));
  EXPECT_TRUE(accepts(rules, R"({"nome": "add"})"));
  EXPECT_TRUE(accepts(rules, R"(Like {"name": "sub"})"));
  EXPECT_FALSE(accepts(rules, R"({"name": "sub"})"));
  const std::string id = ", \"id\": \"" + std::string(9, text::kIdSlot) + "\"}";
  rules.form = {.open = "[TOOL_CALLS][{\"name\": \"",
                .after_name = "\", \"arguments\": ",
                .between = id + ", {\"name\": \"",
                .close = id + "]",
                .marker = "[TOOL_CALLS]"};
  EXPECT_TRUE(accepts(rules, R"([TOOL_CALLS][{"name": "add", "arguments": {"a": 1}, "id": "aB3456789"}])"));
  EXPECT_TRUE(accepts(rules, R"([x] [TOOL_CALLS][{"name": "add", "arguments": {"a": 1}, "id": "000000000"}, )"
                             R"({"name": "stop", "arguments": {}, "id": "000000001"}])"));
  EXPECT_FALSE(accepts(rules, R"([TOOL_CALLS][{"name": "add", "arguments": {"a": 1}, "id": "aB345678"}])"));
  rules.form = {
      .open = "[TOOL]", .after_name = "[ARGS]", .between = "[TOOL]", .close = "", .marker = "[TOOL]"};
  EXPECT_TRUE(accepts(rules, R"(So [TOOL]stop[ARGS]{})"));
  EXPECT_TRUE(accepts(rules, R"([TOOL]stop[ARGS]{}[TOOL]add[ARGS]{"a": 1})"));
  EXPECT_FALSE(accepts(rules, R"([TOOL]stop[ARGS]{})"
                              "x"));
  EXPECT_FALSE(accepts(rules, R"([TOOL]stop[ARGS])"));
}

/// Along random walks the mask is what taking each token says.
TEST(CallGrammar, MasksAreWhatMayBeTaken) {
  const auto words = vocabulary();
  Rng rng(3);
  CallRules rules = hermes();
  for (int round = 0; round < 60; ++round) {
    rules.several = round % 2 == 0;
    rules.required = round % 3 == 0;
    auto grammar = Grammar::calls(rules, words);
    ASSERT_TRUE(grammar) << grammar.error().message;
    GrammarState state(*grammar);
    std::string text;
    for (int step = 0; step < 60 && !state.must_end(); ++step) {
      std::vector<uint64_t> mask;
      state.mask(mask);
      std::vector<text::TokenId> allowed;
      for (text::TokenId id = 0; id < static_cast<text::TokenId>(words->size()); ++id) {
        GrammarState copy = state;
        const bool takes = copy.accept(id),
                   masked = (mask[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0;
        ASSERT_EQ(masked, takes) << "token " << id << " after " << text;
        if (takes && id != kEnd) allowed.push_back(id);
      }
      if (allowed.empty()) break;
      // Long tokens first: they are what leads into calls.
      const auto pick = rng.below(3) == 0 ? allowed[rng.below(allowed.size())] : allowed.back();
      text += state.piece(pick);
      ASSERT_TRUE(state.accept(pick));
    }
  }
}

TEST(CallGrammar, SilentTokensStandInTextOnly) {
  CallRules rules = hermes();
  auto grammar = Grammar::calls(rules, vocabulary());
  ASSERT_TRUE(grammar);
  GrammarState state(*grammar);
  EXPECT_TRUE(state.accept(kSilent));
  EXPECT_TRUE(state.accept_bytes("Hi <tool"));
  EXPECT_TRUE(state.accept(kSilent));
  EXPECT_TRUE(state.accept_bytes("_call>\n"));
  EXPECT_FALSE(state.accept(kSilent));
  EXPECT_TRUE(state.accept_bytes("{\"name\": \"add\""));
}

TEST(CallGrammar, RefusesByName) {
  CallRules rules = hermes();
  rules.functions[1].arguments = R"({"contains": {}})";
  auto grammar = Grammar::calls(rules, vocabulary());
  ASSERT_FALSE(grammar);
  EXPECT_TRUE(grammar.error().message.starts_with("stop: ")) << grammar.error().message;
  rules.functions.clear();
  EXPECT_EQ(Grammar::calls(rules, vocabulary()).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace bantam::runtime
