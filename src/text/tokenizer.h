#pragma once
// Text to token ids and back. Implementations: byte-level BPE (tokenizer.ggml.model "gpt2"),
// SentencePiece-style BPE
// ("llama"), and a pipeline of stages for WordPiece ("bert"), unigram ("t5") and tokenizer.json.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::text {

using TokenId = int32_t;

struct EncodeOptions {
  bool add_special = true;  // BOS (and EOS) where the model's metadata asks for them
  bool parse_special =
      false;  // text such as "<|answer|>" becomes its control token; never on for a user's input
};

/// A stretch of a prompt: what a template wrote, or what a user did.
struct Segment {
  std::string_view text;
  bool parse_special = false;
};

/// Immutable after construction; safe to use from many threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Errors: kInvalidArgument for text over 2^31 bytes or, where the vocabulary lacks byte fallback, text it
  /// cannot spell.
  virtual Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const = 0;
  /// The segments as one text: merges cross their borders, but control tokens are found only inside segments
  /// that allow it.
  virtual Result<std::vector<TokenId>> encode_segments(std::span<const Segment> segments,
                                                       bool add_special) const = 0;
  /// The bytes a token stands for; control tokens are empty unless `special`. May be a part of a UTF-8
  /// sequence.
  virtual std::string piece(TokenId id, bool special = false) const = 0;
  /// All pieces, with the leading space of SentencePiece vocabularies removed as the metadata asks.
  virtual std::string decode(std::span<const TokenId> ids, bool special = false) const = 0;

  virtual size_t vocab_size() const = 0;
  virtual std::optional<TokenId> bos() const = 0;
  virtual std::optional<TokenId> eos() const = 0;
  /// True for EOS, EOT and whatever else ends a generation.
  virtual bool is_end(TokenId id) const = 0;
  /// The token that stands for exactly this text: a control or user-defined token such as "<|answer|>", else
  /// an ordinary one
  /// ("card arrival", a whole token, by the text it decodes to).
  virtual std::optional<TokenId> find(std::string_view token) const = 0;
  /// Writes the tokenizer.ggml.* keys.
  virtual void save(formats::GgufWriter& file) const = 0;
};

/// Reads the tokenizer.ggml.* keys. Errors: kUnsupported naming the model or pre-tokenizer, kCorrupt.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const formats::GgufFile& file);

/// Holds back an incomplete UTF-8 sequence at the end of a stream of pieces; replaces broken ones by U+FFFD.
class Utf8Stream {
 public:
  /// The complete text so far unreleased.
  std::string push(std::string_view bytes);
  /// What is left at the end (U+FFFD for an incomplete sequence).
  std::string finish();

 private:
  std::string held_;
};

}  // namespace bantam::text
