#include "collab/redact.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "collab/recognise.h"

namespace bantam::collab {
namespace {

struct Known {
  const char* option;  // in the config
  const char* name;    // in a placeholder
};
/// In order of rank: what a finding is called where several overlap.
constexpr std::array<Known, 7> kTypes{{{"card", "CARD"},
                                       {"iban", "IBAN"},
                                       {"email", "EMAIL"},
                                       {"ip", "IP"},
                                       {"address", "ADDRESS"},
                                       {"name", "NAME"},
                                       {"phone", "PHONE"}}};
constexpr unsigned kOwnRank = 100, kLiteralRank = 200;
const Type kLiteral{"TEXT", kLiteralRank};

/// What a placeholder looks like.
constexpr const char* kPlaceholder = R"(\[[A-Z][A-Z0-9_]{0,39}_[0-9]{1,19}\])";

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 40 && text[0] >= 'A' && text[0] <= 'Z' &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos;
}

Result<std::unique_ptr<re2::RE2>> compile(const std::string& pattern, std::string_view what) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto made = std::make_unique<re2::RE2>(pattern, options);
  if (!made->ok()) return fail(Code::kInvalidArgument, "{}: found '{}': {}", what, pattern, made->error());
  return made;
}

}  // namespace

struct Redactor::Parts {
  struct Pattern {
    std::unique_ptr<re2::RE2> pattern;
    Type type;
  };
  std::array<Type, kTypes.size()> types;
  std::array<bool, kTypes.size()> wanted{};
  Terms names, addresses;
  std::vector<Pattern> patterns;
  std::unique_ptr<re2::RE2> placeholder;

  const Type* type(std::string_view option) const {
    for (size_t i = 0; i < kTypes.size(); ++i) {
      if (kTypes[i].option == option) return wanted[i] ? &types[i] : nullptr;
    }
    return nullptr;
  }
  Status add(const std::string& pattern, Type type, std::string_view what) {
    BANTAM_ASSIGN(auto made, compile(pattern, what));
    patterns.push_back({std::move(made), std::move(type)});
    return {};
  }
  void run(std::string_view text, Spans& out) const {
    if (const Type* t = type("card")) find_cards(text, *t, out);
    if (const Type* t = type("iban")) find_ibans(text, *t, out);
    if (const Type* t = type("ip")) find_ips(text, *t, out);
    if (const Type* t = type("phone")) find_phones(text, *t, out);
    if (const Type* t = type("name")) {
      names.find(text, *t, out);
      find_names(text, *t, out);
    }
    if (const Type* t = type("address")) addresses.find(text, *t, out);
    for (const Pattern& p : patterns) find_pattern(text, *p.pattern, p.type, out);
    find_pattern(text, *placeholder, kLiteral, out);
  }
};

Redactor::Redactor() : parts_(std::make_unique<Parts>()) {}
Redactor::~Redactor() = default;

Result<std::shared_ptr<const Redactor>> Redactor::create(const RedactorOptions& options) {
  std::shared_ptr<Redactor> out(new Redactor());
  Parts& parts = *out->parts_;
  for (size_t i = 0; i < kTypes.size(); ++i) {
    parts.types[i] = {kTypes[i].name, static_cast<unsigned>(i)};
    parts.wanted[i] = options.types.empty() || std::find(options.types.begin(), options.types.end(),
                                                         kTypes[i].option) != options.types.end();
  }
  for (const std::string& type : options.types) {
    bool known = std::any_of(kTypes.begin(), kTypes.end(), [&](const Known& k) { return type == k.option; });
    if (!known)
      return fail(Code::kInvalidArgument,
                  "types: found '{}', expected card, iban, email, ip, address, name or phone", type);
  }
  for (auto [option, patterns] :
       {std::pair("email", email_patterns()), std::pair("address", address_patterns())}) {
    const Type* type = parts.type(option);
    if (!type) continue;
    for (const std::string& pattern : patterns) BANTAM_TRY(parts.add(pattern, *type, option));
  }
  for (const std::string& term : options.names) parts.names.add(term);
  for (const std::string& term : options.addresses) parts.addresses.add(term);
  for (const OwnPattern& own : options.patterns) {
    if (!is_name(own.name))
      return fail(Code::kInvalidArgument,
                  "patterns.name: found '{}', expected capital letters, digits and _, at most 40", own.name);
    BANTAM_TRY(parts.add(own.pattern, {own.name, kOwnRank}, "patterns.pattern"));
  }
  BANTAM_ASSIGN(parts.placeholder, compile(kPlaceholder, "placeholder"));
  return out;
}

std::vector<Finding> Redactor::find(std::string_view text) const {
  Folded folded = fold(text);
  Spans spans;
  parts_->run(folded.text, spans);
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return std::pair(a.begin, b.end) < std::pair(b.begin, a.end);
  });
  // Overlapping ones become one: of two that cover different parts neither part may stay.
  Spans joined;
  for (const Span& span : spans) {
    if (joined.empty() || span.begin >= joined.back().end) {
      joined.push_back(span);
      continue;
    }
    Span& last = joined.back();
    last.end = std::max(last.end, span.end);
    if (span.rank < last.rank) {
      last.rank = span.rank;
      last.type = span.type;
    }
  }
  std::vector<Finding> out;
  for (const Span& span : joined) out.push_back({folded.at[span.begin], folded.at[span.end], *span.type});
  return out;
}

Conversations::Numbers Conversations::get(const std::string& caller, const std::string& conversation) {
  if (conversation.empty()) return {};
  std::lock_guard lock(mutex_);
  auto found = known_.find({caller, conversation});
  if (found == known_.end()) return {};
  found->second.first = ++clock_;
  return found->second.second;
}

void Conversations::put(const std::string& caller, const std::string& conversation, Numbers numbers) {
  if (conversation.empty() || numbers.last.empty()) return;
  std::lock_guard lock(mutex_);
  known_[{caller, conversation}] = {++clock_, std::move(numbers)};
  if (known_.size() <= kMost) return;
  auto oldest = std::min_element(known_.begin(), known_.end(), [](const auto& a, const auto& b) {
    return a.second.first < b.second.first;
  });
  known_.erase(oldest);
}

}  // namespace bantam::collab
