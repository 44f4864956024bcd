// Methods of texts, lists, dictionaries and loops, as Python has them.

#include <algorithm>
#include <array>
#include <cctype>
#include <unordered_map>

#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {
namespace {

using Texts = Result<Value> (*)(Heap&, const TracedText&, const Call&, std::string_view name);

Result<Value> strip(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  const auto chars = call.get(0, "chars");
  const TracedText* set = nullptr;
  if (chars && !chars->is(Kind::kNone)) {
    BANTAM_ASSIGN(set, text_argument(call, 0, "chars", name));
  }
  BANTAM_TRY(heap.charge(self.size() * (1 + (set != nullptr ? set->size() / 8 : 0))));
  return heap.text(stripped(self, set,
                            name == "lstrip"   ? Side::kLeft
                            : name == "rstrip" ? Side::kRight
                                               : Side::kBoth));
}

/// split() without a separator: the words between white space; what is left behind `most` of them is the
/// last.
std::vector<Value> words(Heap& heap, const TracedText& self, int64_t most) {
  std::vector<Value> out;
  const auto places = characters(self.bytes());
  const size_t count = places.size() - 1;
  auto blank = [&](size_t i) {
    return is_blank(std::string_view(self.bytes()).substr(places[i], places[i + 1] - places[i]));
  };
  for (size_t i = 0; i < count;) {
    if (blank(i)) {
      ++i;
      continue;
    }
    size_t end = i;
    const bool rest = most >= 0 && static_cast<int64_t>(out.size()) >= most;
    while (end < count && (rest || !blank(end))) ++end;
    out.push_back(heap.text(self.slice(places[i], places[end])));
    i = end;
  }
  return out;
}

Result<Value> split(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const int64_t given_most, int_argument(call, 1, "maxsplit", -1, name));
  const int64_t most = std::max<int64_t>(given_most, -1);
  const auto given = call.get(0, "sep");
  if (!given || given->is(Kind::kNone)) {
    BANTAM_TRY(heap.charge(self.size() * (16 + self.runs().size())));
    return Value::of(heap.list(words(heap, self, most)));
  }
  BANTAM_ASSIGN(const auto* separator, text_argument(call, 0, "sep", name));
  if (separator->empty())
    return fail(Code::kInvalidArgument, "{}: found an empty separator, expected a text", name);
  const std::string& bytes = self.bytes();
  const std::string& mark = separator->bytes();
  std::vector<std::pair<size_t, size_t>> parts;
  if (name == "rsplit") {
    size_t end = bytes.size();
    for (int64_t left = most; left != 0 && end >= mark.size(); --left) {
      const size_t at = bytes.rfind(mark, end - mark.size());
      if (at == std::string::npos) break;
      parts.emplace_back(at + mark.size(), end);
      end = at;
    }
    parts.emplace_back(0, end);
    std::ranges::reverse(parts);
  } else {
    size_t begin = 0;
    for (int64_t left = most; left != 0; --left) {
      const size_t at = bytes.find(mark, begin);
      if (at == std::string::npos) break;
      parts.emplace_back(begin, at);
      begin = at + mark.size();
    }
    parts.emplace_back(begin, bytes.size());
  }
  BANTAM_TRY(heap.charge(self.size() + parts.size() * (sizeof(TracedText) + self.runs().size())));
  List* out = heap.list();
  for (auto [begin, end] : parts) out->items.push_back(heap.text(self.slice(begin, end)));
  return Value::of(out);
}

Result<Value> partition(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* mark, text_argument(call, 0, "sep", name));
  if (mark->empty())
    return fail(Code::kInvalidArgument, "{}: found an empty separator, expected a text", name);
  const bool last = name == "rpartition";
  const size_t at = last ? self.bytes().rfind(mark->bytes()) : self.bytes().find(mark->bytes());
  BANTAM_TRY(heap.charge(self.size()));
  std::vector<Value> parts;
  if (at == std::string::npos) {
    parts = {heap.text(last ? TracedText() : self), heap.text(""), heap.text(last ? self : TracedText())};
  } else {
    const size_t end = at + mark->size();
    parts = {heap.text(self.slice(0, at)), heap.text(self.slice(at, end)),
             heap.text(self.slice(end, self.size()))};
  }
  return Value::of(heap.list(std::move(parts), true));
}

