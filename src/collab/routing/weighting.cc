#include "collab/routing/weighting.h"

#include <algorithm>
#include <cmath>

namespace bantam::collab::routing {

TfIdf TfIdf::learn(std::span<const Features* const> rows, const Buckets& buckets) {
  std::vector<uint32_t> df(buckets.size()), last(buckets.size());
  uint32_t row = 0;
  const auto mark = [&](uint32_t index) {
    if (last[index] != row) ++df[index];
    last[index] = row;
  };
  for (const Features* features : rows) {
    ++row;
    for (const Hit& hit : features->words) mark(hit.hash & (buckets.words - 1));
    if (buckets.letters == 0) continue;
    for (const Hit& hit : features->letters) mark(buckets.words + (hit.hash & (buckets.letters - 1)));
  }
  std::vector<float> idf(buckets.size());
  for (size_t i = 0; i < idf.size(); ++i) {
    if (df[i] >= 2)
      idf[i] = static_cast<float>(std::log((1.0 + static_cast<double>(rows.size())) / (1.0 + df[i])) + 1);
  }
  return {buckets, std::move(idf)};
}

void TfIdf::add(std::span<const Hit> hits, uint32_t first, uint32_t count, Sparse& out) const {
  const size_t begin = out.size();
  double squares = 0;
  for (const Hit& hit : hits) {
    const uint32_t index = first + (hit.hash & (count - 1));
    if (idf_[index] == 0) continue;
    const float value = (1 + std::log(hit.count)) * idf_[index];
    out.push_back({index, value});
    squares += static_cast<double>(value) * value;
  }
  if (squares == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (size_t i = begin; i < out.size(); ++i) out[i].value *= scale;
}

Sparse TfIdf::operator()(const Features& features) const {
  Sparse out;
  out.reserve(features.words.size() + features.letters.size());
  add(features.words, 0, buckets_.words, out);
  if (buckets_.letters > 0) add(features.letters, buckets_.words, buckets_.letters, out);
  return out;
}

Standard Standard::learn(std::span<const Features* const> rows) {
  Standard out;
  const double n = static_cast<double>(rows.size());
  for (size_t i = 0; i < kLexical; ++i) {
    double sum = 0, squares = 0;
    for (const Features* row : rows) {
      sum += row->lexical[i];
      squares += static_cast<double>(row->lexical[i]) * row->lexical[i];
    }
    const double mean = sum / n, variance = squares / n - mean * mean;
    out.mean_[i] = static_cast<float>(mean);
    out.scale_[i] = variance > 1e-9 ? static_cast<float>(1 / std::sqrt(variance)) : 0.0f;
  }
  return out;
}

Standard::Standard(std::span<const float> mean, std::span<const float> scale) {
  std::copy_n(mean.begin(), kLexical, mean_.begin());
  std::copy_n(scale.begin(), kLexical, scale_.begin());
}

std::array<float, kLexical> Standard::operator()(const Features& features) const {
  std::array<float, kLexical> out;
  for (size_t i = 0; i < kLexical; ++i)
    out[i] = std::clamp((features.lexical[i] - mean_[i]) * scale_[i], -4.0f, 4.0f);
  return out;
}

}  // namespace bantam::collab::routing
