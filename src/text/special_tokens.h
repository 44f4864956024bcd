#pragma once
// What both kinds of vocabulary share: types of tokens, the ids with a role, and finding control tokens in
// text.

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace bantam::text {

/// U+2581, which stands for a space in vocabularies made by SentencePiece.
inline constexpr std::string_view kBlank = "\xE2\x96\x81";

/// tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// Ids with a role in a conversation; each is inside the vocabulary.
struct TokenRoles {
  std::optional<TokenId> bos, eos, eot, eom, unknown, padding;
  bool add_bos = false, add_eos = false;
  std::vector<TokenId> more_ends = {};  // eos_token_ids: where more than these three end an answer

  bool ends(TokenId id) const;
  /// Reads the keys; those of `this` that the file lacks keep their value. Errors: kCorrupt for an id outside
  /// the vocabulary, or for add_bos_token without a BOS.
  Status read(const formats::GgufFile& file, size_t vocab_size);
  void save(formats::GgufWriter& file) const;
};

/// tokenizer.ggml.tokens and .token_type (all normal where missing). Errors: kNotFound, kCorrupt.
struct TokenList {
  std::vector<std::string> texts;
  std::vector<TokenType> types;
};
Result<TokenList> read_tokens(const formats::GgufFile& file);
void save_tokens(TokenList list, formats::GgufWriter& file);

/// Finds control and user-defined tokens by their text: the leftmost, and of several there the longest.
class SpecialTokens {
 public:
  /// Of equal texts the first counts.
  void add(std::string text, TokenId id, bool control);
  std::optional<TokenId> find(std::string_view text) const;

  struct Part {
    std::string text;
    TokenId id = -1;  // a token, or -1: ordinary text
  };
  /// Consecutive parts of the segments joined. User-defined tokens are found in every segment, control tokens
  /// only where parse_special is set; no token is found across a border.
  std::vector<Part> partition(std::span<const Segment> segments) const;

 private:
  struct Entry {
    TokenId id;
    bool control;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  const std::pair<const std::string, Entry>* match(std::string_view text, bool parse_control) const;
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
  std::array<std::vector<size_t>, 256> lengths_;  // of the texts with that first byte, each once, descending
};

/// Errors: kInvalidArgument for 2^31 bytes or more in all.
Status check_length(std::span<const Segment> segments);

/// Ids whose text ends a turn in well-known vocabularies that name no EOT id.
bool ends_turn_by_name(std::string_view token);

}  // namespace bantam::text
