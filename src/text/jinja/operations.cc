// Operators, attributes, indices and slices.

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "base/utf8.h"
#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {
namespace {

std::unexpected<Error> undefined_use(const Value& value) {
  return fail(Code::kInvalidArgument, "found \"{}\", which is undefined, expected a value",
              value.text != nullptr ? value.text->bytes() : "?");
}

Result<Value> integers(std::string_view op, int64_t a, int64_t b) {
  std::optional<int64_t> out;
  if (op == "+") out = checked_add(a, b);
  if (op == "*") out = checked_mul(a, b);
  if (op == "-") {
    int64_t difference;
    if (!__builtin_sub_overflow(a, b, &difference)) out = difference;
  }
  if (op == "//" || op == "%") {
    if (b == 0) return fail(Code::kInvalidArgument, "found a division by zero");
    if (b == -1) return Value::of(op == "%" ? int64_t{0} : (a == INT64_MIN ? a : -a));
    const int64_t rest = a % b, shift = rest != 0 && (rest < 0) != (b < 0) ? 1 : 0;  // Python rounds down
    return Value::of(op == "%" ? rest + shift * b : a / b - shift);
  }
  if (op == "**") {
    out = 1;
    if (b < 0) return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
    if (b > 64 && a != 0 && a != 1 && a != -1) out = std::nullopt;
    for (int64_t i = 0; i < (b > 64 ? 64 + b % 2 : b) && out; ++i) out = checked_mul(*out, a);
  }
  if (!out) return fail(Code::kLimit, "found {} {} {}, expected a result below 2^63", a, op, b);
  return Value::of(*out);
}

Result<Value> reals(std::string_view op, double a, double b) {
  if (b == 0 && (op == "/" || op == "//" || op == "%"))
    return fail(Code::kInvalidArgument, "found a division by zero");
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "/") return Value::of(a / b);
  if (op == "//") return Value::of(std::floor(a / b));
  if (op == "**") return Value::of(std::pow(a, b));
  return Value::of(a - b * std::floor(a / b));  // %
}

Result<Value> joined(const Value& a, const Value& b, Heap& heap) {
  BANTAM_ASSIGN(TracedText text, to_text(a, heap));
  BANTAM_ASSIGN(const TracedText more, to_text(b, heap));
  text.append(more);
  return heap.text(std::move(text));
}

Result<Value> repeated(const Value& value, int64_t times, Heap& heap) {
  const auto count = static_cast<uint64_t>(std::max<int64_t>(times, 0));
  const uint64_t size = value.is(Kind::kText) ? value.text->size() : value.list->items.size() * sizeof(Value);
  const auto total = checked_mul<uint64_t>(std::max<uint64_t>(size, 1), count);
  BANTAM_TRY(heap.charge(total.value_or(UINT64_MAX)));
  if (value.is(Kind::kText)) {
    TracedText out;
    for (uint64_t i = 0; i < count; ++i) out.append(*value.text);
    return heap.text(std::move(out));
  }
  List* out = heap.list({}, value.list->tuple);
  for (uint64_t i = 0; i < count; ++i)
    out->items.insert(out->items.end(), value.list->items.begin(), value.list->items.end());
  return Value::of(out);
}

bool prints_as_json(const Value& value) { return value.is(Kind::kDict) && value.dict->json != nullptr; }

/// The index that Python's a[i] means, where there is one.
std::optional<size_t> position(int64_t index, size_t size) {
  const auto n = static_cast<int64_t>(size);
  if (index < 0) index += n;
  if (index < 0 || index >= n) return std::nullopt;
  return static_cast<size_t>(index);
}

/// The positions of a slice, as Python's slice.indices().
Result<std::vector<size_t>> positions(size_t size, const Value& from, const Value& to, const Value& step) {
  auto bound = [](const Value& value, int64_t fallback) -> Result<int64_t> {
    if (value.is(Kind::kNone)) return fallback;
    if (value.is(Kind::kInt) || value.is(Kind::kBool)) return value.as_int();
    return fail(Code::kInvalidArgument, "found {} as a bound of a slice, expected an integer",
                kind_name(value));
  };
  const auto n = static_cast<int64_t>(size);
  BANTAM_ASSIGN(const int64_t by, bound(step, 1));
  if (by == 0) return fail(Code::kInvalidArgument, "found a slice of step 0, expected another");
  auto clamp = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + n : i, by > 0 ? 0 : -1, by > 0 ? n : n - 1);
  };
  BANTAM_ASSIGN(const int64_t first, bound(from, by > 0 ? 0 : n - 1));
  BANTAM_ASSIGN(const int64_t last, bound(to, by > 0 ? n : -1));
  const int64_t begin = from.is(Kind::kNone) ? first : clamp(first);
  const int64_t end = to.is(Kind::kNone) ? last : clamp(last);
  std::vector<size_t> out;
  for (int64_t i = begin; by > 0 ? i < end : i > end;) {
    out.push_back(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  return out;
}

}  // namespace

