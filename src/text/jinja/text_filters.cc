#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/filters.h"

namespace bantam::text::jinja {
namespace {

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

Result<Value> f_same(Interpreter&, const Value& value, const Call&, std::string_view) { return value; }

}  // namespace

std::span<const NamedFilter> text_filters() {
  static const NamedFilter all[] = {{"upper", f_case},         {"lower", f_case},
                                    {"title", f_case},         {"capitalize", f_case},
                                    {"trim", f_trim},          {"string", f_string},
                                    {"replace", f_replace},    {"indent", f_indent},
                                    {"format", f_format},      {"truncate", f_truncate},
                                    {"escape", f_escape},      {"e", f_escape},
                                    {"forceescape", f_escape}, {"wordcount", f_wordcount},
                                    {"tojson", f_tojson},      {"int", f_int},
                                    {"float", f_float},        {"abs", f_abs},
                                    {"round", f_round},        {"safe", f_same}};
  return all;
}

}  // namespace bantam::text::jinja
