#include "runtime/grammar/grammar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/file.h"
#include "base/rng.h"
#include "runtime/grammar/char_dfa.h"
#include "runtime/grammar/number.h"
#include "runtime/grammar/regex.h"
#include "runtime/grammar/vocabulary.h"

namespace bantam::runtime {
namespace {

using grammar::CharDfa;
using grammar::Vocabulary;
using Json = nlohmann::ordered_json;

/// All single bytes, an end token, and pieces that straddle structure.
std::shared_ptr<const Vocabulary> small_vocabulary() {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  for (const char* piece : {"{\"",
                            "\":",
                            "\": ",
                            "\",",
                            "\", \"",
                            "\"}",
                            "},",
                            "[]",
                            "{}",
                            "]}",
                            "true",
                            "false",
                            "null",
                            "  ",
                            "\n  ",
                            "ab",
                            "abc",
                            "a\":",
                            "name",
                            "name\":\"",
                            "\":{\"",
                            "12",
                            "123",
                            "-1",
                            ".5",
                            "0.",
                            "e+1",
                            "1,",
                            "2}",
                            "\\n",
                            "\\u00",
                            "\\\"",
                            "\xC3\xA9",
                            "\xF0\x9F",
                            "\x98\x80\"",
                            "é\"",
                            "x\",\"y",
                            "[1,",
                            "]]",
                            "\"]",
                            "1]",
                            "red",
                            "\"red\"",
                            "\"blue\",",
                            "aaaa",
                            "\"\"",
                            "\\ud83d\\ude00",
                            "\", ",
                            ": ",
                            ", "}) {
    pieces.emplace_back(piece);
  }
  const auto end = static_cast<text::TokenId>(pieces.size());
  pieces.emplace_back("");
  return std::make_shared<const Vocabulary>(std::move(pieces), std::vector<text::TokenId>{end});
}

bool accepts(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  GrammarState state(grammar);
  return state.accept_bytes(text) && state.may_end();
}

std::shared_ptr<const Grammar> compiled(std::string_view schema,
                                        GrammarOptions options = {.ordered = false}) {
  static const auto vocabulary = small_vocabulary();
  auto found = Grammar::json_schema(schema, vocabulary, options);
  EXPECT_TRUE(found) << schema << ": " << found.error().message;
  return found ? *found : nullptr;
}

struct Case {
  const char* schema;
  std::vector<const char*> yes, no;
};

TEST(Grammar, AcceptsWhatTheSchemaDoes) {
  const Case cases[] = {
      {"true",
       {"1", "null", "[]", "{\"a\":[{}, \"x\"]}", "\"\\u00e9\\n\"", "-0.5e-3"},
       {"", "01", "1.", "[1,]", "{,}", "tru", "\"\\x\"", "\"\\ud800\"", "nul", "{\"a\"}", "[1 2]"}},
      {R"({"type":"integer","minimum":-5,"maximum":120})",
       {"-5", "0", "7", "99", "120"},
       {"-6", "121", "1.5", "1000", "-50"}},
      {R"({"type":"number","exclusiveMinimum":0,"maximum":1.5})",
       {"0.1", "1", "1.5", "1.50", "0.001"},
       {"0", "0.0", "1.51", "-1", "2", "1.500001"}},
      {R"({"type":"integer","multipleOf":7,"minimum":10})", {"14", "21", "700"}, {"10", "7", "15"}},
      {R"({"type":"number","multipleOf":0.01})", {"1.25", "3", "0.1"}, {"0.001", "1.255"}},
      {R"({"type":"number","minimum":-1.25,"exclusiveMaximum":-0.5})",
       {"-1.25", "-1", "-0.51"},
       {"-0.5", "-1.26", "0", "1"}},
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"\\u00e9\xC3\xA9\"", "\"\\ud83d\\ude00x\""},
       {"\"a\"", "\"abcd\"", "\"\\ud83d\\ude00\""}},
      {R"({"type":"string","pattern":"^[a-c]+\\d?$"})",
       {"\"abc\"", "\"a1\""},
       {"\"\"", "\"1\"", "\"abd\"", "\"a12\""}},
      {R"({"type":"string","pattern":"b\"?"})", {"\"abc\"", "\"b\\\"\""}, {"\"a\""}},
      {R"({"type":"string","pattern":"^a","maxLength":2})", {"\"a\"", "\"ab\""}, {"\"ba\"", "\"abc\""}},
      {R"({"type":"string","format":"date"})", {"\"2024-02-29\""}, {"\"2023-02-29\"", "\"2024-13-01\""}},
      {R"({"type":"string","format":"ipv6"})",
       {"\"::1\"", "\"2001:db8::8a2e:370:7334\"", "\"::ffff:1.2.3.4\""},
       {"\"1::2::3\"", "\"12345::\""}},
      {R"({"enum":["red","blue",1,null,[1,{"a":2}]]})",
       {"\"red\"", "1", "null", "[1,{\"a\":2}]"},
       {"\"green\"", "2", "[1,{\"a\":3}]", "[1]"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],
           "additionalProperties":false})",
       {"{\"a\":1}", "{\"b\":\"x\",\"a\":1}", "{ \"a\": 1, \"b\": \"\" }", "{\n  \"a\": 1\n}"},
       {"{}", "{\"b\":\"x\"}", "{\"a\":\"1\"}", "{\"a\":1,\"c\":2}", "{\"a\":1,\"a\":2}"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})",
       {"{\"a\":1,\"ab\":true}", "{\"\":false}", "{}"},
       {"{\"a\":true}", "{\"b\":1}", "{\"\\u0061\":true}"}},
      {R"({"type":"object","patternProperties":{"^x":{"type":"integer"},"y$":{"minimum":5}},"additionalProperties":false})",
       {"{\"x\":1}", "{\"xy\":5}", "{\"y\":\"free\"}"},
       {"{\"xy\":4}", "{\"z\":1}", "{\"x\":\"s\"}"}},
      {R"({"type":"object","propertyNames":{"pattern":"^[a-z]+$"},"minProperties":1,"maxProperties":2})",
       {"{\"a\":1}", "{\"a\":1,\"b\":2}"},
       {"{}", "{\"A\":1}", "{\"a\":1,\"b\":2,\"c\":3}"}},
      {R"({"type":"object","properties":{"a":true,"b":true,"c":true},"dependentRequired":{"a":["b"]},"maxProperties":10})",
       {},
       {}},
      {R"({"type":"object","properties":{"a":true,"b":true},"dependentRequired":{"a":["b"]}})",
       {"{\"b\":1}", "{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", "{}"},
       {"{\"a\":1}"}},
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[1,2,3]", "[ 1, 2 ]"},
       {"[]", "[1,2,3,4]", "[\"1\"]"}},
      {R"({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})",
       {"[]", "[\"a\"]", "[\"a\",1]"},
       {"[1]", "[\"a\",1,2]"}},
      {R"({"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}],"additionalItems":{"type":"null"}})",
       {"[\"a\",null,null]", "3"},
       {"[1]", "[\"a\",1]"}},
      {R"({"anyOf":[{"type":"string"},{"type":"integer","minimum":3}]})", {"\"x\"", "3"}, {"2", "null"}},
      {R"({"allOf":[{"properties":{"a":{"minimum":2}}},{"properties":{"a":{"maximum":4}}}],"type":"object","required":["a"]})",
       {"{\"a\":3}", "{\"a\":\"no number\"}"},
       {"{\"a\":1}", "{\"a\":5}", "{}"}},
      {R"({"oneOf":[{"type":"integer","multipleOf":3},{"type":"integer","minimum":10}]})",
       {"9", "6"},
       {"12", "8"}},
      {R"({"oneOf":[{"required":["a"]},{"required":["b"]}],"type":"object"})",
       {"{\"a\":1}", "{\"b\":1,\"c\":0}"},
       {"{}", "{\"a\":1,\"b\":1}"}},
      {R"({"type":"object","properties":{"k":{"enum":["x","y"]}},"if":{"properties":{"k":{"const":"x"}},"required":["k"]},
           "then":{"required":["n"]}})",
       {"{\"k\":\"y\"}", "{\"k\":\"x\",\"n\":1}", "{}"},
       {"{\"k\":\"x\"}"}},
      {R"({"type":"string","not":{"enum":["a","bb"]}})", {"\"b\"", "\"aa\"", "\"\""}, {"\"a\"", "\"bb\""}},
      {R"({"$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array",
           "items":{"$ref":"#/$defs/tree"}}},"required":["v"],"additionalProperties":false}},"$ref":"#/$defs/tree"})",
       {"{\"v\":1}", "{\"v\":1,\"kids\":[{\"v\":2,\"kids\":[]}]}"},
       {"{\"kids\":[]}", "{\"v\":1,\"kids\":[{}]}"}},
      {R"({"type":["string","null"]})", {"null", "\"\""}, {"1"}},
      {R"({"type":"integer","minimum":10,"maximum":10})", {"10"}, {"1", "100"}},
  };
  for (const auto& [schema, yes, no] : cases) {
    if (yes.empty()) {
      EXPECT_FALSE(Grammar::json_schema(schema, small_vocabulary())) << schema;
      continue;
    }
    const auto grammar = compiled(schema);
    ASSERT_NE(grammar, nullptr) << schema;
    for (const char* text : yes) EXPECT_TRUE(accepts(grammar, text)) << schema << "\n" << text;
    for (const char* text : no) EXPECT_FALSE(accepts(grammar, text)) << schema << "\n" << text;
  }
}

