#include "runtime/grammar/regex.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/utf8.h"

namespace bantam::runtime::grammar {
namespace {

constexpr int kDeepestGroup = 100;
constexpr size_t kMostNfaStates = 100'000;
constexpr uint32_t kMostRepeats = 10'000;

const CodeSet kDigits{{'0', '9'}};
const CodeSet kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CodeSet kSpace{{9, 13},          {32, 32},         {0xA0, 0xA0},     {0x1680, 0x1680},
                     {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                     {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const CodeSet kLineEnds{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

/// A recursive-descent parser that emits Thompson's construction as it goes.
class Parser {
 public:
  Parser(std::string_view text, Nfa& nfa) : whole_(text), text_(text), nfa_(nfa) {}

  struct Part {
    int begin, end;
  };

  Result<Part> parse() {
    BANTAM_ASSIGN(Part part, alternatives(0));
    if (!text_.empty()) return broken("an unmatched ')'");
    return part;
  }

 private:
  std::unexpected<Error> broken(std::string_view what) const {
    return fail(Code::kInvalidArgument, "pattern '{}': found {} at byte {}", whole_, what,
                static_cast<size_t>(text_.data() - whole_.data()));
  }
  std::unexpected<Error> unsupported(std::string_view what) const {
    return fail(Code::kUnsupported, "pattern '{}': {} is not supported", whole_, what);
  }
  bool take(std::string_view prefix) {
    if (!text_.starts_with(prefix)) return false;
    text_.remove_prefix(prefix.size());
    return true;
  }
  void link(int from, int to) { nfa_.states[static_cast<size_t>(from)].free.push_back(to); }
  Part empty() {
    const int state = nfa_.add();
    return {state, state};
  }
  Part set(CodeSet codes) {
    const int begin = nfa_.add(), end = nfa_.add();
    nfa_.states[static_cast<size_t>(begin)].edges.push_back(
        {nfa_.add_set(normalised(std::move(codes))), end});
    return {begin, end};
  }

  Result<Part> alternatives(int depth) {
    if (depth > kDeepestGroup)
      return fail(Code::kLimit, "pattern: found more than {} nested groups", kDeepestGroup);
    Part out{nfa_.add(), nfa_.add()};
    do {
      BANTAM_ASSIGN(Part part, sequence(depth));
      link(out.begin, part.begin);
      link(part.end, out.end);
    } while (take("|"));
    return out;
  }

  Result<Part> sequence(int depth) {
    Part out = empty();
    while (!text_.empty() && text_.front() != '|' && text_.front() != ')') {
      const std::string_view before = text_;
      BANTAM_ASSIGN(Part part, atom(depth));
      const std::string_view source = before.substr(0, before.size() - text_.size());
      BANTAM_ASSIGN(part, repeated(part, source, depth));
      link(out.end, part.begin);
      out.end = part.end;
      if (nfa_.states.size() > kMostNfaStates) {
        return fail(Code::kLimit, "pattern '{}': found more than {} states", whole_.substr(0, 100),
                    kMostNfaStates);
      }
    }
    return out;
  }

  Result<Part> atom(int depth) {
    if (take("^") || take("$")) {
      Part out{nfa_.add(), nfa_.add()};
      auto& state = nfa_.states[static_cast<size_t>(out.begin)];
      (text_.data()[-1] == '^' ? state.at_begin : state.at_end).push_back(out.end);
      return out;
    }
    if (take("(")) return group(depth);
    if (take("[")) return bracket();
    if (take(".")) return set(complement(kLineEnds));
    if (take("\\")) {
      BANTAM_ASSIGN(CodeSet codes, escape(false));
      return set(std::move(codes));
    }
    if (std::string_view("*+?").find(text_.front()) != std::string_view::npos)
      return broken("nothing to repeat");
    BANTAM_ASSIGN(uint32_t code, character());
    return set({{code, code}});
  }

  Result<Part> group(int depth) {
    if (text_.starts_with("?=") || text_.starts_with("?!") || text_.starts_with("?<=") ||
        text_.starts_with("?<!")) {
      return unsupported("look-around");
    }
    if (take("?<")) {
      const size_t end = text_.find('>');
      if (end == std::string_view::npos) return broken("a group's name without end");
      text_.remove_prefix(end + 1);
    } else if (!take("?:") && text_.starts_with("?")) {
      return unsupported("this kind of group");
    }
    BANTAM_ASSIGN(Part part, alternatives(depth + 1));
    if (!take(")")) return broken("a group without end");
    return part;
  }

  Result<uint32_t> character() {
    const auto front = utf8_front(text_);
    if (front.length == 0) return broken("bytes that are not UTF-8");
    text_.remove_prefix(front.length);
    return static_cast<uint32_t>(front.code);
  }

  Result<uint32_t> hex(size_t digits) {
    uint32_t value = 0;
    if (text_.size() < digits) return broken("an escape without end");
    for (size_t i = 0; i < digits; ++i) {
      const char c = text_[i];
      if (!std::isxdigit(static_cast<unsigned char>(c))) return broken("an escape that is not hexadecimal");
      value = value * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    text_.remove_prefix(digits);
    return value;
  }

  Result<uint32_t> unicode_escape() {
    if (take("{")) {
      const size_t end = text_.find('}');
      if (end == std::string_view::npos || end == 0 || end > 6) return broken("a broken \\u{…}");
      BANTAM_ASSIGN(uint32_t code, hex(end));
      text_.remove_prefix(1);
      return code;
    }
    BANTAM_ASSIGN(uint32_t high, hex(4));
    if (high < 0xD800 || high > 0xDBFF || !text_.starts_with("\\u")) return high;
    const std::string_view before = text_;
    text_.remove_prefix(2);
    BANTAM_ASSIGN(uint32_t low, hex(4));
    if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    text_ = before;
    return high;
  }

  Result<CodeSet> escape(bool in_class) {
    if (text_.empty()) return broken("a backslash at the end");
    const char c = text_.front();
    text_.remove_prefix(1);
    const auto one = [](uint32_t code) { return CodeSet{{code, code}}; };
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return complement(kDigits);
      case 'w':
        return kWord;
      case 'W':
        return complement(kWord);
      case 's':
        return kSpace;
      case 'S':
        return complement(kSpace);
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'v':
        return one('\v');
      case 'f':
        return one('\f');
      case 'x': {
        BANTAM_ASSIGN(uint32_t code, hex(2));
        return one(code);
      }
      case 'u': {
        BANTAM_ASSIGN(uint32_t code, unicode_escape());
        return one(code);
      }
      case 'c': {
        if (text_.empty() || !std::isalpha(static_cast<unsigned char>(text_.front())))
          return broken("a broken \\c");
        const uint32_t code = static_cast<uint32_t>(text_.front()) % 32;
        text_.remove_prefix(1);
        return one(code);
      }
      case 'b':
        if (in_class) return one('\b');
        return unsupported("\\b");
      case 'B':
        return unsupported("\\B");
      case 'p':
      case 'P':
        return unsupported("\\p{…}");
      case 'k':
        return unsupported("a back reference");
      case '0':
        if (text_.empty() || !std::isdigit(static_cast<unsigned char>(text_.front()))) return one(0);
        return unsupported("an octal escape");
      default:
        break;
    }
    if (c >= '1' && c <= '9') return unsupported("a back reference");
    if (std::isalpha(static_cast<unsigned char>(c))) return broken("an unknown escape");
    text_ = {text_.data() - 1, text_.size() + 1};
    BANTAM_ASSIGN(uint32_t code, character());
    return one(code);
  }

  /// One end of a range in a class, or a class escape.
  Result<CodeSet> class_member() {
    if (take("\\")) return escape(true);
    BANTAM_ASSIGN(uint32_t code, character());
    return CodeSet{{code, code}};
  }

  Result<Part> bracket() {
    const bool negated = take("^");
    CodeSet codes;
    while (!text_.empty() && text_.front() != ']') {
      BANTAM_ASSIGN(CodeSet first, class_member());
      const bool single = first.size() == 1 && first[0].first == first[0].second;
      if (single && text_.size() > 1 && text_[0] == '-' && text_[1] != ']') {
        text_.remove_prefix(1);
        BANTAM_ASSIGN(CodeSet last, class_member());
        if (last.size() != 1 || last[0].first != last[0].second) {  // [a-\d]: the hyphen stands for itself
          codes.emplace_back('-', '-');
          codes.insert(codes.end(), last.begin(), last.end());
        } else if (last[0].first < first[0].first) {
          return broken("a range whose end is before its begin");
        } else {
          first[0].second = last[0].second;
        }
      }
      codes.insert(codes.end(), first.begin(), first.end());
    }
    if (!take("]")) return broken("a class without end");
    codes = normalised(std::move(codes));
    return set(negated ? complement(codes) : codes);
  }

  /// The number at the front, or nothing. Beyond what is allowed any number is as good as another.
  std::optional<uint32_t> number() {
    size_t n = 0;
    uint32_t value = 0;
    while (n < text_.size() && std::isdigit(static_cast<unsigned char>(text_[n]))) {
      value = std::min(value * 10 + static_cast<uint32_t>(text_[n++] - '0'), kMostRepeats + 1);
    }
    if (n == 0) return std::nullopt;
    text_.remove_prefix(n);
    return value;
  }

  Result<Part> repeated(Part part, std::string_view source, int depth) {
    constexpr uint32_t kNoMost = UINT32_MAX;
    uint32_t least = 1, most = 1;
    if (take("*")) {
      least = 0, most = kNoMost;
    } else if (take("+")) {
      most = kNoMost;
    } else if (take("?")) {
      least = 0;
    } else if (text_.starts_with("{")) {
      const std::string_view before = text_;
      text_.remove_prefix(1);
      const auto first = number();
      const bool comma = first && take(",");
      const auto second = comma ? number() : std::nullopt;
      if (!first || !take("}")) {  // a brace that stands for itself
        text_ = before;
        return part;
      }
      least = *first;
      most = comma ? second.value_or(kNoMost) : least;
    } else {
      return part;
    }
    take("?");
    if (least > most) return broken("a repetition {n,m} with n above m");
    if (std::max(least, most == kNoMost ? 0 : most) > kMostRepeats) {
      return fail(Code::kLimit, "pattern '{}': found a repetition of more than {}", whole_, kMostRepeats);
    }
    return copies(part, source, depth, least, most);
  }

  /// The part itself, and as many copies of it, parsed again from its source, as the repetition takes.
  Result<Part> copies(Part part, std::string_view source, int depth, uint32_t least, uint32_t most) {
    const std::string_view rest = text_;
    Part out = empty();
    const uint32_t count = most == UINT32_MAX ? std::max(least, 1U) : most;
    const int end = nfa_.add();
    for (uint32_t i = 0; i < count; ++i) {
      if (i > 0) {
        text_ = source;
        BANTAM_ASSIGN(part, atom(depth));
      }
      if (nfa_.states.size() > kMostNfaStates) {
        return fail(Code::kLimit, "pattern '{}': found more than {} states", whole_.substr(0, 100),
                    kMostNfaStates);
      }
      if (i >= least) link(out.end, end);
      link(out.end, part.begin);
      if (most == UINT32_MAX && i + 1 == count) link(part.end, part.begin);
      out.end = part.end;
    }
    text_ = rest;
    link(out.end, end);
    out.end = end;
    return out;
  }

  std::string_view whole_, text_;
  Nfa& nfa_;
};

}  // namespace

Status add_pattern(std::string_view pattern, bool whole, int tag, Nfa& nfa) {
  BANTAM_ASSIGN(Parser::Part part, Parser(pattern, nfa).parse());
  const int end = nfa.add();
  nfa.states[static_cast<size_t>(end)].tag = tag;
  int start = part.begin;
  auto& finish = nfa.states[static_cast<size_t>(part.end)];
  if (whole) {
    finish.at_end.push_back(end);
  } else {
    finish.free.push_back(end);
    const int any = nfa.add_set(any_character());
    nfa.states[static_cast<size_t>(end)].edges.push_back({any, end});
    start = nfa.add();
    nfa.states[static_cast<size_t>(start)].edges.push_back({any, start});
    nfa.states[static_cast<size_t>(start)].free.push_back(part.begin);
  }
  nfa.starts.push_back(start);
  return {};
}

Result<CharDfa> pattern_dfa(std::string_view pattern, bool whole) {
  Nfa nfa;
  BANTAM_TRY(add_pattern(pattern, whole, 0, nfa));
  return CharDfa::build(nfa);
}

}  // namespace bantam::runtime::grammar
