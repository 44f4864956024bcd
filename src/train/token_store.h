#pragma once
// A text collection as tokens on disk: made once, mapped by every run. Private to train/.

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/safetensors.h"
#include "text/bpe.h"
#include "train/pretrain.h"

namespace bantam::train {

/// Every held_back-th document of a part is kept from training: document i (from 0) when (i + 1) % n == 0.
inline bool is_held_back(uint64_t document, uint32_t one_in) {
  return one_in > 0 && (document + 1) % one_in == 0;
}

/// Names, sizes and times of the files: what is made of them is made anew when it changes. Errors: kNotFound.
Result<std::string> print_of_files(const PretrainData& data);

/// Files and weights, for fingerprints.
std::string describe(std::span<const TextPart> parts);

/// Documents of all parts one after the other, without marks between them. Ids fit 16 bits.
class TokenStore {
 public:
  /// Opens data.store (job.out + ".tokens" when that is empty) if it was made from the same files with the
  /// same tokenizer, else makes it, atomically. Errors: those of the readers; kInvalidArgument for a part
  /// without a document to train on; kNoSpace; kCancelled.
  static Result<TokenStore> make(const PretrainData& data, const text::BpeTokenizer& tokenizer,
                                 const JobOptions& job);

  struct Document {
    uint32_t part;
    bool held_back;
    std::span<const uint16_t> tokens;
  };
  size_t size() const { return parts_.size(); }
  Document document(size_t index) const {
    return {parts_[index], held_[index] != 0,
            tokens_.subspan(starts_[index], starts_[index + 1] - starts_[index])};
  }
  uint64_t token_count() const { return tokens_.size(); }

 private:
  explicit TokenStore(formats::SafeTensorsFile file) : file_(std::move(file)) {}
  static Result<TokenStore> open(const std::string& path, const std::string& fingerprint);

  formats::SafeTensorsFile file_;
  std::span<const uint16_t> tokens_;
  std::span<const uint64_t> starts_;
  std::span<const uint32_t> parts_;
  std::span<const uint8_t> held_;
};

/// The rows of training in their order: row r is the same in every run, whoever computes it. An epoch puts
/// the documents (each as often as its part's weight says) in a random order, each after the start token, and
/// cuts the stream into windows, which it shuffles.
class Windows {
 public:
  Windows(const TokenStore& store, std::span<const double> weights, uint32_t context, text::TokenId start,
          uint64_t seed);
  /// Tokens in one pass over the parts with their weights, about.
  uint64_t epoch_tokens() const { return epoch_tokens_; }
  /// Writes context + 1 tokens: row r's inputs and, one later, targets. May be called from several threads.
  void row(uint64_t r, std::span<int64_t> out);
  /// The same over the held-back documents of one part, in file order, for validation: row i of `rows` ones
  /// that are evenly spaced. False when the part has fewer tokens than a row.
  bool held_back_row(uint32_t part, uint64_t i, uint64_t rows, std::span<int64_t> out) const;

 private:
  struct Stream {
    std::vector<uint32_t> documents;
    std::vector<uint64_t> starts;  // one more; each document has its start token in front
    uint64_t size() const { return starts.back(); }
  };
  void add(Stream& stream, uint32_t document) const;
  void copy(const Stream& stream, uint64_t from, std::span<int64_t> out) const;
  void begin_epoch(uint64_t epoch);

  const TokenStore& store_;
  std::vector<double> weights_;
  uint32_t context_;
  text::TokenId start_;
  uint64_t seed_;
  uint64_t epoch_tokens_ = 0;
  std::vector<Stream> held_;  // per part
  Stream stream_;
  uint64_t epoch_ = 0, first_row_ = 0, shift_ = 0;
  std::vector<uint32_t> order_;
  std::mutex mutex_;  // of what begin_epoch() changes
};

}  // namespace bantam::train