TEST(Grammar, MasksAreWhatTheAutomatonSays) {
  const auto vocabulary = small_vocabulary();
  const char* schemas[] = {
      "true",
      R"({"type":"object","properties":{"name":{"type":"string","maxLength":5},"ab":{"type":"integer"}},"required":["name"]})",
      R"({"type":"object","properties":{"a":{"enum":["red","blue"]}},"additionalProperties":{"type":"number"}})",
      R"({"type":"array","items":{"anyOf":[{"type":"integer","maximum":12},{"const":"red"},{"type":"array"}]}})",
      R"({"type":"object","properties":{"é":{"type":"null"},"a\"b":{"type":"boolean"}},"additionalProperties":true})",
      R"({"type":"string","pattern":"^(ab|aaaa)*é?$"})",
  };
  Rng rng(3);
  for (const char* schema : schemas) {
    for (const bool ordered : {false, true}) {
      const auto grammar = *Grammar::json_schema(schema, vocabulary, {.ordered = ordered});
      for (int walk = 0; walk < 60; ++walk) {
        GrammarState state(grammar);
        for (int step = 0; step < 40; ++step) {
          std::vector<uint64_t> mask;
          state.mask(mask);
          std::vector<text::TokenId> allowed;
          for (size_t id = 0; id < vocabulary->size(); ++id) {
            const bool in_mask = (mask[id / 64] >> (id % 64) & 1) != 0;
            GrammarState copy = state;
            const auto token = static_cast<text::TokenId>(id);
            const bool end = vocabulary->is_end(token);
            ASSERT_EQ(in_mask, end ? state.may_end() : copy.accept(token)) << schema << " token " << id;
            if (in_mask && !end) allowed.push_back(token);
          }
          ASSERT_TRUE(!allowed.empty() || state.may_end()) << schema;
          ASSERT_EQ(allowed.empty(), state.must_end());
          if (allowed.empty()) break;
          ASSERT_TRUE(state.accept(allowed[rng.below(allowed.size())]));
        }
      }
    }
  }
}

