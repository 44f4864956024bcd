#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {
namespace {

using testing::HasSubstr;

struct Outcome {
  std::string text, error;
  Code code = Code::kInternal;
};

Outcome run(std::string_view source, const Limits& limits = {}) {
  auto program = parse(source);
  if (!program) return {{}, program.error().message, program.error().code};
  Heap heap(limits);
  Scope globals;
  for (const char* name : {"range", "namespace", "dict", "raise_exception", "strftime_now"})
    globals.set(name, Value::of(heap.function({Function::Kind::kGlobal, name, {}, nullptr, nullptr})));
  const auto data =
      nlohmann::ordered_json::parse(R"({"list":[3,1,2],"dict":{"b":1,"a":"x"},"text":"Hä, 你!","none":null,
    "people":[{"name":"Ann","age":3,"in":{"x":1}},{"name":"bob","age":2},{"name":"Cid"}]})");
  for (const auto& [name, json] : data.items())
    globals.set(heap.text(name).text->bytes(), from_json(json, heap, kFromData).value());
  Interpreter interpreter(heap, std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000)));
  auto out = interpreter.run(*program, globals);
  if (!out) return {{}, out.error().message, out.error().code};
  return {out->bytes(), {}, Code::kInternal};
}

std::string text_of(std::string_view source) {
  auto out = run(source);
  return out.error.empty() ? out.text : "error: " + out.error;
}

// The expected texts are those of Jinja2 3.1.6 with trim_blocks and lstrip_blocks.
struct Case {
  std::string_view source, expected;
};

void check(std::initializer_list<Case> cases) {
  for (const auto& c : cases) EXPECT_EQ(text_of(c.source), c.expected) << c.source;
}

TEST(Jinja, WhiteSpace) {
  check({{"a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"},
         {"a  {% if true %}  b{% endif %}", "a    b"},
         {"a \n {%- if true -%} \n b {{- 1 }} \n {{ 2 -}} \n c{% endif %}", "ab1 \n 2c"},
         {"  {%+ if true %}x{% endif +%}\ny", "  x\ny"},
         {"a {# b #}\nc {#- d -#} e", "a ce"},
         {"{% raw %}{{ x }}{% endraw %}!", "{{ x }}!"},
         {"a\r\nb\r\n\r\n", "a\nb\n"},
         {"{{ {'a': {'b': 1}}.a.b }}", "1"}});
}

TEST(Jinja, Expressions) {
  check({{"{{ 1 + 2 * 3 ** 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 1.0 * 3 }}",
          "19 3 -4 2 3.5 3.0"},
         {"{{ 'a' ~ 1 ~ none ~ true }} {{ 'ab' * 2 }} {{ [1] + [2] }}", "a1NoneTrue abab [1, 2]"},
         {"{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ not 1 == 2 }} {{ 2 not in list }} {{ 'ä' in text }}",
          "True False True False True"},
         {"{{ 'y' if none else 'n' }}{{ 'z' if none }}{{ 0 or 'b' }}{{ 1 and 'c' }}", "nbc"},
         {"{{ list[0] }}{{ list[-1] }}{{ list[1:] }}{{ list[::-1] }}{{ list[:-1] }}{{ list[5:] }}",
          "32[1, 2][2, 1, 3][3, 1][]"},
         {"{{ text[1] }}{{ text[-2] }}{{ text[4:5] }}{{ text[::-1] }}{{ text|length }}", "ä你你!你 ,äH6"},
         {"{{ dict.a }}{{ dict['b'] }}{{ dict.c }}{{ dict.get('c', 5) }}{{ dict.items() | list }}",
          "x15[('b', 1), ('a', 'x')]"},
         {"{{ (1,) }}{{ () }}{{ {'a': [none, 1.5]} }}{{ 'it\\'s' | list | length }}{{ [\"it's\"] }}",
          "(1,)(){'a': [None, 1.5]}4[\"it's\"]"},
         {"{{ 1e100 }} {{ 1e-7 }} {{ 0.1 }} {{ 1e15 }} {{ 123456789012345680.0 }}",
          "1e+100 1e-07 0.1 1000000000000000.0 1.2345678901234568e+17"},
         {"{{ '%s is %05.1f%%' % ('x', 3.14159) }} {{ '%d' % 7 }} {{ '{} {0}{a}'.format('u', a=2) }}",
          "x is 003.1% 7 u u2"},
         {"{{ undefined_name }}{{ undefined_name is defined }}{{ undefined_name | default('d') }}", "Falsed"},
         {"{{ 'a\\u00e4\\n\\x41' 'b' }}", "a\u00e4\nAb"}});
}

