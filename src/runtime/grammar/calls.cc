#include "runtime/grammar/calls.h"

#include "runtime/grammar/regex.h"
#include "runtime/grammar/schema.h"

namespace bantam::runtime::grammar {
namespace {

/// A pattern that matches just this text.
std::string quoted(std::string_view text) {
  constexpr std::string_view kSpecial = R"(\^$.*+?()[]{}|/-)";
  std::string out;
  for (char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

class CallCompiler {
 public:
  CallCompiler(const CallRules& rules, Machine& machine, std::vector<std::string>& notes)
      : rules_(rules), machine_(machine), notes_(notes) {}

  Result<int> compile() {
    if (rules_.functions.empty())
      return fail(Code::kInvalidArgument, "tools: found none that may be called, expected at least one");
    for (const auto& function : rules_.functions) {
      auto value = compile_schema(function.arguments, machine_, notes_);
      if (!value) return std::unexpected(std::move(value).error().in(function.name));
      arguments_.push_back(*value);
    }
    after_ = machine_.add_value({});
    const auto& form = rules_.form;
    // The end, or another call: which of the two shows only where their texts differ.
    Value after;
    if (rules_.several && !form.between.empty()) after = calls(form.between);
    after.push_back(form.close.empty() ? machine_.sequence({}) : chain(form.close, -1));
    machine_.value(after_) = std::move(after);
    if (rules_.required) return machine_.add_value(calls(form.open));
    if (rules_.text_schema.empty()) return text_or_calls();
    BANTAM_ASSIGN(int text, compile_schema(rules_.text_schema, machine_, notes_));
    Value out = calls(form.open);
    const Value& answers = machine_.value(text);
    out.insert(out.end(), answers.begin(), answers.end());
    return machine_.add_value(std::move(out));
  }

 private:
  /// The values that spell a text; ids stand for nine letters or digits of any kind.
  void spell(std::string_view text, std::vector<int>& out) {
    while (!text.empty()) {
      const bool slot = text[0] == text::kIdSlot;
      const size_t n =
          std::min(slot ? text.find_first_not_of(text::kIdSlot) : text.find(text::kIdSlot), text.size());
      if (slot) {
        for (size_t i = 0; i < n; ++i) out.push_back(id_character());
      } else {
        out.push_back(machine_.add_value({machine_.literal(std::string(text.substr(0, n)))}));
      }
      text.remove_prefix(n);
    }
  }

  /// One byte of an id.
  int id_character() {
    if (id_character_ >= 0) return id_character_;
    Value out;
    for (char c = '0'; c <= 'z'; ++c) {
      const bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      if (good) out.push_back(machine_.literal(std::string(1, c)));
    }
    return id_character_ = machine_.add_value(std::move(out));
  }

  /// A text, then the value `last` (-1: nothing).
  int chain(const std::string& text, int last) {
    std::vector<int> values;
    spell(text, values);
    if (last >= 0) values.push_back(last);
    return machine_.sequence(std::move(values));
  }

  /// A call of each function and what may follow it, behind `lead`.
  Value calls(const std::string& lead) {
    Value out;
    for (size_t i = 0; i < arguments_.size(); ++i) {
      std::vector<int> values;
      spell(lead + rules_.functions[i].name + rules_.form.after_name, values);
      values.push_back(arguments_[i]);
      values.push_back(after_);
      out.push_back(machine_.sequence(std::move(values)));
    }
    return out;
  }

  Result<int> text_or_calls() {
    const auto& form = rules_.form;
    BANTAM_ASSIGN(CharDfa dfa, pattern_dfa((form.anywhere ? "" : "^") + quoted(form.marker)));
    const int text = machine_.add_value({machine_.until(std::move(dfa))});
    const std::string rest = form.open.substr(form.open.find(form.marker) + form.marker.size());
    const int call = machine_.add_value(calls(rest));
    return machine_.add_value({machine_.sequence({text, call})});
  }

  const CallRules& rules_;
  Machine& machine_;
  std::vector<std::string>& notes_;
  std::vector<int> arguments_;  // values, one for each function
  int after_ = -1;              // what may follow a call's arguments
  int id_character_ = -1;
};

}  // namespace

Result<int> compile_calls(const CallRules& rules, Machine& machine, std::vector<std::string>& notes) {
  return CallCompiler(rules, machine, notes).compile();
}

}  // namespace bantam::runtime::grammar