TEST(Grammar, OrderedObjectsFollowTheSchema) {
  const auto grammar =
      compiled(R"({"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"integer"},
      "c":{"type":"integer"}},"required":["a"]})",
               {.ordered = true});
  for (const char* text : {"{\"b\":1,\"a\":2,\"c\":3}", "{\"a\":2}", "{\"a\":2,\"other\":[]}"}) {
    EXPECT_TRUE(accepts(grammar, text)) << text;
  }
  for (const char* text : {"{\"a\":2,\"b\":1}", "{\"c\":3}", "{\"other\":1,\"a\":2}", "{\"b\":1,\"c\":2}"}) {
    EXPECT_FALSE(accepts(grammar, text)) << text;
  }
}

TEST(Grammar, NamesWhatItDoesNotDo) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"contains":{"type":"integer"}})", "contains"},
      {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
      {R"({"pattern":"(?=a)b"})", "look-around"},
      {R"({"pattern":"(a)\\1"})", "back reference"},
      {R"({"type":"string","format":"iri"})", "iri"},
      {R"({"$ref":"http://example.com/other"})", "http://example.com/other"},
      {R"({"type":"thing"})", "thing"},
      {R"({"type":"object","properties":[]})", "properties"},
      {R"({"minLength":-1})", "minLength"},
      {R"({"type":"integer","minimum":3,"maximum":2})", "nothing"},
      {R"({"$defs":{"a":{"type":"object","required":["x"],"properties":{"x":{"$ref":"#/$defs/a"}}}},"$ref":"#/$defs/a"})",
       "nothing"},
      {"{", "not JSON"},
  };
  for (const auto& [schema, word] : cases) {
    const auto found = Grammar::json_schema(schema, small_vocabulary());
    ASSERT_FALSE(found) << schema;
    EXPECT_NE(found.error().message.find(word), std::string::npos) << found.error().message;
  }
  EXPECT_FALSE(Grammar::json_schema(std::string(100000, '['), small_vocabulary()));
  const auto noted = compiled(R"({"type":"string","format":"topic","x-order":1,"title":"t"})");
  EXPECT_EQ(noted->notes().size(), 2U);
}