TEST(Jinja, Statements) {
  check(
      {{"{% for x in list %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}",
        "13,21,32"},
       {"{% for x in [] %}x{% else %}none{% endfor %}{% for k, v in dict.items() %}{{ k }}{{ v }}{% endfor "
        "%}",
        "noneb1ax"},
       {"{% for x in list if x > 1 %}{{ loop.length }}{{ loop.previtem }}{{ x }}{% endfor %}", "23232"},
       {"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% elif x == 3 %}{% break %}{% endif %}{{ x "
        "}}{% endfor %}",
        "02"},
       {"{% set x = 1 %}{% for y in list %}{% set x = 2 %}{% endfor %}{{ x }}{% if 1 %}{% set x = 3 %}{% "
        "endif %}{{ x }}",
        "13"},
       {"{% set n = namespace(a=1) %}{% for y in list %}{% set n.a = n.a + y %}{% endfor %}{{ n.a }}", "7"},
       {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c %}<{{ a }}>{% endset %}{{ c }}{{ c|length }}", "12<1>3"},
       {"{% macro m(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{{ m('q')|upper }}",
        "1x12QX"},
       {"{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", "3210"},
       {"{% macro m() %}<{{ caller('z') }}>{% endmacro %}{% call(x) m() %}{{ x }}!{% endcall %}", "<z!>"},
       {"{% filter upper | trim %} abc {% endfilter %}{% generation %}g{% endgeneration %}", "ABCg"},
       {"{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "12"},
       {"{% for x in [[1, [2]], [3]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% "
        "endif %}{% endfor %}",
        "(1(2))(3)"},
       {"{{ strftime_now('%Y') }}", "2023"}});
}

TEST(Jinja, FiltersAndTests) {
  check(
      {{"{{ list | sort | join('-') }}{{ list | max }}{{ list | sum }}{{ list | first }}{{ list | last }}",
        "1-2-33632"},
       {"{{ people | map(attribute='name') | join(',') }} {{ people | selectattr('age') | list | length }}",
        "Ann,bob,Cid 2"},
       {"{{ people | selectattr('age', 'defined') | map(attribute='age') | list }}", "[3, 2]"},
       {"{{ people | rejectattr('name', 'equalto', 'Ann') | map(attribute='name') | list }}",
        "['bob', 'Cid']"},
       {"{{ people | sort(attribute='name', reverse=true) | map(attribute='name') | join }}", "CidbobAnn"},
       {"{{ list | select('odd') | list }}{{ list | reject('>', 1) | list }}{{ list | map('string') | join "
        "}}",
        "[3, 1][1]312"},
       {"{{ dict | tojson }}{{ dict | tojson(indent=2) }}{{ 'ä\"\\n<' | tojson }}{{ {} | tojson }}",
        "{\"b\": 1, \"a\": \"x\"}{\n  \"b\": 1,\n  \"a\": \"x\"\n}\"ä\\\"\\n<\"{}"},
       {"{{ dict | tojson(separators=(',', ':'), sort_keys=true) }}{{ dict | dictsort }}",
        "{\"a\":\"x\",\"b\":1}[('a', 'x'), ('b', 1)]"},
       {"{{ 'a\nb' | indent(2) }}|{{ 'a\n\nb' | indent(1, true) }}", "a\n  b| a\n\n b"},
       {"{{ ' x ' | trim }}{{ 'aXb' | title }}{{ 'äb' | capitalize }}{{ 'a-b' | replace('-', '+') }}",
        "xAxbÄba+b"},
       {"{{ '3' | int + 1 }}{{ 'x' | int(7) }}{{ '1.5' | float }}{{ 2.567 | round(1) }}{{ -3 | abs }}",
        "471.52.63"},
       {"{{ 1 is number }}{{ 1.0 is integer }}{{ dict is mapping }}{{ 'a' is string }}{{ none is none }}{{ 4 "
        "is divisibleby 2 }}",
        "TrueFalseTrueTrueTrueTrue"},
       {"{{ 'a' is in ['a'] }}{{ 2 is eq 2 }}{{ list is sequence }}{{ 1 is not defined }}{{ true is true }}",
        "TrueTrueTrueFalseTrue"},
       {"{{ [1, 1, 2] | unique | list }}{{ 'abc' | reverse }}{{ 'a b  c' | wordcount }}", "[1, 2]cba3"}});
}

TEST(Jinja, Methods) {
  check({{"{{ 'a,b,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', "
          "1)[0] }}",
          "['a', 'b', 'c']['a', 'b']['a', 'b,c']a,b"},
         {"{{ 'xxaxx'.strip('x') }}{{ ' a'.lstrip() }}{{ 'a\n'.rstrip('\n') }}{{ 'abc'.startswith('ab') }}{{ "
          "'abc'.endswith(('x', 'c')) }}",
          "aaaTrueTrue"},
         {"{{ 'a'.upper() }}{{ 'abcabc'.find('c') }}{{ 'abcabc'.count('c') }}{{ 'x'.join(['1', '2']) }}{{ "
          "'12'.isdigit() }}",
          "A221x2True"},
         {"{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{{ l.pop() }}{{ l.index(1) }}{{ "
          "'a\nb'.splitlines() }}",
          "[1, 2]20['a', 'b']"},
         {"{{ dict.keys() | list }}{{ dict.values() | list }}{{ 'a=b'.partition('=') }}{{ "
          "'pre-x'.removeprefix('pre-') }}",
          "['b', 'a'][1, 'x']('a', '=', 'b')x"}});
}

TEST(Jinja, ErrorsNameTheLine) {
  for (auto [source, line, part] : std::initializer_list<std::tuple<const char*, const char*, const char*>>{
           {"\n{{ 1 +", "line 2", "a tag without end"},
           {"{{ 1 + }}", "line 1", "expected an expression"},
           {"\n\n{% for x %}{% endfor %}", "line 3", "expected in"},
           {"{{ 'a' + 1 }}", "line 1", "found str + int"},
           {"{% for x in 3 %}{% endfor %}", "line 1", "found int to go through"},
           {"{{ 1 / 0 }}", "line 1", "division by zero"},
           {"\n{{ x | nosuch }}", "line 2", "the filter \"nosuch\""},
           {"{{ x is nosuch }}", "line 1", "the test \"nosuch\""},
           {"{{ nothing() }}", "line 1", "which is undefined"},
           {"{% block x %}", "line 1", "the statement \"block\""},
           {"{{ raise_exception('no ' ~ 1) }}", "line 1", "the template refuses: no 1"},
           {"{{ (1] }}", "line 1", "found \"]\""},
           {"{{ 9223372036854775807 + 1 }}", "line 1", "below 2^63"},
           {"{{ '%d' % 'x' }}", "line 1", "expected a number"}}) {
    auto out = run(source);
    EXPECT_THAT(out.error, HasSubstr(line)) << source;
    EXPECT_THAT(out.error, HasSubstr(part)) << source;
  }
}

TEST(Jinja, LimitsHold) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "(";
  EXPECT_EQ(run("{{ " + deep + std::string(deep.size(), ')') + " }}").code, Code::kLimit);
  std::string nested;
  for (int i = 0; i < 10'000; ++i) nested += "{% if 1 %}";
  EXPECT_EQ(run(nested).code, Code::kLimit);
  std::string chain = "{{ 1";
  for (int i = 0; i < 10'000; ++i) chain += "+1";
  EXPECT_EQ(run(chain + " }}").code, Code::kLimit);
  EXPECT_EQ(run("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").code, Code::kLimit);
  EXPECT_EQ(run("{{ 'a' * 9000000000 }}").code, Code::kLimit);
  EXPECT_EQ(run("{{ [1] * 9223372036854775807 }}").code, Code::kLimit);
  EXPECT_EQ(run("{{ range(100000000) }}").code, Code::kLimit);
  EXPECT_EQ(run("{% set n = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(99) %}{% set n.x = n.x + n.x "
                "%}{% endfor %}")
                .code,
            Code::kLimit);
  EXPECT_EQ(run("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}").code,
            Code::kLimit);
  // Nesting that no tree shows: lists put into each other, and into themselves.
  EXPECT_EQ(
      run("{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}")
          .code,
      Code::kLimit);
  EXPECT_EQ(run("{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}").code, Code::kLimit);
  EXPECT_EQ(
      run("{% set l = [] %}{% set _ = l.append(l) %}{% set m = [] %}{% set _ = m.append(m) %}{{ l == m }}")
          .text,
      "False");
  // Arithmetic at the ends of the range wraps nowhere.
  EXPECT_EQ(run("{{ -(-9223372036854775807 - 1) }}").code, Code::kLimit);
  EXPECT_EQ(run("{{ range(9223372036854775800, 9223372036854775807, 5) | length }}").text, "2");
  EXPECT_EQ(run("{{ 'aaa'.replace('a', 'b', -9223372036854775807 - 1) }}{{ 'a,b'.split(',', "
                "-9223372036854775807 - 1) | length }}")
                .text,
            "bbb2");
  EXPECT_EQ(run("{{ '%d' % ('nan' | float) }}").code, Code::kInvalidArgument);
  EXPECT_EQ(run("{{ -9223372036854775807 - 1 }}{{ (-9223372036854775807 - 1) // -1 }}").error.empty(), true);
}

TEST(Jinja, TextsKnowTheirSource) {
  auto program = parse(
      "<{{ text | upper }}>{{ text[1:3] ~ '|' }}{{ text.split(' ') | join('+') }}{{ [text] | tojson }}");
  Heap heap({});
  Scope globals;
  globals.set("text", heap.text("ab cd", kFirstMessage));
  Interpreter interpreter(heap, {});
  auto out = interpreter.run(*program, globals);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->bytes(), "<AB CD>b |ab+cd[\"ab cd\"]");
  std::string marked;
  size_t begin = 0;
  for (const auto& run : out->runs()) {
    std::string part = out->bytes().substr(begin, run.length);
    begin += run.length;
    marked += run.source == kFirstMessage ? "{" + part + "}" : part;
  }
  EXPECT_EQ(marked, "<{AB CD}>{b }|{ab}+{cd}[\"{ab cd}\"]");
}

}  // namespace
}  // namespace bantam::text::jinja
