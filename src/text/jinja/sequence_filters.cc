#include <algorithm>
#include <charconv>

#include "text/jinja/filters.h"

namespace bantam::text::jinja {
namespace {

/// value.a.b or value[0], as map(attribute=…) and others take it.
Result<Value> path_of(Heap& heap, Value value, const Value& path) {
  if (!path.is(Kind::kText)) return item(value, path, heap);
  std::string_view rest = path.text->bytes();
  while (!rest.empty()) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view name = rest.substr(0, dot);
    rest.remove_prefix(std::min(dot + 1, rest.size()));
    int64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool number = error == std::errc() && end == name.data() + name.size();
    BANTAM_ASSIGN(value, item(value, number ? Value::of(index) : heap.text(name), heap));
  }
  return value;
}

Result<Value> f_length(Interpreter& in, const Value& value, const Call&, std::string_view) {
  BANTAM_ASSIGN(const size_t size, length(value, in.heap()));
  return Value::of(static_cast<int64_t>(size));
}

Result<Value> f_default(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  const bool falsy_too = flag(call, 1, "boolean", false);
  if (value.is(Kind::kUndefined) || (falsy_too && !truthy(value)))
    return call.get(0, "default_value").value_or(in.heap().text(""));
  return value;
}

Result<Value> f_first_last(Interpreter& in, const Value& value, const Call&, std::string_view name) {
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  if (items.empty()) return in.heap().undefined(fmt::format("the {} item of nothing", name));
  return name == "first" ? items.front() : items.back();
}

Result<Value> f_list(Interpreter& in, const Value& value, const Call&, std::string_view) {
  BANTAM_ASSIGN(auto items, items_of(value, in.heap()));
  return Value::of(in.heap().list(std::move(items)));
}

Result<Value> f_items(Interpreter& in, const Value& value, const Call&, std::string_view) {
  if (value.is(Kind::kUndefined)) return Value::of(in.heap().list());
  if (!value.is(Kind::kDict))
    return fail(Code::kInvalidArgument, "items: found {}, expected a dict", kind_name(value));
  return call_method(in, value, "items", {});
}

Result<Value> f_join(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  const auto path = call.get(1, "attribute");
  TracedText mark, out;
  if (const auto given = call.get(0, "d")) {
    BANTAM_ASSIGN(mark, to_text(*given, in.heap()));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    Value one = items[i];
    if (path) {
      BANTAM_ASSIGN(one, path_of(in.heap(), one, *path));
    }
    BANTAM_ASSIGN(const TracedText text, to_text(one, in.heap()));
    BANTAM_TRY(in.heap().charge(mark.size()));
    if (i > 0) out.append(mark);
    out.append(text);
  }
  return in.heap().text(std::move(out));
}

Result<Value> f_reverse(Interpreter& in, const Value& value, const Call&, std::string_view) {
  if (value.is(Kind::kText))
    return slice(value, Value::none(), Value::none(), Value::of(int64_t{-1}), in.heap());
  BANTAM_ASSIGN(auto items, items_of(value, in.heap()));
  std::ranges::reverse(items);
  return Value::of(in.heap().list(std::move(items)));
}

/// Sorts `items` by their keys, stably. Errors: those of compare().
Status sort_by(std::vector<std::pair<Value, Value>>& items, bool reverse, bool cased_keys, Heap& heap) {
  BANTAM_TRY(heap.charge(items.size() * 64));
  if (!cased_keys) {
    for (auto& [key, value] : items) {
      if (key.is(Kind::kText)) key = heap.text(cased(*key.text, "lower"));
    }
  }
  Status status;
  std::ranges::stable_sort(items, [&](const auto& a, const auto& b) {
    const auto order = reverse ? compare(b.first, a.first) : compare(a.first, b.first);
    if (!order && status) status = std::unexpected(order.error());
    return order && *order < 0;
  });
  return status;
}

Result<Value> f_sort(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  const auto path = call.get(2, "attribute");
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& one : items) {
    Value key = one;
    if (path && !path->is(Kind::kNone)) {
      BANTAM_ASSIGN(key, path_of(in.heap(), one, *path));
    }
    keyed.emplace_back(key, one);
  }
  BANTAM_TRY(
      sort_by(keyed, flag(call, 0, "reverse", false), flag(call, 1, "case_sensitive", false), in.heap()));
  List* out = in.heap().list();
  for (const auto& [key, one] : keyed) out->items.push_back(one);
  return Value::of(out);
}

Result<Value> f_dictsort(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  if (!value.is(Kind::kDict))
    return fail(Code::kInvalidArgument, "dictsort: found {}, expected a dict", kind_name(value));
  const auto by = call.get(1, "by");
  const bool by_value = by && by->is(Kind::kText) && by->text->bytes() == "value";
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, one] : value.dict->items()) {
    keyed.emplace_back(by_value ? one : key, Value::of(in.heap().list({key, one}, true)));
  }
  BANTAM_TRY(
      sort_by(keyed, flag(call, 2, "reverse", false), flag(call, 0, "case_sensitive", false), in.heap()));
  List* out = in.heap().list();
  for (const auto& [key, pair] : keyed) out->items.push_back(pair);
  return Value::of(out);
}

Result<Value> f_unique(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  const bool with_case = flag(call, 0, "case_sensitive", false);
  List* out = in.heap().list();
  std::vector<Value> seen;
  for (const Value& one : items) {
    const Value key = one.is(Kind::kText) && !with_case ? in.heap().text(cased(*one.text, "lower")) : one;
    BANTAM_TRY(in.heap().charge(seen.size() * 8));
    if (std::ranges::any_of(seen, [&](const Value& v) { return equal(v, key); })) continue;
    seen.push_back(key);
    out->items.push_back(one);
  }
  return Value::of(out);
}