TEST(Grammar, PatternsAndChoices) {
  const auto vocabulary = small_vocabulary();
  const auto pattern = Grammar::pattern("[ab]{2,3}(-\\d+)?", vocabulary);
  ASSERT_TRUE(pattern);
  EXPECT_TRUE(accepts(*pattern, "ab"));
  EXPECT_TRUE(accepts(*pattern, "aba-12"));
  EXPECT_FALSE(accepts(*pattern, "a"));
  EXPECT_FALSE(accepts(*pattern, "ab-"));
  const std::vector<std::string> texts{"yes", "no", "yes please", "né"};
  const auto choices = Grammar::choices(texts, vocabulary);
  ASSERT_TRUE(choices);
  for (const auto& text : texts) EXPECT_TRUE(accepts(*choices, text));
  EXPECT_FALSE(accepts(*choices, "yes "));
  EXPECT_FALSE(Grammar::choices({}, vocabulary));
  GrammarState state(*choices);
  EXPECT_TRUE(state.accept_bytes("yes"));
  EXPECT_TRUE(state.may_end());
  EXPECT_FALSE(state.must_end());
}

TEST(Grammar, NumbersNearTheirBounds) {
  // Every text of up to five characters, against arithmetic.
  const std::string alphabet = "-.0123456789";
  struct Bounds {
    double least, most;
    bool above, below;
  };
  for (const auto& [least, most, above, below] :
       {Bounds{0.5, 1.25, false, true}, Bounds{-1.2, 3, true, false}, Bounds{-0.05, -0.01, false, false},
        Bounds{9.9, 10.1, true, true}}) {
    grammar::NumberSpec spec;
    spec.least = *grammar::Decimal::parse(fmt::format("{}", least));
    spec.most = *grammar::Decimal::parse(fmt::format("{}", most));
    spec.above = above;
    spec.below = below;
    std::vector<std::pair<std::string, grammar::NumberState>> level{{"", {}}};
    std::set<std::string> found;
    for (int length = 0; length < 5; ++length) {
      std::vector<std::pair<std::string, grammar::NumberState>> longer;
      for (const auto& [text, state] : level) {
        for (char c : alphabet) {
          if (const auto to = grammar::next(spec, state, c)) longer.emplace_back(text + c, *to);
        }
      }
      for (const auto& [text, state] : longer) {
        if (grammar::can_end(spec, state)) found.insert(text);
      }
      level = std::move(longer);
    }
    std::set<std::string> expected;
    for (int units = -99999; units <= 99999; ++units) {
      for (int places = 0; places <= 4; ++places) {
        const std::string text = places == 0 ? fmt::format("{}", units)
                                             : fmt::format("{:.{}f}", units / std::pow(10, places), places);
        const double x = std::stod(text);
        if (text.size() <= 5 && (above ? x > least : x >= least) && (below ? x < most : x <= most))
          expected.insert(text);
      }
    }
    for (const auto& text : expected)
      EXPECT_TRUE(found.contains(text)) << text << " in " << least << ", " << most;
    for (const auto& text : found) {
      const double x = std::stod(text);
      EXPECT_TRUE((above ? x > least : x >= least) && (below ? x < most : x <= most)) << text;
    }
  }
}