Result<Value> splitlines(Heap& heap, const TracedText& self, const Call&, std::string_view) {
  BANTAM_TRY(heap.charge(self.size() * 2));
  List* out = heap.list();
  const std::string& bytes = self.bytes();
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = std::min(bytes.find_first_of("\r\n", begin), bytes.size());
    out->items.push_back(heap.text(self.slice(begin, end)));
    begin = end + (bytes.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  BANTAM_TRY(heap.charge(out->items.size() * (sizeof(TracedText) + self.runs().size())));
  return Value::of(out);
}

Result<Value> starts_or_ends(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  auto fits = [&](const Value& v) {
    return v.is(Kind::kText) && (name == "startswith" ? self.bytes().starts_with(v.text->bytes())
                                                      : self.bytes().ends_with(v.text->bytes()));
  };
  BANTAM_TRY(heap.charge(8));
  const auto given = call.get(0, "prefix");
  if (given && given->is(Kind::kList)) return Value::of(std::ranges::any_of(given->list->items, fits));
  BANTAM_TRY(text_argument(call, 0, "prefix", name));
  return Value::of(fits(*given));
}

Result<Value> remove_end(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* end, text_argument(call, 0, "prefix", name));
  BANTAM_TRY(heap.charge(self.size()));
  if (name == "removeprefix" && self.bytes().starts_with(end->bytes()))
    return heap.text(self.slice(end->size(), self.size()));
  if (name == "removesuffix" && self.bytes().ends_with(end->bytes()))
    return heap.text(self.slice(0, self.size() - end->size()));
  return heap.text(self);
}

Result<Value> replace(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* from, text_argument(call, 0, "old", name));
  BANTAM_ASSIGN(const auto* to, text_argument(call, 1, "new", name));
  BANTAM_ASSIGN(const int64_t count, int_argument(call, 2, "count", -1, name));
  const uint64_t places = self.size() / std::max<size_t>(from->size(), 1) + 1;
  BANTAM_TRY(heap.charge(self.size() + places * (to->size() + self.runs().size())));
  return heap.text(replaced(self, *from, *to, count));
}

Result<Value> change_case(Heap& heap, const TracedText& self, const Call&, std::string_view name) {
  BANTAM_TRY(heap.charge(2 * self.size()));
  return heap.text(cased(self, name));
}

Result<Value> join(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  const auto given = call.get(0, "iterable");
  BANTAM_ASSIGN(const auto items, items_of(given.value_or(Value()), heap));
  TracedText out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Kind::kText))
      return fail(Code::kInvalidArgument, "{}: found {} as item {}, expected a text", name,
                  kind_name(items[i]), i);
    BANTAM_TRY(heap.charge(self.size() + items[i].text->size()));
    if (i > 0) out.append(self);
    out.append(*items[i].text);
  }
  return heap.text(std::move(out));
}

Result<Value> search(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const auto* what, text_argument(call, 0, "sub", name));
  BANTAM_TRY(heap.charge(self.size()));
  const std::string& bytes = self.bytes();
  if (name == "count") {
    if (what->empty()) return Value::of(static_cast<int64_t>(characters(bytes).size()));
    int64_t count = 0;
    for (size_t at = bytes.find(what->bytes()); at != std::string::npos;
         at = bytes.find(what->bytes(), at + what->size()))
      ++count;
    return Value::of(count);
  }
  const size_t at = name[0] == 'r' ? bytes.rfind(what->bytes()) : bytes.find(what->bytes());
  if (at != std::string::npos) {
    const std::string_view before = std::string_view(bytes).substr(0, at);
    return Value::of(static_cast<int64_t>(characters(before).size()) - 1);
  }
  if (name == "find" || name == "rfind") return Value::of(int64_t{-1});
  return fail(Code::kInvalidArgument, "{}: found no \"{}\" in the text, expected one", name, what->bytes());
}

Result<Value> character_test(Heap& heap, const TracedText& self, const Call&, std::string_view name) {
  BANTAM_TRY(heap.charge(self.size()));
  if (self.empty()) return Value::of(false);
  if (name == "isspace") return Value::of(stripped(self, nullptr, Side::kLeft).empty());
  if (name == "isupper" || name == "islower") {
    const bool same = cased(self, name.substr(2)).bytes() == self.bytes();
    return Value::of(same && cased(self, name == "isupper" ? "lower" : "upper").bytes() != self.bytes());
  }
  const bool digits = name != "isalpha", letters = name == "isalpha" || name == "isalnum";
  return Value::of(std::ranges::all_of(self.bytes(), [&](unsigned char c) {
    return (digits && c >= '0' && c <= '9') || (letters && (std::isalpha(c) != 0 || c >= 0x80));
  }));
}

