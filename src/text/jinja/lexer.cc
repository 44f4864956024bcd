#include "text/jinja/lexer.h"

#include <algorithm>
#include <optional>

#include "base/utf8.h"

namespace bantam::text::jinja {
namespace {

constexpr size_t kLargest = size_t{4} << 20;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// Line ends as "\n" only, and the last one dropped.
std::string plain_lines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else if (i + 1 >= source.size() || source[i + 1] != '\n') {
      out += '\n';
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = find_tag(at_);
      const bool known = tag != std::string_view::npos;
      const char kind = known ? source_[tag + 1] : '\0';
      data(source_.substr(at_, known ? tag - at_ : std::string_view::npos), kind,
           known && tag + 2 < source_.size() ? source_[tag + 2] : '\0');
      if (!known) break;
      advance_to(tag + 2);
      if (kind == '#') {
        BANTAM_TRY(comment());
        continue;
      }
      if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
      if (kind == '%' && raw_follows()) {
        BANTAM_TRY(raw());
        continue;
      }
      add(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, {});
      BANTAM_TRY(tag_body(kind));
    }
    add(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  std::unexpected<Error> error(std::string_view found, std::string_view expected) const {
    return fail(Code::kCorrupt, "line {}: found {}, expected {}", line_, found, expected);
  }
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  size_t find_tag(size_t from) const {
    for (size_t i = source_.find('{', from); i != std::string_view::npos; i = source_.find('{', i + 1)) {
      if (i + 1 < source_.size() && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#'))
        return i;
    }
    return std::string_view::npos;
  }

  void advance_to(size_t place) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                         source_.begin() + static_cast<ptrdiff_t>(place), '\n'));
    at_ = place;
  }

  /// Text before a tag of this kind ('\0' at the end) whose next character is `sign`.
  void data(std::string_view text, char kind, char sign) {
    const size_t whole = text.size();
    if (strip_next_) {
      while (!text.empty() && is_space(text[0])) text.remove_prefix(1);
    }
    const bool from_line_start = line_start_ && text.size() == whole;
    strip_next_ = false;
    if (kind != '\0' && sign == '-') {
      while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    } else if ((kind == '%' || kind == '#') && sign != '+') {
      const size_t line_end = text.rfind('\n');
      const size_t begin = line_end == std::string_view::npos ? 0 : line_end + 1;
      const bool blank = std::ranges::all_of(text.substr(begin), is_space);
      if (blank && (begin > 0 || from_line_start)) text = text.substr(0, begin);
    }
    if (!text.empty()) add(TokenKind::kData, std::string(text));
  }

  /// What follows the end of a block or comment: a "-" strips all white space, else one line end goes.
  void after_block(bool minus, bool plus) {
    line_start_ = false;
    if (minus) {
      strip_next_ = true;
      size_t end = at_;
      while (end < source_.size() && is_space(source_[end])) ++end;
      line_start_ = end > at_ && source_[end - 1] == '\n';
      advance_to(end);
    } else if (!plus && at_ < source_.size() && source_[at_] == '\n') {
      advance_to(at_ + 1);
      line_start_ = true;
    }
  }

