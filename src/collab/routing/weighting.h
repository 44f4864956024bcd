#pragma once
// From counts to numbers a linear function can use: TF-IDF over hash buckets, and standardised lexical
// figures.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "collab/routing/features.h"

namespace bantam::collab::routing {

struct Weighted {
  uint32_t index = 0;
  float value = 0;
};
using Sparse = std::vector<Weighted>;

/// Which n-grams count, and into how many buckets (a power of two for each kind).
struct Buckets {
  uint32_t words = 1u << 16;
  uint32_t letters = 1u << 16;  // 0: none
  size_t size() const { return size_t{words} + letters; }
};

/// (1 + ln count) times the inverse document frequency ln((1 + n) / (1 + df)) + 1, each kind of n-gram scaled
/// to length 1; buckets of fewer than two training requests count nothing.
class TfIdf {
 public:
  static TfIdf learn(std::span<const Features* const> rows, const Buckets& buckets);
  TfIdf(const Buckets& buckets, std::vector<float> idf) : buckets_(buckets), idf_(std::move(idf)) {}
  /// Indices are unique but in no order.
  Sparse operator()(const Features& features) const;
  const Buckets& buckets() const { return buckets_; }
  std::span<const float> idf() const { return idf_; }

 private:
  void add(std::span<const Hit> hits, uint32_t first, uint32_t count, Sparse& out) const;
  Buckets buckets_;
  std::vector<float> idf_;
};

/// Lexical figures with mean 0 and deviation 1 over the training requests, clipped to four deviations.
class Standard {
 public:
  static Standard learn(std::span<const Features* const> rows);
  Standard() = default;
  Standard(std::span<const float> mean, std::span<const float> scale);  // kLexical each
  std::array<float, kLexical> operator()(const Features& features) const;
  std::span<const float> mean() const { return mean_; }
  std::span<const float> scale() const { return scale_; }

 private:
  std::array<float, kLexical> mean_{}, scale_{};
};

}  // namespace bantam::collab::routing
