#pragma once
// From a pre-token to ids: BPE by merges, unigram language model, WordPiece, whole words. The models of
// tokenizer.json (https://huggingface.co/docs/tokenizers/api/models); GGUF's "bert" and "t5" run on them too.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace bantam::text {

/// The tokens of a model by their text and id.
class WordVocabulary {
 public:
  /// Pairs of text and id; holes have an empty text. Errors: kCorrupt for an id far above the number of
  /// tokens.
  static Result<WordVocabulary> create(std::vector<std::pair<std::string, int64_t>> tokens);
  std::optional<TokenId> find(std::string_view text) const;
  const std::string& text(TokenId id) const { return texts_[static_cast<size_t>(id)]; }
  size_t size() const { return texts_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::vector<std::string> texts_;
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
};

class WordModel {
 public:
  virtual ~WordModel() = default;
  /// Appends the ids of `word`. Errors: kInvalidArgument for a text that the vocabulary cannot spell.
  virtual Status encode(std::string_view word, std::vector<TokenId>& out) const = 0;
  const WordVocabulary& vocabulary() const { return vocabulary_; }

 protected:
  explicit WordModel(WordVocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  WordVocabulary vocabulary_;
};

struct BpeModelOptions {
  std::vector<std::pair<std::string, std::string>> merges;  // in order of rank
  std::optional<std::string> unknown;
  std::string continuing_prefix, word_suffix;
  bool fuse_unknown = false, byte_fallback = false, ignore_merges = false;
};
Result<std::unique_ptr<WordModel>> make_bpe_model(WordVocabulary vocabulary, const BpeModelOptions& options);

/// Viterbi over the log-probabilities (Kudo 2018). `scores` by id, -infinity for tokens that text does not
/// use.
Result<std::unique_ptr<WordModel>> make_unigram_model(WordVocabulary vocabulary, std::vector<float> scores,
                                                      std::optional<TokenId> unknown, bool byte_fallback);

/// Longest match first; a word without one is `unknown` as a whole.
Result<std::unique_ptr<WordModel>> make_word_piece_model(WordVocabulary vocabulary, std::string unknown,
                                                         std::string continuing_prefix, size_t longest_word);
Result<std::unique_ptr<WordModel>> make_word_level_model(WordVocabulary vocabulary, std::string unknown);

/// "<0x0A>"'s byte; -1 for any other text.
int byte_token_value(std::string_view text);

}  // namespace bantam::text