  Status comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) return error("a comment without end", "#}");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    advance_to(end + 2);
    after_block(sign == '-', sign == '+');
    return {};
  }

  /// "raw %}" at this place, with or without signs.
  bool raw_follows() const { return raw_tag(at_, "raw").has_value(); }

  struct RawTag {
    size_t end;
    bool minus, plus;
  };
  std::optional<RawTag> raw_tag(size_t i, std::string_view name) const {
    auto skip = [&] {
      while (i < source_.size() && is_space(source_[i])) ++i;
    };
    skip();
    if (!source_.substr(i).starts_with(name)) return std::nullopt;
    i += name.size();
    skip();
    const bool minus = source_.substr(i).starts_with("-"), plus = source_.substr(i).starts_with("+");
    if (minus || plus) ++i;
    if (!source_.substr(i).starts_with("%}")) return std::nullopt;
    return RawTag{i + 2, minus, plus};
  }

  Status raw() {
    const RawTag open = *raw_tag(at_, "raw");
    advance_to(open.end);
    after_block(open.minus, open.plus);
    for (size_t tag = source_.find("{%", at_); tag != std::string_view::npos;
         tag = source_.find("{%", tag + 1)) {
      size_t inner = tag + 2;
      const char sign = inner < source_.size() ? source_[inner] : '\0';
      if (sign == '-' || sign == '+') ++inner;
      if (const auto close = raw_tag(inner, "endraw")) {
        data(source_.substr(at_, tag - at_), '%', sign);
        advance_to(close->end);
        after_block(close->minus, close->plus);
        return {};
      }
    }
    return error("a raw block without end", "{% endraw %}");
  }

  Status tag_body(char kind) {
    const std::string_view close = kind == '%' ? "%}" : "}}";
    std::string open;  // brackets that wait for their end
    while (true) {
      while (at_ < source_.size() && is_space(source_[at_])) advance_to(at_ + 1);
      if (at_ >= source_.size()) return error("a tag without end", close);
      const std::string_view rest = source_.substr(at_);
      const bool sign = rest[0] == '-' || rest[0] == '+';
      if (open.empty() && (rest.starts_with(close) || (sign && rest.substr(1).starts_with(close)))) {
        add(kind == '%' ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, {});
        advance_to(at_ + (sign ? 3 : 2));
        if (kind == '%' || rest[0] == '-') {
          after_block(rest[0] == '-', rest[0] == '+');
        } else {
          line_start_ = false;
        }
        return {};
      }
      BANTAM_TRY(token(rest, open));
    }
  }

  Status token(std::string_view rest, std::string& open) {
    const char c = rest[0];
    if (is_name_start(c)) {
      size_t end = 1;
      while (end < rest.size() && (is_name_start(rest[end]) || is_digit(rest[end]))) ++end;
      add(TokenKind::kName, std::string(rest.substr(0, end)));
      at_ += end;
      return {};
    }
    if (is_digit(c)) {
      number(rest);
      return {};
    }
    if (c == '"' || c == '\'') return string(rest);
    return operation(rest, open);
  }

  void number(std::string_view rest) {
    std::string text;
    size_t i = 0;
    bool real = false;
    auto digits = [&] {
      for (; i < rest.size() && (is_digit(rest[i]) || rest[i] == '_'); ++i) {
        if (rest[i] != '_') text += rest[i];
      }
    };
    digits();
    if (i + 1 < rest.size() && rest[i] == '.' && is_digit(rest[i + 1])) {
      real = true;
      text += rest[i++];
      digits();
    }
    size_t sign = i + 1 < rest.size() && (rest[i + 1] == '-' || rest[i + 1] == '+') ? 1 : 0;
    if (i + 1 + sign < rest.size() && (rest[i] == 'e' || rest[i] == 'E') && is_digit(rest[i + 1 + sign])) {
      real = true;
      text += rest.substr(i, 1 + sign);
      i += 1 + sign;
      digits();
    }
    add(real ? TokenKind::kReal : TokenKind::kInteger, std::move(text));
    at_ += i;
  }

  Status string(std::string_view rest) {
    std::string text;
    size_t i = 1;
    while (i < rest.size() && rest[i] != rest[0]) {
      if (rest[i] == '\\' && i + 1 < rest.size()) {
        i = escape(rest, i + 1, text);
      } else {
        text += rest[i++];
      }
    }
    if (i >= rest.size()) return error("a string without end", "its closing quote");
    add(TokenKind::kString, std::move(text));
    advance_to(at_ + i + 1);
    return {};
  }

  /// Decodes the escape whose letter is at `i`; Python's, and an unknown one stays as it is. Returns the
  /// place behind.
  static size_t escape(std::string_view rest, size_t i, std::string& out) {
    constexpr std::string_view kLetters = "\\'\"nrtabfv", kPlain = "\\'\"\n\r\t\a\b\f\v";
    const char c = rest[i];
    if (const size_t at = kLetters.find(c); at != std::string_view::npos) {
      out += kPlain[at];
      return i + 1;
    }
    if (c == '\n') return i + 1;
    const size_t wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    size_t end = i + 1;
    for (; end < std::min(rest.size(), i + 1 + wanted); ++end) {
      const char d = rest[end];
      const int digit = is_digit(d)              ? d - '0'
                        : (d >= 'a' && d <= 'f') ? d - 'a' + 10
                        : (d >= 'A' && d <= 'F') ? d - 'A' + 10
                                                 : -1;
      if (digit < 0) break;
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    const bool whole = wanted > 0 && end == i + 1 + wanted;
    if (whole && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF)) {
      append_utf8(out, code);
      return end;
    }
    out.append(1, '\\').append(1, c);
    return i + 1;
  }

  Status operation(std::string_view rest, std::string& open) {
    constexpr std::string_view kTwo[] = {"==", "!=", "<=", ">=", "//", "**"};
    for (std::string_view two : kTwo) {
      if (rest.starts_with(two)) {
        add(TokenKind::kOperator, std::string(two));
        at_ += 2;
        return {};
      }
    }
    const char c = rest[0];
    constexpr std::string_view kOpening = "([{", kClosing = ")]}";
    if (kOpening.find(c) != std::string_view::npos) {
      open += c;
    } else if (const size_t at = kClosing.find(c); at != std::string_view::npos) {
      if (open.empty() || open.back() != kOpening[at])
        return error(fmt::format("\"{}\"", c),
                     open.empty() ? "an opening bracket before it" : "the other bracket's end");
      open.pop_back();
    } else if (std::string_view("+-*/%~<>|,.:=").find(c) == std::string_view::npos) {
      return error(fmt::format("the byte 0x{:02X}", static_cast<unsigned char>(c)), "an expression");
    }
    add(TokenKind::kOperator, std::string(1, c));
    ++at_;
    return {};
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool strip_next_ = false, line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> lex(std::string_view source) {
  if (source.size() > kLargest)
    return fail(Code::kLimit, "found {} bytes, expected at most {}", source.size(), kLargest);
  const std::string lines = plain_lines(source);
  return Lexer(lines).run();
}

}  // namespace bantam::text::jinja