std::vector<size_t> characters(std::string_view bytes) {
  std::vector<size_t> out;
  out.reserve(bytes.size() + 1);
  for (size_t i = 0; i < bytes.size();) {
    out.push_back(i);
    i += static_cast<unsigned char>(bytes[i]) < 0x80
             ? 1
             : static_cast<size_t>(std::max(utf8_front(bytes.substr(i)).length, 1));
  }
  out.push_back(bytes.size());
  return out;
}

Result<Value> binary(std::string_view op, const Value& a, const Value& b, Heap& heap) {
  if (op == "~") return joined(a, b, heap);
  if (a.is(Kind::kUndefined)) return undefined_use(a);
  if (b.is(Kind::kUndefined)) return undefined_use(b);
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kFloat) || b.is(Kind::kFloat) || op == "/") return reals(op, a.as_real(), b.as_real());
    return integers(op, a.as_int(), b.as_int());
  }
  const bool texts = (a.is(Kind::kText) || prints_as_json(a)) && (b.is(Kind::kText) || prints_as_json(b));
  if (op == "+" && texts) return joined(a, b, heap);
  if (op == "+" && a.is(Kind::kList) && b.is(Kind::kList)) {
    List* out = heap.list(a.list->items, a.list->tuple);
    out->items.insert(out->items.end(), b.list->items.begin(), b.list->items.end());
    BANTAM_TRY(heap.charge(out->items.size() * sizeof(Value)));
    return Value::of(out);
  }
  auto sequence = [](const Value& v) { return v.is(Kind::kText) || v.is(Kind::kList); };
  if (op == "*" && sequence(a) && b.is(Kind::kInt)) return repeated(a, b.integer, heap);
  if (op == "*" && sequence(b) && a.is(Kind::kInt)) return repeated(b, a.integer, heap);
  if (op == "%" && a.is(Kind::kText)) {
    if (b.is(Kind::kList) && b.list->tuple) return percent_format(*a.text, b.list->items, heap);
    return percent_format(*a.text, {b}, heap);
  }
  return fail(Code::kInvalidArgument, "found {} {} {}, expected types that go together", kind_name(a), op,
              kind_name(b));
}

Result<bool> contains(const Value& container, const Value& item, Heap& heap) {
  switch (container.kind) {
    case Kind::kText:
      if (!item.is(Kind::kText))
        return fail(Code::kInvalidArgument, "found {} in a text, expected a text", kind_name(item));
      BANTAM_TRY(heap.charge(container.text->size()));
      return container.text->bytes().find(item.text->bytes()) != std::string::npos;
    case Kind::kList:
      BANTAM_TRY(heap.charge(container.list->items.size() * 8));
      return std::ranges::any_of(container.list->items, [&](const Value& v) { return equal(v, item); });
    case Kind::kDict:
      return container.dict->find(item) != nullptr;
    case Kind::kUndefined:
      return false;
    default:
      return fail(Code::kInvalidArgument, "found \"in\" before {}, expected a text, list or dict",
                  kind_name(container));
  }
}

Result<Value> loop_attribute(const Loop& loop, std::string_view name, Heap& heap) {
  const auto at = static_cast<int64_t>(loop.at);
  const int64_t size = loop.items != nullptr ? static_cast<int64_t>(loop.items->size()) : 0;
  if (name == "index") return Value::of(at + 1);
  if (name == "index0") return Value::of(at);
  if (name == "revindex") return Value::of(size - at);
  if (name == "revindex0") return Value::of(size - at - 1);
  if (name == "first") return Value::of(at == 0);
  if (name == "last") return Value::of(at + 1 == size);
  if (name == "length") return Value::of(size);
  if (name == "depth") return Value::of(static_cast<int64_t>(loop.depth));
  if (name == "depth0") return Value::of(static_cast<int64_t>(loop.depth) - 1);
  if (name == "previtem")
    return at > 0 && at <= size ? (*loop.items)[loop.at - 1] : heap.undefined("loop.previtem");
  if (name == "nextitem") return at + 1 < size ? (*loop.items)[loop.at + 1] : heap.undefined("loop.nextitem");
  return heap.undefined(fmt::format("loop.{}", name));
}

