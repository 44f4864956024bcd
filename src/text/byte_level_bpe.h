#pragma once
// The byte-level BPE tokenizer behind BpeTokenizer: made from a file's keys or by training.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/bpe.h"
#include "text/flat_index.h"
#include "text/merge.h"
#include "text/special_tokens.h"
#include "text/splitter.h"

namespace bantam::text {

/// A vocabulary as its parts; `texts` holds the bytes of normal tokens and the literal text of others.
struct BpeVocabulary {
  std::vector<std::string> texts;
  std::vector<TokenType> types;
  std::vector<std::pair<TokenId, TokenId>> merges;  // in order of rank
  TokenRoles roles;
  std::string pre = "gpt-2";
};

class ByteLevelBpe final : public BpeTokenizer {
 public:
  /// `name` is the file in messages. Errors: kUnsupported for the splitter; kCorrupt for merges of or to
  /// unknown tokens.
  static Result<std::unique_ptr<ByteLevelBpe>> create(BpeVocabulary vocabulary, const std::string& name);
  /// tokenizer.ggml.model "gpt2".
  static Result<std::unique_ptr<ByteLevelBpe>> load(const formats::GgufFile& file);

  /// As with_whole_tokens().
  Result<std::unique_ptr<ByteLevelBpe>> extended(std::span<const std::string> whole) const;

  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const override;
  Result<std::vector<TokenId>> encode_segments(std::span<const Segment> segments,
                                               bool add_special) const override;
  Result<std::vector<TokenId>> encode_with_dropout(std::span<const Segment> segments, double dropout,
                                                   Rng& rng) const override;
  std::string piece(TokenId id, bool special) const override;
  std::string decode(std::span<const TokenId> ids, bool special) const override;
  size_t vocab_size() const override { return vocab_.texts.size(); }
  std::optional<TokenId> bos() const override { return vocab_.roles.bos; }
  std::optional<TokenId> eos() const override { return vocab_.roles.eos; }
  bool is_end(TokenId id) const override;
  std::optional<TokenId> find(std::string_view token) const override;
  void save(formats::GgufWriter& file) const override;

 private:
  ByteLevelBpe(BpeVocabulary vocabulary, Splitter splitter);
  Status index_merges(const std::string& name);
  Result<std::vector<TokenId>> encode_parts(std::span<const Segment> segments, bool add_special,
                                            double dropout, Rng* rng) const;
  Status encode_text(std::string_view text, std::vector<TokenId>& out, double dropout, Rng* rng) const;
  /// False where a byte of `word` has no token.
  bool encode_word(std::string_view word, MergeState& state, std::vector<TokenId>& out, double dropout,
                   Rng* rng) const;

  BpeVocabulary vocab_;
  Splitter splitter_;
  SpecialTokens special_;
  std::array<TokenId, 256> byte_ids_{};
  TextIndex normal_;  // of vocab_.texts
  PairIndex merges_;
  bool whole_words_first_ = false;  // a word that is a token is that token, merges or not (Llama 3)
};

}  // namespace bantam::text
