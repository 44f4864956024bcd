#include "text/special_tokens.h"

#include <algorithm>

namespace bantam::text {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";

struct RoleKey {
  std::string_view key;
  std::optional<TokenId> TokenRoles::*member;
};
constexpr RoleKey kRoleKeys[] = {
    {"bos_token_id", &TokenRoles::bos},         {"eos_token_id", &TokenRoles::eos},
    {"eot_token_id", &TokenRoles::eot},         {"eom_token_id", &TokenRoles::eom},
    {"unknown_token_id", &TokenRoles::unknown}, {"padding_token_id", &TokenRoles::padding}};

constexpr std::string_view kEnds = "tokenizer.ggml.eos_token_ids";

}  // namespace

bool TokenRoles::ends(TokenId id) const {
  return id == eos || id == eot || id == eom || std::ranges::find(more_ends, id) != more_ends.end();
}

Status TokenRoles::read(const formats::GgufFile& file, size_t vocab_size) {
  for (const auto& role : kRoleKeys) {
    std::string key = fmt::format("{}{}", kPrefix, role.key);
    if (file.find(key) != nullptr) {
      BANTAM_ASSIGN(uint64_t id, file.get_uint(key));
      if (id >= vocab_size) {
        return fail(Code::kCorrupt, "{}: {}: found {}, expected an id below {}", file.path(), key, id,
                    vocab_size);
      }
      this->*role.member = static_cast<TokenId>(id);
    } else if (this->*role.member && static_cast<size_t>(*(this->*role.member)) >= vocab_size) {
      this->*role.member = std::nullopt;
    }
  }
  if (file.find(kEnds) != nullptr) {
    BANTAM_ASSIGN(const auto ids, file.get_ints(kEnds));
    more_ends.clear();
    for (int64_t id : ids) {
      if (id < 0 || static_cast<uint64_t>(id) >= vocab_size)
        return fail(Code::kCorrupt, "{}: {}: found {}, expected ids below {}", file.path(), kEnds, id, vocab_size);
      more_ends.push_back(static_cast<TokenId>(id));
    }
  }
  BANTAM_ASSIGN(add_bos, file.get_bool_or("tokenizer.ggml.add_bos_token", add_bos));
  BANTAM_ASSIGN(add_eos, file.get_bool_or("tokenizer.ggml.add_eos_token", add_eos));
  if ((add_bos && !bos) || (add_eos && !eos)) {
    return fail(Code::kCorrupt,
                "{}: tokenizer.ggml.{}_token: found true, expected false for a vocabulary without that token",
                file.path(), add_bos && !bos ? "add_bos" : "add_eos");
  }
  return {};
}

void TokenRoles::save(formats::GgufWriter& file) const {
  for (const auto& role : kRoleKeys) {
    std::string key = fmt::format("{}{}", kPrefix, role.key);
    if (this->*role.member) {
      file.set(std::move(key), static_cast<uint32_t>(*(this->*role.member)));
    } else {
      file.remove(key);
    }
  }
  if (more_ends.empty()) {
    file.remove(kEnds);
  } else {
    file.set(std::string(kEnds), formats::GgufArray(std::vector<int32_t>(more_ends)));
  }
  file.set("tokenizer.ggml.add_bos_token", add_bos);
  file.set("tokenizer.ggml.add_eos_token", add_eos);
}

Result<TokenList> read_tokens(const formats::GgufFile& file) {
  TokenList out;
  BANTAM_ASSIGN(out.texts, file.get_strings("tokenizer.ggml.tokens"));
  if (out.texts.empty() || out.texts.size() > (size_t{1} << 24)) {
    return fail(Code::kCorrupt, "{}: tokenizer.ggml.tokens: found {} tokens, expected 1 to 2^24", file.path(),
                out.texts.size());
  }
  out.types.assign(out.texts.size(), TokenType::kNormal);
  constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
  if (file.find(kTypes) == nullptr) return out;
  BANTAM_ASSIGN(auto types, file.get_ints(kTypes));
  if (types.size() != out.texts.size()) {
    return fail(Code::kCorrupt, "{}: {}: found {} entries, expected {}, one for each token", file.path(),
                kTypes, types.size(), out.texts.size());
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 1 || types[i] > 6) {
      return fail(Code::kCorrupt, "{}: {}: found {} for token {}, expected 1 to 6", file.path(), kTypes,
                  types[i], i);
    }
    out.types[i] = static_cast<TokenType>(types[i]);
  }
  return out;
}

void save_tokens(TokenList list, formats::GgufWriter& file) {
  std::vector<int32_t> types;
  types.reserve(list.types.size());
  for (TokenType type : list.types) types.push_back(static_cast<int32_t>(type));
  file.set("tokenizer.ggml.tokens", formats::GgufArray(std::move(list.texts)));
  file.set("tokenizer.ggml.token_type", formats::GgufArray(std::move(types)));
}

void SpecialTokens::add(std::string text, TokenId id, bool control) {
  if (text.empty()) return;
  auto& lengths = lengths_[static_cast<unsigned char>(text[0])];
  auto place = std::ranges::lower_bound(lengths, text.size(), std::greater<>());
  if (place == lengths.end() || *place != text.size()) lengths.insert(place, text.size());
  entries_.emplace(std::move(text), Entry{id, control});
}

std::optional<TokenId> SpecialTokens::find(std::string_view text) const {
  auto found = entries_.find(text);
  return found == entries_.end() ? std::nullopt : std::optional(found->second.id);
}

const std::pair<const std::string, SpecialTokens::Entry>* SpecialTokens::match(std::string_view text,
                                                                               bool parse_control) const {
  for (size_t length : lengths_[static_cast<unsigned char>(text[0])]) {
    if (length > text.size()) continue;
    auto found = entries_.find(text.substr(0, length));
    if (found != entries_.end() && (parse_control || !found->second.control)) return &*found;
  }
  return nullptr;
}

std::vector<SpecialTokens::Part> SpecialTokens::partition(std::span<const Segment> segments) const {
  std::vector<Part> out;
  auto add_text = [&](std::string_view text) {
    if (text.empty()) return;
    if (out.empty() || out.back().id >= 0) out.emplace_back();
    out.back().text += text;
  };
  for (auto [text, parse_control] : segments) {
    size_t begin = 0;
    for (size_t i = 0; i < text.size();) {
      const auto* entry = match(text.substr(i), parse_control);
      if (entry == nullptr) {
        ++i;
        continue;
      }
      add_text(text.substr(begin, i - begin));
      out.push_back({entry->first, entry->second.id});
      begin = i += entry->first.size();
    }
    add_text(text.substr(begin));
  }
  return out;
}

Status check_length(std::span<const Segment> segments) {
  constexpr uint64_t kLimit = uint64_t{1} << 31;
  uint64_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.text.size();
  if (bytes < kLimit) return {};
  return fail(Code::kInvalidArgument, "text: found {} bytes, expected fewer than 2^31", bytes);
}

bool ends_turn_by_name(std::string_view token) {
  constexpr std::string_view kNames[] = {"<|endoftext|>", "<|end_of_text|>", "<|eot_id|>",    "<|eom_id|>",
                                         "<|im_end|>",    "<|end|>",         "<end_of_turn>", "<EOT>"};
  return std::ranges::find(kNames, token) != std::end(kNames);
}

}  // namespace bantam::text