Result<Value> justify(Heap& heap, const TracedText& self, const Call& call, std::string_view name) {
  BANTAM_ASSIGN(const int64_t width, int_argument(call, 0, "width", 0, name));
  char with = name == "zfill" ? '0' : ' ';
  if (name != "zfill" && call.get(1, "fillchar")) {
    BANTAM_ASSIGN(const auto* given, text_argument(call, 1, "fillchar", name));
    if (given->size() != 1)
      return fail(Code::kInvalidArgument, "{}: found \"{}\" to fill with, expected a character", name,
                  given->bytes());
    with = given->bytes()[0];
  }
  const auto size = static_cast<int64_t>(characters(self.bytes()).size()) - 1;
  const int64_t room = std::max<int64_t>(width - size, 0);
  BANTAM_TRY(heap.charge(self.size() + static_cast<uint64_t>(room)));
  const int64_t left = name == "ljust" ? 0 : name == "center" ? room / 2 : room;
  TracedText out(std::string(static_cast<size_t>(left), with));
  out.append(self);
  out.append(std::string(static_cast<size_t>(room - left), with), kFromTemplate);
  return heap.text(std::move(out));
}

/// str.format with {}, {0} and {name}; no conversions or format specifications.
Result<Value> format(Heap& heap, const TracedText& self, const Call& call, std::string_view) {
  TracedText out;
  const std::string& bytes = self.bytes();
  size_t next = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t brace = std::min(bytes.find_first_of("{}", i), bytes.size());
    out.append(self, i, brace);
    if (brace == bytes.size()) break;
    i = brace + 1;
    if (i < bytes.size() && bytes[i] == bytes[brace]) {
      out.append(self, brace, i);
      ++i;
      continue;
    }
    const size_t end = bytes.find('}', i);
    if (bytes[brace] == '}' || end == std::string::npos)
      return fail(Code::kInvalidArgument, "format: found a single \"{}\", expected it twice or a pair",
                  bytes[brace]);
    const std::string field = bytes.substr(i, end - i);
    i = end + 1;
    const bool number = !field.empty() && field.size() < 6 &&
                        std::ranges::all_of(field, [](char c) { return c >= '0' && c <= '9'; });
    const auto value = field.empty() ? call.get(next++, "")
                       : number      ? call.get(static_cast<size_t>(std::atoi(field.c_str())), "")
                                     : call.get(SIZE_MAX, field);
    if (!value)
      return fail(Code::kInvalidArgument,
                  "format: found \"{{{}}}\", expected the place or name of an argument", field);
    BANTAM_ASSIGN(const TracedText text, to_text(*value, heap));
    out.append(text);
  }
  BANTAM_TRY(heap.charge(out.size()));
  return heap.text(std::move(out));
}

const std::unordered_map<std::string_view, Texts>& text_methods() {
  static const std::unordered_map<std::string_view, Texts> all = {{"strip", strip},
                                                                  {"lstrip", strip},
                                                                  {"rstrip", strip},
                                                                  {"split", split},
                                                                  {"rsplit", split},
                                                                  {"splitlines", splitlines},
                                                                  {"partition", partition},
                                                                  {"rpartition", partition},
                                                                  {"startswith", starts_or_ends},
                                                                  {"endswith", starts_or_ends},
                                                                  {"removeprefix", remove_end},
                                                                  {"removesuffix", remove_end},
                                                                  {"replace", replace},
                                                                  {"upper", change_case},
                                                                  {"lower", change_case},
                                                                  {"title", change_case},
                                                                  {"capitalize", change_case},
                                                                  {"join", join},
                                                                  {"find", search},
                                                                  {"rfind", search},
                                                                  {"index", search},
                                                                  {"rindex", search},
                                                                  {"count", search},
                                                                  {"isdigit", character_test},
                                                                  {"isnumeric", character_test},
                                                                  {"isdecimal", character_test},
                                                                  {"isalpha", character_test},
                                                                  {"isalnum", character_test},
                                                                  {"isspace", character_test},
                                                                  {"isupper", character_test},
                                                                  {"islower", character_test},
                                                                  {"ljust", justify},
                                                                  {"rjust", justify},
                                                                  {"center", justify},
                                                                  {"zfill", justify},
                                                                  {"format", format}};
  return all;
}

constexpr std::array<std::string_view, 6> kListMethods = {"append", "extend", "pop",
                                                          "index",  "count",  "insert"};
constexpr std::array<std::string_view, 7> kDictMethods = {"get", "items",  "keys",      "values",
                                                          "pop", "update", "setdefault"};
constexpr std::array<std::string_view, 2> kLoopMethods = {"cycle", "changed"};

