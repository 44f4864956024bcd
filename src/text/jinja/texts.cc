// Operations on texts that filters and methods share.

#include <utf8proc.h>

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "text/jinja/interpreter.h"

namespace bantam::text::jinja {
namespace {

bool is_cased(uint32_t code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

/// One "%…" of a format.
struct Directive {
  bool left = false, zero = false, plus = false;
  int width = 0, precision = -1;
  char letter = 0;
};

/// Reads what stands behind the "%" at `at` and moves `at` behind it; letter 0 for none.
Directive directive(std::string_view format, size_t& at) {
  Directive out;
  for (; at < format.size() && std::string_view("-0+ #").find(format[at]) != std::string_view::npos; ++at) {
    out.left |= format[at] == '-';
    out.zero |= format[at] == '0';
    out.plus |= format[at] == '+';
  }
  auto number = [&] {
    int n = 0;
    for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at)
      n = std::min(n * 10 + (format[at] - '0'), 1000);
    return n;
  };
  out.width = number();
  if (at < format.size() && format[at] == '.') {
    ++at;
    out.precision = number();
  }
  if (at < format.size()) out.letter = format[at++];
  return out;
}

Result<TracedText> formatted(const Directive& d, const Value& value, Heap& heap) {
  const std::string_view sign = d.plus ? "+" : "";
  switch (d.letter) {
    case 's': {
      BANTAM_ASSIGN(TracedText text, to_text(value, heap));
      const auto places = characters(text.bytes());
      if (d.precision >= 0 && static_cast<size_t>(d.precision) + 1 < places.size())
        text = text.slice(0, places[d.precision]);
      return text;
    }
    case 'r':
      return to_json(value, {}, heap);
    case 'd':
    case 'i':
    case 'x':
    case 'X':
      if (!value.is_number() || std::isnan(value.as_real())) break;
      {
        const int64_t n = value.is(Kind::kFloat) ? static_cast<int64_t>(std::clamp(value.real, -9e18, 9e18))
                                                 : value.as_int();
        if (d.letter == 'x') return TracedText(fmt::format("{:x}", n));
        if (d.letter == 'X') return TracedText(fmt::format("{:X}", n));
        return TracedText(fmt::format("{}{}", n >= 0 ? sign : "", n));
      }
    case 'f':
    case 'e':
    case 'g': {
      if (!value.is_number()) break;
      const double x = value.as_real();
      const int precision = d.precision < 0 ? 6 : d.precision;
      const std::string_view s = x >= 0 ? sign : "";
      if (d.letter == 'f') return TracedText(fmt::format("{}{:.{}f}", s, x, precision));
      if (d.letter == 'e') return TracedText(fmt::format("{}{:.{}e}", s, x, precision));
      return TracedText(fmt::format("{}{:.{}g}", s, x, precision));
    }
    default:
      return fail(Code::kUnsupported, "found \"%{}\" in a format, expected %s, %d, %f, %e, %g, %x or %%",
                  d.letter);
  }
  return fail(Code::kInvalidArgument, "found {} for \"%{}\", expected a number", kind_name(value), d.letter);
}

}  // namespace

bool is_blank(std::string_view character) {
  const Utf8Char c = utf8_front(character);
  if (c.length == 0) return false;
  if (c.code < 0x80) return (c.code >= 9 && c.code <= 13) || (c.code >= 0x1C && c.code <= 0x20);
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c.code));
  return c.code == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

TracedText stripped(const TracedText& text, const TracedText* set, Side side) {
  const auto places = characters(text.bytes());
  const std::string_view bytes = text.bytes();
  const auto chars = set != nullptr ? characters(set->bytes()) : std::vector<size_t>();
  auto goes = [&](size_t i) {
    const std::string_view c = bytes.substr(places[i], places[i + 1] - places[i]);
    if (set == nullptr) return is_blank(c);
    for (size_t k = 0; k + 1 < chars.size(); ++k) {
      if (std::string_view(set->bytes()).substr(chars[k], chars[k + 1] - chars[k]) == c) return true;
    }
    return false;
  };
  size_t begin = 0, end = places.size() - 1;
  while (side != Side::kRight && begin < end && goes(begin)) ++begin;
  while (side != Side::kLeft && begin < end && goes(end - 1)) --end;
  return text.slice(places[begin], places[end]);
}

