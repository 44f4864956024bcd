#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {
namespace {

using Filter = Result<Value> (*)(Interpreter&, const Value&, const Call&, std::string_view name);

Result<const TracedText*> as_text(Interpreter& in, const Value& value) {
  if (value.is(Kind::kText)) return value.text;
  BANTAM_ASSIGN(TracedText text, to_text(value, in.heap()));
  return in.heap().text(std::move(text)).text;
}

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

bool flag(const Call& call, size_t index, std::string_view name, bool fallback) {
  const auto value = call.get(index, name);
  return value ? truthy(*value) : fallback;
}

// ---- texts ----

Result<Value> f_case(Interpreter& in, const Value& value, const Call&, std::string_view name) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  BANTAM_TRY(in.heap().charge(2 * text->size()));
  return in.heap().text(cased(*text, name));
}

Result<Value> f_trim(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  const TracedText* set = nullptr;
  if (const auto chars = call.get(0, "chars"); chars && !chars->is(Kind::kNone)) {
    BANTAM_ASSIGN(set, text_argument(call, 0, "chars", name));
  }
  BANTAM_TRY(in.heap().charge(text->size() * (1 + (set != nullptr ? set->size() / 8 : 0))));
  return in.heap().text(stripped(*text, set, Side::kBoth));
}

Result<Value> f_string(Interpreter& in, const Value& value, const Call&, std::string_view) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  return Value::of(text);
}

Result<Value> f_replace(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  return call_method(in, Value::of(text), "replace", call);
}

Result<Value> f_indent(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  std::string indent(4, ' ');
  if (const auto width = call.get(0, "width")) {
    if (width->is(Kind::kText)) {
      indent = width->text->bytes();
    } else {
      BANTAM_ASSIGN(const int64_t count, int_argument(call, 0, "width", 4, name));
      indent.assign(static_cast<size_t>(std::clamp<int64_t>(count, 0, 1000)), ' ');
    }
  }
  const bool first = flag(call, 1, "first", false), blank = flag(call, 2, "blank", false);
  const std::string& bytes = text->bytes();
  const auto lines = static_cast<uint64_t>(std::ranges::count(bytes, '\n')) + 1;
  BANTAM_TRY(in.heap().charge(bytes.size() + lines * (indent.size() + text->runs().size())));
  TracedText out;
  for (size_t begin = 0; begin <= bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    if ((begin > 0 || first) && (end > begin || blank)) out.append(indent, kFromTemplate);
    const size_t behind = std::min(end + 1, bytes.size());
    out.append(*text, begin, behind);
    begin = end + 1;
  }
  return in.heap().text(std::move(out));
}

Result<Value> f_format(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  return percent_format(*text, call.positional, in.heap());
}

Result<Value> f_truncate(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  BANTAM_ASSIGN(const int64_t length, int_argument(call, 0, "length", 255, name));
  BANTAM_ASSIGN(const int64_t leeway, int_argument(call, 3, "leeway", 5, name));
  const bool kill = flag(call, 1, "killwords", false);
  const TracedText dots("...");
  const TracedText* end = &dots;
  if (call.get(2, "end")) {
    BANTAM_ASSIGN(end, text_argument(call, 2, "end", name));
  }
  const auto places = characters(text->bytes());
  const auto size = static_cast<int64_t>(places.size()) - 1;
  if (length < 0 || leeway < 0 || size <= length || size - length <= leeway) return Value::of(text);
  const int64_t keep =
      std::max<int64_t>(length - static_cast<int64_t>(characters(end->bytes()).size()) + 1, 0);
  size_t cut = places[static_cast<size_t>(keep)];
  if (!kill) {
    const size_t space = text->bytes().rfind(' ', cut > 0 ? cut - 1 : 0);
    if (space != std::string::npos && space < cut) cut = space;
  }
  TracedText out = text->slice(0, cut);
  out.append(*end);
  BANTAM_TRY(in.heap().charge(out.size()));
  return in.heap().text(std::move(out));
}