Result<Value> list_method(Heap& heap, List& self, std::string_view name, const Call& call) {
  if (name == "pop") {
    BANTAM_ASSIGN(const int64_t index, int_argument(call, 0, "index", -1, name));
    const auto size = static_cast<int64_t>(self.items.size());
    const int64_t at = index < 0 ? index + size : index;
    if (at < 0 || at >= size)
      return fail(Code::kInvalidArgument, "pop: found index {} of {} items, expected one of them", index,
                  size);
    const Value out = self.items[static_cast<size_t>(at)];
    self.items.erase(self.items.begin() + at);
    return out;
  }
  const auto given = call.get(name == "insert" ? 1 : 0, "object");
  if (!given) return fail(Code::kInvalidArgument, "{}: found no argument, expected one", name);
  BANTAM_TRY(heap.charge(self.items.size() / 4 + sizeof(Value)));
  if (name == "append") {
    self.items.push_back(*given);
  } else if (name == "insert") {
    BANTAM_ASSIGN(const int64_t index, int_argument(call, 0, "index", 0, name));
    const auto size = static_cast<int64_t>(self.items.size());
    BANTAM_TRY(heap.charge(self.items.size() * sizeof(Value)));
    self.items.insert(self.items.begin() + std::clamp<int64_t>(index < 0 ? index + size : index, 0, size),
                      *given);
  } else if (name == "extend") {
    BANTAM_ASSIGN(const auto more, items_of(*given, heap));
    self.items.insert(self.items.end(), more.begin(), more.end());
  } else {
    const auto same = [&](const Value& v) { return equal(v, *given); };
    BANTAM_TRY(heap.charge(self.items.size() * 8));
    if (name == "count") return Value::of(static_cast<int64_t>(std::ranges::count_if(self.items, same)));
    const auto found = std::ranges::find_if(self.items, same);
    if (found == self.items.end())
      return fail(Code::kInvalidArgument, "index: found no such item, expected one");
    return Value::of(static_cast<int64_t>(found - self.items.begin()));
  }
  return Value::none();
}

Result<Value> dict_method(Heap& heap, Dict& self, std::string_view name, const Call& call) {
  const auto first = call.get(0, "key"), second = call.get(1, "default");
  if (name == "get" || name == "pop" || name == "setdefault") {
    if (!first) return fail(Code::kInvalidArgument, "{}: found no argument, expected a key", name);
    if (const Value* found = self.find(*first)) {
      const Value out = *found;
      if (name == "pop") {
        BANTAM_TRY(heap.charge(self.items().size() * sizeof(Value)));
        self.remove(*first);
      }
      return out;
    }
    if (name == "pop" && !second) return fail(Code::kInvalidArgument, "pop: found no such key, expected one");
    if (name == "setdefault") {
      BANTAM_TRY(heap.charge(2 * sizeof(Value)));
      self.set(*first, second.value_or(Value::none()));
    }
    return second.value_or(Value::none());
  }
  BANTAM_TRY(heap.charge(self.items().size() * 4 * sizeof(Value)));
  if (name == "update") {
    if (first && first->is(Kind::kDict)) {
      const auto more = first->dict->items();  // a copy: it may be the same
      for (const auto& [key, value] : more) self.set(key, value);
    }
    for (const auto& [key, value] : call.named) self.set(heap.text(key), value);
    BANTAM_TRY(heap.charge(self.items().size() * 4 * sizeof(Value)));
    return Value::none();
  }
  List* out = heap.list();
  for (const auto& [key, value] : self.items()) {
    out->items.push_back(name == "keys"     ? key
                         : name == "values" ? value
                                            : Value::of(heap.list({key, value}, true)));
  }
  return Value::of(out);
}

Result<Value> loop_method(Heap& heap, Loop& self, std::string_view name, const Call& call) {
  if (name == "cycle") {
    if (call.positional.empty())
      return fail(Code::kInvalidArgument, "cycle: found no arguments, expected some");
    return call.positional[self.at % call.positional.size()];
  }
  const Value now = Value::of(heap.list(call.positional, true));
  const bool changed = !self.has_changed || !equal(self.changed, now);
  self.changed = now;
  self.has_changed = true;
  return Value::of(changed);
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  switch (value.kind) {
    case Kind::kText:
      return text_methods().contains(name);
    case Kind::kList:
      return std::ranges::find(kListMethods, name) != kListMethods.end();
    case Kind::kDict:
      return !value.dict->name_space && std::ranges::find(kDictMethods, name) != kDictMethods.end();
    case Kind::kLoop:
      return std::ranges::find(kLoopMethods, name) != kLoopMethods.end();
    default:
      return false;
  }
}

Result<Value> call_method(Interpreter& interpreter, const Value& self, std::string_view name,
                          const Call& call) {
  Heap& heap = interpreter.heap();
  switch (self.kind) {
    case Kind::kText:
      return text_methods().at(name)(heap, *self.text, call, name);
    case Kind::kList:
      return list_method(heap, *self.list, name, call);
    case Kind::kDict:
      return dict_method(heap, *self.dict, name, call);
    case Kind::kLoop:
      return loop_method(heap, *self.loop, name, call);
    default:
      return fail(Code::kInternal, "a method of {}", kind_name(self));
  }
}

}  // namespace bantam::text::jinja
