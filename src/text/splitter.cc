#include "text/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <span>

#include "base/utf8.h"

namespace bantam::text {
namespace {

// White space is written out as a class: PCRE2's own \s counts U+180E in, Unicode's White_Space property does
// not.
#define BANTAM_SPACE "\\t-\\r\\x{85}\\p{Z}"
constexpr std::string_view kGpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" BANTAM_SPACE "\\p{L}\\p{N}]+|[" BANTAM_SPACE
    "]+(?![^" BANTAM_SPACE "])|[" BANTAM_SPACE "]+";
// GPT-4's shape; the two families differ in how many digits stay together.
#define BANTAM_GPT4(digits)                                                                         \
  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
  "| ?[^" BANTAM_SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" BANTAM_SPACE "]*[\\r\\n]+|[" BANTAM_SPACE        \
  "]+(?![^" BANTAM_SPACE                                                                            \
  "])|"                                                                                             \
  "[" BANTAM_SPACE "]+"

struct Scheme {
  std::string_view name;
  std::vector<std::string_view> patterns;
};

/// The schemes of llama.cpp's vocabularies, by its names (llama-vocab.cpp); each is tested against that
/// program's own ids where such are at hand.
const std::vector<Scheme>& schemes() {
  static const std::vector<Scheme> all = {
      {"gpt-2", {kGpt2}},
      {"mpt", {kGpt2}},
      {"default", {"[\\p{P}$+<=>^~|]+", kGpt2, "\\p{N}+", "[0-9][0-9][0-9]"}},
      {"falcon", {"[\\p{P}$+<=>^~|`]+", kGpt2, "[0-9][0-9][0-9]"}},
      {"starcoder", {"\\p{N}", kGpt2}},
      {"refact", {"\\p{N}", kGpt2}},
      {"smollm", {"\\p{N}", kGpt2}},
      {"llama-bpe", {BANTAM_GPT4("\\p{N}{1,3}")}},
      {"qwen2", {BANTAM_GPT4("\\p{N}")}},
  };
  return all;
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
  auto scheme = std::ranges::find(schemes(), pre, &Scheme::name);
  if (scheme == schemes().end()) {
    std::string names;
    for (const auto& s : schemes()) names.append(names.empty() ? "" : ", ").append(s.name);
    return fail(Code::kUnsupported, "tokenizer.ggml.pre: found \"{}\", expected one of {}", pre, names);
  }
  Splitter out;
  out.name_ = scheme->name;
  for (std::string_view text : scheme->patterns) {
    int error = 0;
    PCRE2_SIZE where = 0;
    auto pattern = std::make_unique<Pattern>();
    pattern->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF, &error,
                                  &where, nullptr);
    if (pattern->code == nullptr) {
      return fail(Code::kInternal, "splitter {}: pattern at {}: {}", pre, where, pcre2_message(error));
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

Status Splitter::stage(size_t index, std::string_view text,
                       const std::function<void(std::string_view)>& piece) const {
  if (index == patterns_.size()) {
    piece(text);
    return {};
  }
  const pcre2_code* code = patterns_[index]->code;
  std::unique_ptr<pcre2_match_data, FreeMatch> match(pcre2_match_data_create(1, nullptr));
  if (match == nullptr) return fail(Code::kLimit, "splitter {}: out of memory", name_);
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
  size_t done = 0;
  while (done < text.size()) {
    int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), done,
                            PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) return fail(Code::kInternal, "splitter {}: {}", name_, pcre2_message(found));
    size_t begin = range[0], end = range[1];
    if (begin > done) BANTAM_TRY(stage(index + 1, text.substr(done, begin - done), piece));
    BANTAM_TRY(stage(index + 1, text.substr(begin, end - begin), piece));
    done = end;  // no pattern above matches the empty text
  }
  return done < text.size() ? stage(index + 1, text.substr(done), piece) : Status{};
}

}  // namespace bantam::text