Result<Value> f_min_max(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(
      const Value sorted,
      f_sort(in, value, {{}, {{"attribute", call.get(1, "attribute").value_or(Value::none())}}}, name));
  const auto& items = sorted.list->items;
  if (items.empty()) return in.heap().undefined(fmt::format("the {} of nothing", name));
  return name == "min" ? items.front() : items.back();
}

Result<Value> f_sum(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  const auto path = call.get(0, "attribute");
  Value total = call.get(1, "start").value_or(Value::of(int64_t{0}));
  for (Value one : items) {
    if (path && !path->is(Kind::kNone)) {
      BANTAM_ASSIGN(one, path_of(in.heap(), one, *path));
    }
    BANTAM_ASSIGN(total, binary("+", total, one, in.heap()));
  }
  return total;
}

Result<Value> f_map(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  if (!truthy(value)) return Value::of(in.heap().list());  // Jinja2 takes none as nothing here
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  List* out = in.heap().list();
  const auto path = call.get(SIZE_MAX, "attribute");
  const auto fallback = call.get(SIZE_MAX, "default");
  Call inner;
  if (!path) {
    BANTAM_TRY(text_argument(call, 0, "", name));
    inner.positional.assign(call.positional.begin() + 1, call.positional.end());
    inner.named = call.named;
  }
  for (const Value& one : items) {
    Value mapped;
    if (path) {
      BANTAM_ASSIGN(mapped, path_of(in.heap(), one, *path));
      if (mapped.is(Kind::kUndefined) && fallback) mapped = *fallback;
    } else {
      BANTAM_ASSIGN(mapped, in.filter(call.positional[0].text->bytes(), one, inner));
    }
    out->items.push_back(mapped);
  }
  return Value::of(out);
}

/// select, reject, selectattr, rejectattr.
Result<Value> f_select(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  if (!truthy(value)) return Value::of(in.heap().list());  // Jinja2 takes none as nothing here
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  const bool by_attribute = name.ends_with("attr"), wanted = name.starts_with("select");
  const size_t first = by_attribute ? 1 : 0;
  if (call.positional.size() < first)
    return fail(Code::kInvalidArgument, "{}: found no attribute, expected one", name);
  Call inner;
  if (call.positional.size() > first) {
    BANTAM_TRY(text_argument(call, first, "", name));
    inner.positional.assign(call.positional.begin() + static_cast<ptrdiff_t>(first) + 1,
                            call.positional.end());
  }
  List* out = in.heap().list();
  for (const Value& one : items) {
    Value subject = one;
    if (by_attribute) {
      BANTAM_ASSIGN(subject, path_of(in.heap(), one, call.positional[0]));
    }
    bool holds = truthy(subject);
    if (call.positional.size() > first) {
      BANTAM_ASSIGN(holds, in.test(call.positional[first].text->bytes(), subject, inner));
    }
    if (holds == wanted) out->items.push_back(one);
  }
  return Value::of(out);
}

Result<Value> f_groupby(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  const auto path = call.get(0, "attribute");
  if (!path) return fail(Code::kInvalidArgument, "groupby: found no attribute, expected one");
  BANTAM_ASSIGN(const Value sorted, f_sort(in, value, {{}, {{"attribute", *path}}}, name));
  List* out = in.heap().list();
  Value last;
  for (const Value& one : sorted.list->items) {
    BANTAM_ASSIGN(const Value key, path_of(in.heap(), one, *path));
    if (out->items.empty() || !equal(key, last)) {
      out->items.push_back(Value::of(in.heap().list({key, Value::of(in.heap().list())}, true)));
    }
    out->items.back().list->items[1].list->items.push_back(one);
    last = key;
  }
  return Value::of(out);
}

Result<Value> f_batch(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto items, items_of(value, in.heap()));
  BANTAM_ASSIGN(const int64_t size, int_argument(call, 0, "linecount", 1, name));
  if (size < 1) return fail(Code::kInvalidArgument, "batch: found a size of {}, expected 1 or more", size);
  List* out = in.heap().list();
  for (size_t i = 0; i < items.size(); ++i) {
    if (i % static_cast<size_t>(size) == 0) out->items.push_back(Value::of(in.heap().list()));
    out->items.back().list->items.push_back(items[i]);
  }
  return Value::of(out);
}

Result<Value> f_attr(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* path, text_argument(call, 0, "name", name));
  return attribute(value, path->bytes(), in.heap());
}

}  // namespace

std::span<const NamedFilter> sequence_filters() {
  static const NamedFilter all[] = {
      {"length", f_length},     {"count", f_length},    {"default", f_default}, {"d", f_default},
      {"first", f_first_last},  {"last", f_first_last}, {"list", f_list},       {"items", f_items},
      {"join", f_join},         {"reverse", f_reverse}, {"sort", f_sort},       {"dictsort", f_dictsort},
      {"unique", f_unique},     {"min", f_min_max},     {"max", f_min_max},     {"sum", f_sum},
      {"map", f_map},           {"select", f_select},   {"reject", f_select},   {"selectattr", f_select},
      {"rejectattr", f_select}, {"groupby", f_groupby}, {"batch", f_batch},     {"attr", f_attr}};
  return all;
}

}  // namespace bantam::text::jinja