TracedText replaced(const TracedText& text, const TracedText& from, const TracedText& to, int64_t count) {
  TracedText out;
  const std::string& bytes = text.bytes();
  if (from.empty()) {  // Python: before every character and at the end
    const auto places = characters(bytes);
    for (size_t i = 0; i < places.size(); ++i) {
      if (count < 0 || static_cast<int64_t>(i) < count) out.append(to);
      if (i + 1 < places.size()) out.append(text, places[i], places[i + 1]);
    }
    return out;
  }
  size_t done = 0;
  count = std::max<int64_t>(count, -1);  // -1: all
  for (size_t at = bytes.find(from.bytes()); at != std::string::npos && count != 0;
       at = bytes.find(from.bytes(), done)) {
    out.append(text, done, at);
    out.append(to);
    done = at + from.size();
    count -= count > 0 ? 1 : 0;
  }
  out.append(text, done, text.size());
  return out;
}

TracedText cased(const TracedText& text, std::string_view how) {
  bool in_word = false, first = true;
  return text.mapped([&](std::string_view part) {
    std::string out;
    for (size_t i = 0; i < part.size();) {
      const Utf8Char c = utf8_front(part.substr(i));
      if (c.length == 0) {
        out += part[i++];
        continue;
      }
      const bool upper = how == "upper" || (how == "title" && !in_word) || (how == "capitalize" && first);
      const auto code = static_cast<utf8proc_int32_t>(c.code);
      if (upper && c.code == 0xDF) {  // the one common letter whose upper case is two
        out += how == "upper" ? "SS" : "Ss";
      } else {
        append_utf8(out, static_cast<uint32_t>(upper ? utf8proc_toupper(code) : utf8proc_tolower(code)));
      }
      in_word = is_cased(c.code);
      first = false;
      i += static_cast<size_t>(c.length);
    }
    return out;
  });
}

Result<Value> percent_format(const TracedText& format, const std::vector<Value>& values, Heap& heap) {
  TracedText out;
  const std::string& bytes = format.bytes();
  size_t next = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t percent = std::min(bytes.find('%', i), bytes.size());
    out.append(format, i, percent);
    if (percent == bytes.size()) break;
    i = percent + 1;
    const Directive d = directive(bytes, i);
    if (d.letter == '%') {
      out.append("%", format.source_at(percent));
      continue;
    }
    if (next >= values.size())
      return fail(Code::kInvalidArgument, "found a format for more than {} values", values.size());
    BANTAM_ASSIGN(const TracedText text, formatted(d, values[next++], heap));
    const size_t width = characters(text.bytes()).size() - 1;
    const size_t room = static_cast<size_t>(d.width) > width ? static_cast<size_t>(d.width) - width : 0;
    const bool zeros = d.zero && !d.left && d.letter != 's' && d.letter != 'r';
    const size_t sign = zeros && !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+') ? 1 : 0;
    out.append(text, 0, sign);
    if (!d.left) out.append(std::string(room, zeros ? '0' : ' '), kFromTemplate);
    out.append(text, sign, text.size());
    if (d.left) out.append(std::string(room, ' '), kFromTemplate);
    BANTAM_TRY(heap.charge(room));
  }
  if (next < values.size())
    return fail(Code::kInvalidArgument, "found {} values, expected {}, one for each %", values.size(), next);
  BANTAM_TRY(heap.charge(out.size()));
  return heap.text(std::move(out));
}

Result<const TracedText*> text_argument(const Call& call, size_t index, std::string_view name,
                                        std::string_view of) {
  const auto value = call.get(index, name);
  if (!value || !value->is(Kind::kText))
    return fail(Code::kInvalidArgument, "{}: found {} as argument {}, expected a text", of,
                value ? kind_name(*value) : "nothing", index + 1);
  return value->text;
}

Result<int64_t> int_argument(const Call& call, size_t index, std::string_view name, int64_t fallback,
                             std::string_view of) {
  const auto value = call.get(index, name);
  if (!value || value->is(Kind::kNone)) return fallback;
  if (value->is(Kind::kInt) || value->is(Kind::kBool)) return value->as_int();
  return fail(Code::kInvalidArgument, "{}: found {} as argument {}, expected an integer", of,
              kind_name(*value), index + 1);
}

}  // namespace bantam::text::jinja
