#pragma once
// Sentence vectors for routing: from whatever makes them, of which one is learned here.

#include <memory>
#include <span>
#include <vector>

#include "collab/routing/weighting.h"

namespace bantam::collab::routing {

/// A vector of length 1 for a request, or of zeros for one it knows nothing of. Safe to use from many
/// threads.
class Vectors {
 public:
  virtual ~Vectors() = default;
  virtual size_t dimensions() const = 0;
  virtual void embed(const Query& query, const Features& features, std::span<float> out) const = 0;
};

/// Latent semantic analysis over hashed words: the leading right singular vectors of the training requests'
/// TF-IDF matrix, by randomised subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4).
class LatentVectors final : public Vectors {
 public:
  static LatentVectors learn(std::span<const Features* const> rows, size_t dimensions, uint32_t words,
                             uint64_t seed);
  /// `projection` holds `dimensions` numbers for each bucket.
  LatentVectors(TfIdf tfidf, std::vector<float> projection, size_t dimensions)
      : tfidf_(std::move(tfidf)), projection_(std::move(projection)), dimensions_(dimensions) {}

  size_t dimensions() const override { return dimensions_; }
  void embed(const Query& query, const Features& features, std::span<float> out) const override;
  const TfIdf& tfidf() const { return tfidf_; }
  std::span<const float> projection() const { return projection_; }

 private:
  TfIdf tfidf_;
  std::vector<float> projection_;
  size_t dimensions_;
};

}  // namespace bantam::collab::routing
