// "value is test".

#include <algorithm>

#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {
namespace {

using Kinds = bool (*)(const Value&);

struct KindTest {
  std::string_view name;
  Kinds holds;
};

constexpr KindTest kKindTests[] = {
    {"defined", [](const Value& v) { return !v.is(Kind::kUndefined); }},
    {"undefined", [](const Value& v) { return v.is(Kind::kUndefined); }},
    {"none", [](const Value& v) { return v.is(Kind::kNone); }},
    {"boolean", [](const Value& v) { return v.is(Kind::kBool); }},
    {"true", [](const Value& v) { return v.is(Kind::kBool) && v.boolean; }},
    {"false", [](const Value& v) { return v.is(Kind::kBool) && !v.boolean; }},
    {"integer", [](const Value& v) { return v.is(Kind::kInt); }},
    {"float", [](const Value& v) { return v.is(Kind::kFloat); }},
    {"number", [](const Value& v) { return v.is_number(); }},
    {"string", [](const Value& v) { return v.is(Kind::kText); }},
    {"mapping", [](const Value& v) { return v.is(Kind::kDict) && !v.dict->name_space; }},
    {"iterable",
     [](const Value& v) {
       return v.is(Kind::kList) || v.is(Kind::kText) || v.is(Kind::kDict) || v.is(Kind::kUndefined);
     }},
    {"sequence",
     [](const Value& v) {
       return v.is(Kind::kList) || v.is(Kind::kText) || v.is(Kind::kDict) || v.is(Kind::kUndefined);
     }},
    {"callable", [](const Value& v) { return v.is(Kind::kFunction); }},
    {"escaped", [](const Value&) { return false; }},
};

struct Operator {
  std::string_view name, op;
};
constexpr Operator kOperators[] = {{"eq", "=="}, {"equalto", "=="}, {"==", "=="},      {"ne", "!="},
                                   {"!=", "!="}, {"lt", "<"},       {"lessthan", "<"}, {"<", "<"},
                                   {"le", "<="}, {"<=", "<="},      {"gt", ">"},       {"greaterthan", ">"},
                                   {">", ">"},   {"ge", ">="},      {">=", ">="}};

bool same_object(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  if (a.is(Kind::kList)) return a.list == b.list;
  if (a.is(Kind::kDict)) return a.dict == b.dict;
  return equal(a, b);
}

}  // namespace

Result<bool> Interpreter::test(std::string_view name, const Value& value, const Call& call) {
  BANTAM_TRY(heap_.step());
  if (const auto* found = std::ranges::find(kKindTests, name, &KindTest::name); found != std::end(kKindTests))
    return found->holds(value);
  if (name == "lower" || name == "upper")
    return value.is(Kind::kText) && cased(*value.text, name).bytes() == value.text->bytes() &&
           cased(*value.text, name == "lower" ? "upper" : "lower").bytes() != value.text->bytes();
  if (name == "odd" || name == "even" || name == "divisibleby") {
    if (!value.is(Kind::kInt) && !value.is(Kind::kBool))
      return fail(Code::kInvalidArgument, "{}: found {}, expected an integer", name, kind_name(value));
    BANTAM_ASSIGN(const int64_t by, int_argument(call, 0, "num", name == "divisibleby" ? 0 : 2, name));
    if (by == 0)
      return fail(Code::kInvalidArgument, "{}: found 0 to divide by, expected another number", name);
    const bool divides = by == -1 || value.as_int() % by == 0;
    return divides == (name != "odd");
  }
  if (name == "filter" || name == "test") return false;
  const auto other = call.get(0, "other");
  const auto* op = std::ranges::find(kOperators, name, &Operator::name);
  if (op == std::end(kOperators) && name != "in" && name != "sameas")
    return fail(Code::kUnsupported, "found the test \"{}\", expected one of Jinja's", name);
  if (!other) return fail(Code::kInvalidArgument, "{}: found no argument, expected one", name);
  if (name == "in") return contains(*other, value, heap_);
  if (name == "sameas") return same_object(value, *other);
  if (op->op == "==") return equal(value, *other);
  if (op->op == "!=") return !equal(value, *other);
  BANTAM_ASSIGN(const int order, compare(value, *other));
  return op->op == "<" ? order < 0 : op->op == "<=" ? order <= 0 : op->op == ">" ? order > 0 : order >= 0;
}

}  // namespace bantam::text::jinja