Result<Value> f_escape(Interpreter& in, const Value& value, const Call&, std::string_view) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  BANTAM_TRY(in.heap().charge(6 * text->size()));
  return in.heap().text(text->mapped([](std::string_view part) {
    std::string out;
    for (char c : part) {
      out += c == '&'    ? "&amp;"
             : c == '<'  ? "&lt;"
             : c == '>'  ? "&gt;"
             : c == '"'  ? "&#34;"
             : c == '\'' ? "&#39;"
                         : std::string(1, c);
    }
    return out;
  }));
}

Result<Value> f_wordcount(Interpreter& in, const Value& value, const Call&, std::string_view) {
  BANTAM_ASSIGN(const auto* text, as_text(in, value));
  BANTAM_ASSIGN(const Value words, call_method(in, Value::of(text), "split", {}));
  return Value::of(static_cast<int64_t>(words.list->items.size()));
}

Result<Value> f_tojson(Interpreter& in, const Value& value, const Call& call, std::string_view name) {
  // transformers: tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False); Jinja2 has
  // indent first.
  JsonStyle style;
  const bool first_is_indent = !call.positional.empty() && !call.positional[0].is(Kind::kBool);
  const size_t index = first_is_indent ? 0 : 1;
  if (!first_is_indent) style.ascii = flag(call, 0, "ensure_ascii", false);
  if (first_is_indent) style.ascii = flag(call, SIZE_MAX, "ensure_ascii", false);
  if (const auto indent = call.get(index, "indent"); indent && !indent->is(Kind::kNone)) {
    if (indent->is(Kind::kText)) {
      style.indent = indent->text->bytes();
    } else {
      BANTAM_ASSIGN(const int64_t width, int_argument(call, index, "indent", 0, name));
      style.indent = std::string(static_cast<size_t>(std::clamp<int64_t>(width, 0, 100)), ' ');
    }
    style.item_separator = ",";
  }
  if (const auto separators = call.get(index + 1, "separators"); separators && !separators->is(Kind::kNone)) {
    BANTAM_ASSIGN(const auto pair, items_of(*separators, in.heap()));
    if (pair.size() != 2 || !pair[0].is(Kind::kText) || !pair[1].is(Kind::kText))
      return fail(Code::kInvalidArgument, "tojson: found separators that are not two texts");
    style.item_separator = pair[0].text->bytes();
    style.key_separator = pair[1].text->bytes();
  }
  style.sort_keys = flag(call, index + 2, "sort_keys", false);
  BANTAM_ASSIGN(TracedText text, to_json(value, style, in.heap()));
  return in.heap().text(std::move(text));
}

// ---- numbers ----

Result<Value> f_int(Interpreter& in, const Value& value, const Call& call, std::string_view) {
  if (value.is(Kind::kBool) || value.is(Kind::kInt)) return Value::of(value.as_int());
  if (value.is(Kind::kFloat) && std::abs(value.real) < 9e18)
    return Value::of(static_cast<int64_t>(value.real));
  if (value.is(Kind::kText)) {
    const TracedText digits = stripped(*value.text, nullptr, Side::kBoth);
    std::string_view text = digits.bytes();
    if (text.starts_with('+')) text.remove_prefix(1);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return Value::of(number);
    double real = 0;
    const auto [real_end, real_error] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (real_error == std::errc() && real_end == text.data() + text.size() && std::abs(real) < 9e18)
      return Value::of(static_cast<int64_t>(real));
  }
  (void)in;
  return call.get(0, "default").value_or(Value::of(int64_t{0}));
}

Result<Value> f_float(Interpreter&, const Value& value, const Call& call, std::string_view) {
  if (value.is_number()) return Value::of(value.as_real());
  if (value.is(Kind::kText)) {
    const TracedText digits = stripped(*value.text, nullptr, Side::kBoth);
    const std::string& text = digits.bytes();
    double real = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (error == std::errc() && end == text.data() + text.size()) return Value::of(real);
  }
  return call.get(0, "default").value_or(Value::of(0.0));
}