Result<Value> attribute(const Value& value, std::string_view name, Heap& heap) {
  if (value.is(Kind::kUndefined)) return undefined_use(value);
  if (has_method(value, name))
    return Value::of(heap.function({Function::Kind::kMethod, std::string(name), value, nullptr, nullptr}));
  if (value.is(Kind::kLoop)) return loop_attribute(*value.loop, name, heap);
  if (value.is(Kind::kDict)) {
    if (const Value* found = value.dict->find(name)) return *found;
  }
  if (value.is(Kind::kFunction) && name == "name") return heap.text(value.function->name);
  return heap.undefined(name);
}

Result<Value> item(const Value& value, const Value& index, Heap& heap) {
  if (value.is(Kind::kUndefined)) return undefined_use(value);
  if (value.is(Kind::kDict)) {
    if (const Value* found = value.dict->find(index)) return *found;
  } else if (index.is(Kind::kInt) && value.is(Kind::kList)) {
    if (auto at = position(index.integer, value.list->items.size())) return value.list->items[*at];
  } else if (index.is(Kind::kInt) && value.is(Kind::kText)) {
    BANTAM_TRY(heap.charge(value.text->size()));
    const auto places = characters(value.text->bytes());
    if (auto at = position(index.integer, places.size() - 1))
      return heap.text(value.text->slice(places[*at], places[*at + 1]));
  }
  if (index.is(Kind::kText)) {
    if (value.is(Kind::kDict)) return heap.undefined(index.text->bytes());
    return attribute(value, index.text->bytes(), heap);
  }
  return heap.undefined(fmt::format("an item of {}", kind_name(value)));
}

Result<Value> slice(const Value& value, const Value& from, const Value& to, const Value& step, Heap& heap) {
  if (value.is(Kind::kUndefined)) return undefined_use(value);
  if (value.is(Kind::kList)) {
    BANTAM_TRY(heap.charge(value.list->items.size() * sizeof(Value)));
    BANTAM_ASSIGN(const auto places, positions(value.list->items.size(), from, to, step));
    List* out = heap.list({}, value.list->tuple);
    for (size_t at : places) out->items.push_back(value.list->items[at]);
    return Value::of(out);
  }
  if (value.is(Kind::kText)) {
    BANTAM_TRY(heap.charge(2 * value.text->size()));
    const auto chars = characters(value.text->bytes());
    BANTAM_ASSIGN(const auto places, positions(chars.size() - 1, from, to, step));
    if (places.empty()) return heap.text("");
    if (step.is(Kind::kNone))
      return heap.text(value.text->slice(chars[places.front()], chars[places.back() + 1]));
    TracedText out;
    for (size_t at : places)
      out.append(std::string_view(value.text->bytes()).substr(chars[at], chars[at + 1] - chars[at]),
                 value.text->source_at(chars[at]));
    BANTAM_TRY(heap.charge(places.size() * value.text->runs().size()));
    return heap.text(std::move(out));
  }
  return fail(Code::kInvalidArgument, "found a slice of {}, expected one of a text or list",
              kind_name(value));
}

Result<size_t> length(const Value& value, Heap& heap) {
  switch (value.kind) {
    case Kind::kText:
      BANTAM_TRY(heap.charge(value.text->size() / 8));
      return characters(value.text->bytes()).size() - 1;
    case Kind::kList:
      return value.list->items.size();
    case Kind::kDict:
      return value.dict->items().size();
    case Kind::kUndefined:
      return 0;
    default:
      return fail(Code::kInvalidArgument, "found {}, expected something that has a length", kind_name(value));
  }
}

Result<std::vector<Value>> items_of(const Value& value, Heap& heap) {
  switch (value.kind) {
    case Kind::kList:
      BANTAM_TRY(heap.charge(value.list->items.size() * sizeof(Value)));
      return value.list->items;
    case Kind::kDict: {
      std::vector<Value> out;
      for (const auto& [key, item] : value.dict->items()) out.push_back(key);
      BANTAM_TRY(heap.charge(out.size() * sizeof(Value)));
      return out;
    }
    case Kind::kText: {
      std::vector<Value> out;
      BANTAM_TRY(heap.charge(value.text->size() * (sizeof(TracedText) + value.text->runs().size())));
      const auto places = characters(value.text->bytes());
      for (size_t i = 0; i + 1 < places.size(); ++i)
        out.push_back(heap.text(value.text->slice(places[i], places[i + 1])));
      return out;
    }
    case Kind::kUndefined:
      return std::vector<Value>();
    default:
      return fail(Code::kInvalidArgument, "found {} to go through, expected a list, dict or text",
                  kind_name(value));
  }
}

}  // namespace bantam::text::jinja