TEST(Grammar, PatternsLikeTheStandardLibrarys) {
  const char* patterns[] = {"^a(b|cd)*e?$", "[^a-c]x", "^\\w+\\s\\d{2}$", "a{2,}b{0,2}$",
                            "(^|,)z",       "^$",      "x|^y$",           "\\."};
  Rng rng(5);
  for (const char* pattern : patterns) {
    const auto dfa = grammar::pattern_dfa(pattern);
    ASSERT_TRUE(dfa) << dfa.error().message;
    const std::regex reference(pattern, std::regex::ECMAScript);
    for (int i = 0; i < 2000; ++i) {
      std::string text;
      for (uint64_t n = rng.below(7); n > 0; --n) text += "abcdexyz,.1 9"[rng.below(13)];
      EXPECT_EQ(dfa->matches(text), std::regex_search(text, reference)) << pattern << " on '" << text << "'";
    }
  }
}

/// The official test suite: nothing invalid may be accepted; what is refused is named.
TEST(Grammar, AcceptsNothingInvalidOfTheOfficialTests) {
  const std::filesystem::path root = BANTAM_SOURCE_DIR "/../shared/data/json-schema-test-suite/tests";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is not there";
  size_t groups = 0, compiled_groups = 0, valid = 0, valid_accepted = 0, invalid = 0;
  for (const char* draft : {"draft4", "draft6", "draft7", "draft2019-09", "draft2020-12"}) {
    for (const auto& entry : std::filesystem::directory_iterator(root / draft)) {
      if (entry.path().extension() != ".json") continue;
      const Json suite = Json::parse(*read_file(entry.path().string()));
      for (const auto& group : suite) {
        ++groups;
        Json schema = group["schema"];
        if (schema.is_object() && !schema.contains("$schema")) {
          schema["$schema"] = fmt::format("http://json-schema.org/{}/schema#", draft);
        }
        static const auto vocabulary = small_vocabulary();
        const auto grammar = Grammar::json_schema(schema.dump(), vocabulary, {.ordered = false});
        if (!grammar) continue;
        ++compiled_groups;
        for (const auto& test : group["tests"]) {
          const bool accepted = accepts(*grammar, test["data"].dump());
          if (test["valid"].get<bool>()) {
            ++valid;
            valid_accepted += accepted ? 1 : 0;
          } else {
            ++invalid;
            EXPECT_FALSE(accepted) << entry.path().filename() << ": " << group["description"] << ": "
                                   << test["description"] << "\n"
                                   << schema.dump() << "\n"
                                   << test["data"].dump();
          }
        }
      }
    }
  }
  fmt::print("{} of {} groups compiled; valid accepted {} of {}; invalid {}\n", compiled_groups, groups,
             valid_accepted, valid, invalid);
  EXPECT_GT(compiled_groups * 10, groups * 6);
}

}  // namespace
}  // namespace bantam::runtime
