#include "text/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <span>

#include "base/utf8.h"
#include "text/splitter_schemes.h"

namespace bantam::text {
namespace {

// White space is written out as a class: PCRE2's own \s counts U+180E in, Unicode's White_Space property does
// not.
constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";

/// A published pattern as PCRE2 is to read it: \s and \S by Unicode's White_Space, \h as Oniguruma's
/// hexadecimal digit, \uXXXX by code point. Errors: kUnsupported for an intersection of classes.
Result<std::string> as_pcre2(std::string_view published) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < published.size(); ++i) {
    const char c = published[i];
    if (c != '\\' || i + 1 >= published.size()) {
      if (in_class && c == '&' && published.substr(i).starts_with("&&"))
        return fail(Code::kUnsupported, "pattern: found && at {}, expected no intersection of classes", i);
      if (!in_class && c == '[') {
        in_class = true;
        out += c;
        if (i + 1 < published.size() && published[i + 1] == '^') out += published[++i];
        if (i + 1 < published.size() && published[i + 1] == ']') out += published[++i];
        continue;
      }
      if (in_class && c == '[') {  // Oniguruma would open a class of its own
        out += "\\[";
        continue;
      }
      if (in_class && c == ']') in_class = false;
      out += c;
      continue;
    }
    const char letter = published[++i];
    if (letter == 's') {
      out.append(in_class ? "" : "[").append(kSpace).append(in_class ? "" : "]");
    } else if (letter == 'S' && !in_class) {
      out.append("[^").append(kSpace).append("]");
    } else if (letter == 'h') {
      out += in_class ? "0-9a-fA-F" : "[0-9a-fA-F]";
    } else if (letter == 'u' && i + 4 < published.size()) {
      out.append("\\x{").append(published.substr(i + 1, 4)).append("}");
      i += 4;
    } else {
      out.append(1, '\\').append(1, letter);
    }
  }
  return out;
}

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Splitter::Pattern {
  pcre2_code* code = nullptr;
  ~Pattern() { pcre2_code_free(code); }
};

Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;
Splitter::~Splitter() = default;

Result<Splitter> Splitter::create(std::string_view pre) {
  if (const SplitScheme* scheme = find_split_scheme(pre))
    return from_patterns(std::string(pre), scheme->patterns);
  std::string names;
  for (const auto& scheme : split_schemes()) {
    for (std::string_view name : scheme.names) names.append(names.empty() ? "" : ", ").append(name);
  }
  return fail(Code::kUnsupported, "tokenizer.ggml.pre: found \"{}\", expected one of {}", pre, names);
}

Result<Splitter> Splitter::from_patterns(std::string name, std::span<const std::string_view> patterns) {
  Splitter out;
  out.name_ = std::move(name);
  for (std::string_view published : patterns) {
    BANTAM_ASSIGN(const std::string text, as_pcre2(published));
    int error = 0;
    PCRE2_SIZE where = 0;
    auto pattern = std::make_unique<Pattern>();
    pattern->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF, &error,
                                  &where, nullptr);
    if (pattern->code == nullptr) {
      return fail(Code::kUnsupported, "splitter {}: found \"{}\", wrong at {}: {}", out.name_, text, where,
                  pcre2_message(error));
    }
    pcre2_jit_compile(pattern->code,
                      PCRE2_JIT_COMPLETE);  // where it fails, matching is slower, not different
    out.patterns_.push_back(std::move(pattern));
  }
  return out;
}

Status Splitter::split(std::string_view text, const std::function<void(std::string_view)>& piece) const {
  while (!text.empty()) {
    size_t broken = std::min(find_broken_utf8(text), text.size());
    if (broken > 0) BANTAM_TRY(stage(0, text.substr(0, broken), piece));
    if (broken < text.size()) piece(text.substr(broken, 1));
    text.remove_prefix(std::min(broken + 1, text.size()));
  }
  return {};
}

Status Splitter::matches(std::string_view text,
                         const std::function<void(std::string_view, bool match)>& piece) const {
  while (!text.empty()) {
    const size_t broken = std::min(find_broken_utf8(text), text.size());
    if (broken > 0) BANTAM_TRY(each_match(0, text.substr(0, broken), piece));
    if (broken < text.size()) piece(text.substr(broken, 1), false);
    text.remove_prefix(std::min(broken + 1, text.size()));
  }
  return {};
}

Status Splitter::stage(size_t index, std::string_view text,
                       const std::function<void(std::string_view)>& piece) const {
  if (index == patterns_.size()) {
    piece(text);
    return {};
  }
  Status status;
  BANTAM_TRY(each_match(index, text, [&](std::string_view part, bool) {
    if (!status) return;
    if (index + 1 == patterns_.size()) {
      piece(part);
    } else {
      status = stage(index + 1, part, piece);
    }
  }));
  return status;
}

template <class Piece>
Status Splitter::each_match(size_t index, std::string_view text, const Piece& piece) const {
  const pcre2_code* code = patterns_[index]->code;
  // One for each nesting of stages, as the outer ones are still in use.
  thread_local std::vector<std::unique_ptr<pcre2_match_data, FreeMatch>> matches;
  if (matches.size() <= index) matches.resize(index + 1);
  if (matches[index] == nullptr) matches[index].reset(pcre2_match_data_create(1, nullptr));
  pcre2_match_data* const match = matches[index].get();
  if (match == nullptr) return fail(Code::kLimit, "splitter {}: out of memory", name_);
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                                  PCRE2_NO_UTF_CHECK, match, nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) return fail(Code::kInternal, "splitter {}: {}", name_, pcre2_message(found));
    const size_t begin = range[0], end = range[1];
    if (end <= begin) {  // a pattern of a file may match nothing: look on from the next character
      at = std::max(begin, at);
      if (at >= text.size()) break;
      at += static_cast<size_t>(std::max(utf8_front(text.substr(at)).length, 1));
      continue;
    }
    if (begin > done) piece(text.substr(done, begin - done), false);
    piece(text.substr(begin, end - begin), true);
    done = at = end;
  }
  if (done < text.size()) piece(text.substr(done), false);
  return {};
}

}  // namespace bantam::text
