// Values as texts: Python's str and repr, and json.dumps.

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/utf8.h"
#include "text/jinja/value.h"

namespace bantam::text::jinja {
namespace {

Status too_deep() { return fail(Code::kLimit, "found nesting deeper than {}, expected less", kNesting); }

/// The bytes of `text` within Python quotes.
TracedText quoted(const TracedText& text) {
  const bool doubles =
      text.bytes().find('\'') != std::string::npos && text.bytes().find('"') == std::string::npos;
  const char quote = doubles ? '"' : '\'';
  TracedText out(std::string(1, quote));
  out.append(text.mapped([&](std::string_view part) {
    std::string escaped;
    for (char c : part) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        escaped += "\\n";
      } else if (c == '\r') {
        escaped += "\\r";
      } else if (c == '\t') {
        escaped += "\\t";
      } else if (c == '\\' || c == quote) {
        escaped.append(1, '\\').append(1, c);
      } else if (byte < 0x20 || byte == 0x7F) {
        escaped += fmt::format("\\x{:02x}", byte);
      } else {
        escaped += c;
      }
    }
    return escaped;
  }));
  out.append(std::string_view(&quote, 1), kFromTemplate);
  return out;
}

std::string json_escaped(std::string_view part, bool ascii) {
  std::string out;
  for (size_t i = 0; i < part.size();) {
    const char c = part[i];
    const auto byte = static_cast<unsigned char>(c);
    const Utf8Char front = byte < 0x80 ? Utf8Char{} : utf8_front(part.substr(i));
    if (front.length > 1) {
      if (!ascii) {
        out += part.substr(i, front.length);
      } else if (front.code < 0x10000) {
        out += fmt::format("\\u{:04x}", front.code);
      } else {
        const uint32_t rest = front.code - 0x10000;
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
      }
      i += front.length;
      continue;
    }
    ++i;
    constexpr std::string_view kPlain = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
    if (size_t at = kPlain.find(c); at != std::string_view::npos) {
      out.append(1, '\\').append(1, kLetters[at]);
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

class Printer {
 public:
  explicit Printer(Heap& heap) : heap_(heap) {}

  Status repr(const Value& value, size_t depth) {
    if (depth > kNesting) return too_deep();
    BANTAM_TRY(heap_.step());
    switch (value.kind) {
      case Kind::kUndefined:
        return write("Undefined");
      case Kind::kText:
        out_.append(quoted(*value.text));
        return heap_.charge(value.text->size());
      case Kind::kList:
        return repr_list(*value.list, depth);
      case Kind::kDict:
        return repr_dict(*value.dict, depth);
      default:
        return write(plain(value));
    }
  }

  /// None, booleans, numbers and what has no better form.
  static std::string plain(const Value& value) {
    switch (value.kind) {
      case Kind::kNone:
        return "None";
      case Kind::kBool:
        return value.boolean ? "True" : "False";
      case Kind::kInt:
        return fmt::format("{}", value.integer);
      case Kind::kFloat:
        return real_text(value.real);
      case Kind::kFunction:
        return fmt::format("<function {}>", value.function->name);
      default:
        return fmt::format("<{}>", kind_name(value));
    }
  }

  TracedText take() { return std::move(out_); }

 private:
  Status write(std::string_view text) {
    out_.append(text, kFromTemplate);
    return heap_.charge(text.size());
  }
  Status repr_list(const List& list, size_t depth) {
    BANTAM_TRY(write(list.tuple ? "(" : "["));
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) BANTAM_TRY(write(", "));
      BANTAM_TRY(repr(list.items[i], depth + 1));
    }
    if (list.tuple && list.items.size() == 1) BANTAM_TRY(write(","));
    return write(list.tuple ? ")" : "]");
  }
  Status repr_dict(const Dict& dict, size_t depth) {
    if (dict.json != nullptr) {
      out_.append(*dict.json);
      return heap_.charge(dict.json->size());
    }
    BANTAM_TRY(write(dict.name_space ? "<Namespace {" : "{"));
    bool first = true;
    for (const auto& [key, value] : dict.items()) {
      if (!std::exchange(first, false)) BANTAM_TRY(write(", "));
      BANTAM_TRY(repr(key, depth + 1));
      BANTAM_TRY(write(": "));
      BANTAM_TRY(repr(value, depth + 1));
    }
    return write(dict.name_space ? "}>" : "}");
  }

  Heap& heap_;
  TracedText out_;
};

class JsonPrinter {
 public:
  JsonPrinter(const JsonStyle& style, Heap& heap) : style_(style), heap_(heap) {}

  Status value(const Value& v, size_t depth) {
    if (depth > kNesting) return too_deep();
    BANTAM_TRY(heap_.step());
    switch (v.kind) {
      case Kind::kNone:
        return write("null");
      case Kind::kBool:
        return write(v.boolean ? "true" : "false");
      case Kind::kInt:
        return write(fmt::format("{}", v.integer));
      case Kind::kFloat:
        return write(std::isnan(v.real)   ? "NaN"
                     : std::isinf(v.real) ? (v.real < 0 ? "-Infinity" : "Infinity")
                                          : real_text(v.real));
      case Kind::kText:
        return string(*v.text);
      case Kind::kList:
        return list(v.list->items, depth);
      case Kind::kDict:
        return dict(*v.dict, depth);
      default:
        return fail(Code::kInvalidArgument, "tojson: found a value of type {}, expected one that JSON has",
                    kind_name(v));
    }
  }

  TracedText take() { return std::move(out_); }

 private:
  Status write(std::string_view text) {
    out_.append(text, kFromTemplate);
    return heap_.charge(text.size());
  }
  Status string(const TracedText& text) {
    BANTAM_TRY(write("\""));
    out_.append(text.mapped([&](std::string_view part) { return json_escaped(part, style_.ascii); }));
    BANTAM_TRY(heap_.charge(text.size()));
    return write("\"");
  }
  Status line_end(size_t depth) {
    if (!style_.indent) return {};
    BANTAM_TRY(write("\n"));
    for (size_t i = 0; i < depth; ++i) BANTAM_TRY(write(*style_.indent));
    return {};
  }
  Status list(const std::vector<Value>& items, size_t depth) {
    if (items.empty()) return write("[]");
    BANTAM_TRY(write("["));
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) BANTAM_TRY(write(style_.item_separator));
      BANTAM_TRY(line_end(depth + 1));
      BANTAM_TRY(value(items[i], depth + 1));
    }
    BANTAM_TRY(line_end(depth));
    return write("]");
  }
  Status dict(const Dict& dict, size_t depth) {
    auto items = dict.items();
    if (items.empty()) return write("{}");
    if (style_.sort_keys) {
      std::ranges::stable_sort(items, [](const auto& a, const auto& b) {
        auto order = compare(a.first, b.first);
        return order && *order < 0;
      });
    }
    BANTAM_TRY(write("{"));
    bool first = true;
    for (const auto& [key, item] : items) {
      if (!std::exchange(first, false)) BANTAM_TRY(write(style_.item_separator));
      BANTAM_TRY(line_end(depth + 1));
      BANTAM_TRY(this->key(key));
      BANTAM_TRY(write(style_.key_separator));
      BANTAM_TRY(value(item, depth + 1));
    }
    BANTAM_TRY(line_end(depth));
    return write("}");
  }
  Status key(const Value& key) {
    if (key.is(Kind::kText)) return string(*key.text);
    BANTAM_TRY(write("\""));
    BANTAM_TRY(value(key, 0));
    return write("\"");
  }

  const JsonStyle& style_;
  Heap& heap_;
  TracedText out_;
};

}  // namespace

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string text(buffer, end);
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 ||
      exponent >= 16) {  // to_chars writes at least two digits of the exponent, as Python does
    return text;
  }
  end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  text.assign(buffer, end);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

Result<TracedText> to_text(const Value& value, Heap& heap) {
  if (value.is(Kind::kText)) {
    BANTAM_TRY(heap.charge(value.text->size()));
    return *value.text;
  }
  if (value.is(Kind::kUndefined)) return TracedText();
  Printer printer(heap);
  BANTAM_TRY(printer.repr(value, 0));
  return printer.take();
}

Result<TracedText> to_json(const Value& value, const JsonStyle& style, Heap& heap) {
  JsonPrinter printer(style, heap);
  BANTAM_TRY(printer.value(value, 0));
  return printer.take();
}

}  // namespace bantam::text::jinja
