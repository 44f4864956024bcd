#pragma once
// A tokenizer as the stages of a tokenizer.json: added tokens, normaliser, pre-tokenizer, model,
// post-processor, decoder.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/pipeline/stages.h"
#include "text/pipeline/word_models.h"
#include "text/tokenizer.h"

namespace bantam::text {

/// A token that is found in the text before the model sees it.
struct AddedToken {
  std::string text;
  TokenId id = 0;
  bool special = false;      // a control token: found only where the caller allows it, hidden in decoded text
  bool single_word = false;  // only where no letter, digit or underscore stands beside it
  bool strip_left = false, strip_right = false;  // takes the white space beside it along
  bool normalized = false;                       // looked for in the normalised text
};

/// What a pipeline is made of.
struct PipelineParts {
  std::vector<AddedToken> added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<WordModel> model;
  std::vector<TokenId> prefix, suffix;  // put around every input where add_special is set
  Decoder decoder;
  std::optional<TokenId> bos, eos;
  std::vector<TokenId> ends;  // beside eos
};

class PipelineTokenizer final : public Tokenizer {
 public:
  /// Errors: kCorrupt for an added token far above the vocabulary, or ids outside it.
  static Result<std::unique_ptr<PipelineTokenizer>> create(PipelineParts parts);

  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const override;
  Result<std::vector<TokenId>> encode_segments(std::span<const Segment> segments,
                                               bool add_special) const override;
  std::string piece(TokenId id, bool special = false) const override;
  std::string decode(std::span<const TokenId> ids, bool special = false) const override;
  size_t vocab_size() const override { return size_; }
  std::optional<TokenId> bos() const override { return parts_.bos; }
  std::optional<TokenId> eos() const override { return parts_.eos; }
  bool is_end(TokenId id) const override;
  std::optional<TokenId> find(std::string_view token) const override;
  /// Nothing, unless the tokenizer came from a GGUF file: then its keys.
  void save(formats::GgufWriter& file) const override;

  const PipelineParts& parts() const { return parts_; }
  /// The text of a token as the vocabulary has it.
  std::string_view stored(TokenId id) const;
  void keep_keys(const formats::GgufFile& file);

 private:
  struct Part {
    std::string text;
    TokenId id = -1;
    bool normalized = false;
  };
  using Matcher =
      std::array<std::vector<size_t>, 256>;  // indices of added tokens by first byte, longest first
  explicit PipelineTokenizer(PipelineParts parts);
  void index();
  void find_added(std::string_view text, const Matcher& matcher, bool parse_special,
                  std::vector<Part>& out) const;
  const AddedToken* match(std::string_view text, size_t at, const Matcher& matcher, bool parse_special) const;
  Status encode_part(std::string text, bool first, std::vector<TokenId>& out) const;

  PipelineParts parts_;
  size_t size_ = 0;
  Matcher raw_, normalized_;
  std::vector<std::string> needles_;               // the text looked for, by index in parts_.added
  std::unordered_map<TokenId, size_t> added_ids_;  // to the index
  std::vector<std::pair<std::string, formats::GgufValue>> keys_;
};

/// A tokenizer from the text of a tokenizer.json. `name` is the file in messages. BOS and EOS are those of
/// the post-processor and of well-known names. Errors: kCorrupt, kUnsupported, kLimit naming the field.
Result<std::unique_ptr<PipelineTokenizer>> tokenizer_from_json(std::string_view json,
                                                               const std::string& name);
/// GGUF's tokenizer.ggml.model "bert" (WordPiece) and "t5" (unigram).
Result<std::unique_ptr<PipelineTokenizer>> word_piece_from_gguf(const formats::GgufFile& file);
Result<std::unique_ptr<PipelineTokenizer>> unigram_from_gguf(const formats::GgufFile& file);

}  // namespace bantam::text
