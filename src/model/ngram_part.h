#pragma once
// The wide half of a classifier (Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems"): a linear model of hashed n-grams
// (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning"), whose margins are added to what the decoder says of each
// label. What words alone decide it has learned from the task's own examples; a small decoder often has not.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::model {

/// Word n-grams and character n-grams within words (text/ngrams.h), hashed into one table.
struct NgramShape {
  uint32_t buckets = 8192;  // a power of two
  uint32_t word_min = 1, word_max = 2;
  uint32_t char_min = 2, char_max = 5;
};

struct NgramWeight {
  uint32_t bucket;
  float value;
};

/// The text as a sparse vector, buckets ascending: for each of the two kinds TF-IDF scaled to length 1, then
/// their sum. `idf` has one entry per bucket; empty: all 1.
std::vector<NgramWeight> ngram_features(std::string_view text, const NgramShape& shape,
                                        std::span<const float> idf);

/// What training gives.
struct NgramWeights {
  NgramShape shape;
  std::vector<float> idf = {};     // [buckets]
  std::vector<float> values = {};  // [buckets][labels]
  std::vector<float> bias = {};    // [labels]
  double scale = 1;           // of a margin as it is added to log-probabilities
};

/// Sets the bantam.ngrams.* keys; weights are rounded to 4 bits, with a scale for each bucket. They are keys and no tensors so that
/// programs that know nothing of them read the file as the decoder it is.
void write_ngrams(const NgramWeights& weights, size_t labels, formats::GgufWriter& file);

/// Immutable; safe to use from many threads.
class NgramPart {
 public:
  /// nullopt for a file without these keys. What it gives borrows from `file`. Errors: kCorrupt naming the
  /// key, what was found and expected.
  static Result<std::optional<NgramPart>> read(const formats::GgufFile& file, size_t labels);

  /// For each label what is to be added to its log-probability.
  std::vector<double> scores(std::string_view text) const;
  const NgramShape& shape() const { return shape_; }
  uint64_t bytes() const { return quanta_.size_bytes() + scales_.size_bytes() + idf_.size_bytes() + bias_.size_bytes(); }
  uint64_t parameters() const { return (uint64_t{shape_.buckets} + 1) * labels_; }

 private:
  NgramShape shape_;
  size_t labels_ = 0;
  double scale_ = 1;
  std::span<const uint8_t> quanta_;  // [buckets][(labels + 1) / 2], the even label in the lower half
  std::span<const float> scales_;    // [buckets]
  std::span<const float> idf_;       // [buckets]
  std::span<const float> bias_;      // [labels]
};

}  // namespace bantam::model
