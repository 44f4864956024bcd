#pragma once
// SentencePiece's BPE (Kudo, Richardson 2018) as GGUF files of model "llama" hold it: a score for each piece
// drives the merges.

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/merge.h"
#include "text/special_tokens.h"

namespace bantam::text {

class ScoreBpe final : public Tokenizer {
 public:
  /// tokenizer.ggml.model "llama". Errors: kNotFound, kCorrupt.
  static Result<std::unique_ptr<ScoreBpe>> load(const formats::GgufFile& file);

  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const override;
  Result<std::vector<TokenId>> encode_segments(std::span<const Segment> segments,
                                               bool add_special) const override;
  std::string piece(TokenId id, bool special) const override;
  std::string decode(std::span<const TokenId> ids, bool special) const override;
  size_t vocab_size() const override { return list_.texts.size(); }
  std::optional<TokenId> bos() const override { return roles_.bos; }
  std::optional<TokenId> eos() const override { return roles_.eos; }
  bool is_end(TokenId id) const override;
  std::optional<TokenId> find(std::string_view token) const override;
  void save(formats::GgufWriter& file) const override;

 private:
  ScoreBpe() = default;
  void index_tokens();
  Status encode_text(std::string_view text, std::vector<TokenId>& out) const;
  /// A character without a token: its bytes, else the unknown token.
  Status append_bytes(std::string_view text, std::vector<TokenId>& out) const;

  TokenList list_;  // as stored: blanks are U+2581
  std::vector<float> scores_;
  TokenRoles roles_;
  std::string pre_;
  bool add_space_prefix_ = true;
  SpecialTokens special_;
  std::array<TokenId, 256> byte_ids_{};
  std::vector<int16_t> byte_values_;                      // of a byte token, else -1
  std::unordered_map<std::string_view, TokenId> pieces_;  // views of list_.texts
};

}  // namespace bantam::text
