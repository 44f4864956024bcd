// Calls: the global functions, macros, and loop(…) of recursive loops.

#include <algorithm>
#include <ctime>

#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {

Result<Value> Interpreter::call(const Value& function, const Call& call) {
  if (function.is(Kind::kLoop)) return call_loop(*function.loop, call);
  if (!function.is(Kind::kFunction)) {
    if (function.is(Kind::kUndefined) && function.text != nullptr)
      return fail(Code::kInvalidArgument, "found a call of \"{}\", which is undefined, expected a function",
                  function.text->bytes());
    return fail(Code::kInvalidArgument, "found a call of {}, expected a function", kind_name(function));
  }
  switch (function.function->kind) {
    case Function::Kind::kGlobal:
      return call_global(*function.function, call);
    case Function::Kind::kMethod:
      return call_method(*this, function.function->self, function.function->name, call);
    default:
      return call_macro(*function.function, call);
  }
}

Result<Value> Interpreter::call_global(const Function& function, const Call& call) {
  if (function.name == "range") return range(call);
  if (function.name == "namespace") return make_dict(call, true);
  if (function.name == "dict") return make_dict(call, false);
  if (function.name == "strftime_now") return strftime_now(call);
  // raise_exception
  const auto message = call.get(0, "message");
  BANTAM_ASSIGN(const TracedText text, to_text(message.value_or(Value()), heap_));
  raised_ = true;
  return fail(Code::kInvalidArgument, "the template refuses: {}", text.bytes());
}

Result<Value> Interpreter::call_macro(const Function& function, const Call& call) {
  const Stmt& macro = *function.macro;
  if (call.positional.size() > macro.parameters.size())
    return fail(Code::kInvalidArgument, "{}: found {} arguments, expected at most {}", function.name,
                call.positional.size(), macro.parameters.size());
  for (const auto& [name, value] : call.named) {
    const bool known =
        std::ranges::any_of(macro.parameters, [&](const Argument& p) { return p.name == name; });
    if (!known && name != "caller")
      return fail(Code::kInvalidArgument, "{}: found an argument \"{}\", expected one that the macro has",
                  function.name, name);
  }
  BANTAM_ASSIGN(TracedText text, capture(macro.branches[0].body, function.scope, [&](Scope& inner) -> Status {
                  if (auto caller = call.get(SIZE_MAX, "caller")) inner.set("caller", *caller);
                  for (size_t i = 0; i < macro.parameters.size(); ++i) {
                    const auto& parameter = macro.parameters[i];
                    Value value = heap_.undefined(parameter.name);
                    if (auto given = call.get(i, parameter.name)) {
                      value = *given;
                    } else if (parameter.value != nullptr) {
                      Scope* const outer =
                          std::exchange(scope_, &inner);  // a default may name earlier parameters
                      auto fallback = eval(*parameter.value);
                      scope_ = outer;
                      if (!fallback) return std::unexpected(std::move(fallback).error());
                      value = *fallback;
                    }
                    inner.set(parameter.name, value);
                  }
                  return {};
                }));
  return heap_.text(std::move(text));
}

Result<Value> Interpreter::call_loop(const Loop& loop, const Call& call) {
  if (loop.recursive == nullptr || call.positional.size() != 1)
    return fail(Code::kInvalidArgument,
                "loop(): found a loop that is not recursive or not one argument, expected both");
  TracedText text;
  TracedText* const outer_out = std::exchange(out_, &text);
  Scope* const outer = std::exchange(scope_, loop.scope);
  auto status = run_for(*loop.recursive, call.positional[0], loop.depth + 1);
  out_ = outer_out;
  scope_ = outer;
  BANTAM_TRY(std::move(status));
  return heap_.text(std::move(text));
}

Result<Value> Interpreter::strftime_now(const Call& call) {
  BANTAM_ASSIGN(const auto* format, text_argument(call, 0, "format", "strftime_now"));
  constexpr size_t kLongest = 256;
  if (format->size() > kLongest)
    return fail(Code::kLimit, "strftime_now: found a format of {} bytes, expected at most {}", format->size(),
                kLongest);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now_);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[8 * kLongest];
  const size_t written = std::strftime(text, sizeof text, format->bytes().c_str(), &local);
  return heap_.text(std::string_view(text, written));
}

Result<Value> Interpreter::range(const Call& call) {
  int64_t bounds[3] = {0, 0, 1};
  const size_t given = call.positional.size();
  if (given < 1 || given > 3)
    return fail(Code::kInvalidArgument, "range: found {} arguments, expected 1 to 3", given);
  for (size_t i = 0; i < given; ++i) {
    BANTAM_ASSIGN(bounds[given == 1 ? 1 : i], int_argument(call, i, "", 0, "range"));
  }
  const auto [from, to, step] = bounds;
  if (step == 0) return fail(Code::kInvalidArgument, "range: found a step of 0, expected another");
  constexpr uint64_t kMost = 100'000;  // as Jinja2's sandbox
  // Unsigned: the distance between two int64 fits, and so does the step's size.
  const bool up = step > 0;
  const uint64_t size = up ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  const bool any = up ? from < to : from > to;
  const uint64_t distance = up ? static_cast<uint64_t>(to) - static_cast<uint64_t>(from)
                               : static_cast<uint64_t>(from) - static_cast<uint64_t>(to);
  const uint64_t count = any ? (distance - 1) / size + 1 : 0;
  if (count > kMost) return fail(Code::kLimit, "range: found {} items, expected at most {}", count, kMost);
  List* list = heap_.list();
  for (uint64_t i = 0, value = static_cast<uint64_t>(from); i < count;
       ++i, value += static_cast<uint64_t>(step))
    list->items.push_back(Value::of(static_cast<int64_t>(value)));
  BANTAM_TRY(heap_.charge(list->items.size() * sizeof(Value)));
  return Value::of(list);
}

Result<Value> Interpreter::make_dict(const Call& call, bool name_space) {
  Dict* out = heap_.dict();
  out->name_space = name_space;
  if (!call.positional.empty()) {
    const Value& first = call.positional[0];
    if (!first.is(Kind::kDict))
      return fail(Code::kInvalidArgument, "found {}, expected a dict", kind_name(first));
    for (const auto& [key, value] : first.dict->items()) out->set(key, value);
  }
  for (const auto& [key, value] : call.named) out->set(heap_.text(key), value);
  BANTAM_TRY(heap_.charge(out->items().size() * 2 * sizeof(Value)));
  return Value::of(out);
}

}  // namespace bantam::text::jinja