Result<Value> f_abs(Interpreter&, const Value& value, const Call&, std::string_view) {
  if (!value.is_number())
    return fail(Code::kInvalidArgument, "abs: found {}, expected a number", kind_name(value));
  if (value.is(Kind::kFloat)) return Value::of(std::abs(value.real));
  return Value::of(value.as_int() < 0 && value.as_int() != INT64_MIN ? -value.as_int() : value.as_int());
}

Result<Value> f_round(Interpreter&, const Value& value, const Call& call, std::string_view name) {
  if (!value.is_number())
    return fail(Code::kInvalidArgument, "round: found {}, expected a number", kind_name(value));
  BANTAM_ASSIGN(const int64_t digits, int_argument(call, 0, "precision", 0, name));
  const double scale = std::pow(10.0, static_cast<double>(std::clamp<int64_t>(digits, -300, 300)));
  const auto method = call.get(1, "method");
  const std::string how = method && method->is(Kind::kText) ? method->text->bytes() : "common";
  const double scaled = value.as_real() * scale;
  return Value::of((how == "ceil"    ? std::ceil(scaled)
                    : how == "floor" ? std::floor(scaled)
                                     : std::nearbyint(scaled)) /
                   scale);
}

// ---- lists ----

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

Result<Value> f_same(Interpreter&, const Value& value, const Call&, std::string_view) { return value; }

const std::unordered_map<std::string_view, Filter>& filters() {
  static const std::unordered_map<std::string_view, Filter> all = {{"upper", f_case},
                                                                   {"lower", f_case},
                                                                   {"title", f_case},
                                                                   {"capitalize", f_case},
                                                                   {"trim", f_trim},
                                                                   {"string", f_string},
                                                                   {"replace", f_replace},
                                                                   {"indent", f_indent},
                                                                   {"format", f_format},
                                                                   {"truncate", f_truncate},
                                                                   {"escape", f_escape},
                                                                   {"e", f_escape},
                                                                   {"forceescape", f_escape},
                                                                   {"wordcount", f_wordcount},
                                                                   {"tojson", f_tojson},
                                                                   {"int", f_int},
                                                                   {"float", f_float},
                                                                   {"abs", f_abs},
                                                                   {"round", f_round},
                                                                   {"length", f_length},
                                                                   {"count", f_length},
                                                                   {"default", f_default},
                                                                   {"d", f_default},
                                                                   {"first", f_first_last},
                                                                   {"last", f_first_last},
                                                                   {"list", f_list},
                                                                   {"items", f_items},
                                                                   {"join", f_join},
                                                                   {"reverse", f_reverse},
                                                                   {"sort", f_sort},
                                                                   {"dictsort", f_dictsort},
                                                                   {"unique", f_unique},
                                                                   {"min", f_min_max},
                                                                   {"max", f_min_max},
                                                                   {"sum", f_sum},
                                                                   {"map", f_map},
                                                                   {"select", f_select},
                                                                   {"reject", f_select},
                                                                   {"selectattr", f_select},
                                                                   {"rejectattr", f_select},
                                                                   {"groupby", f_groupby},
                                                                   {"batch", f_batch},
                                                                   {"attr", f_attr},
                                                                   {"safe", f_same}};
  return all;
}

}  // namespace

Result<Value> Interpreter::filter(std::string_view name, const Value& value, const Call& call) {
  const Deeper deeper(*this);
  BANTAM_TRY(deeper.check());
  const auto found = filters().find(name);
  if (found == filters().end())
    return fail(Code::kUnsupported, "found the filter \"{}\", expected one of Jinja's", name);
  return found->second(*this, value, call, name);
}

}  // namespace bantam::text::jinja
