#include "model/ngram_part.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "text/ngrams.h"

namespace bantam::model {
namespace {

using formats::GgufArray;
using formats::GgufFile;

constexpr int kZero = 8, kLargest = 7;  // of a quantum
constexpr uint32_t kLongest = 16;       // n-gram

/// FNV-1a (Fowler, Noll, Vo), its bits then mixed so that the upper ones can be taken.
uint32_t bucket_of(std::string_view ngram, bool characters, uint32_t buckets) {
  uint64_t hash = 0xcbf29ce484222325ULL ^ (characters ? 1U : 0U);
  for (const char c : ngram) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL;
  return static_cast<uint32_t>(hash >> 32) & (buckets - 1);
}

void add_up(std::vector<NgramWeight>& all) {
  std::ranges::sort(all, {}, &NgramWeight::bucket);
  size_t kept = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (kept > 0 && all[kept - 1].bucket == all[i].bucket) {
      all[kept - 1].value += all[i].value;
    } else {
      all[kept++] = all[i];
    }
  }
  all.resize(kept);
}

size_t row_bytes(size_t labels) { return (labels + 1) / 2; }

/// The array under `key`, whose elements are `expected` in number.
template <class Element>
Result<std::span<const Element>> array_of(const GgufFile& file, std::string_view key, size_t expected) {
  const formats::GgufValue* value = file.find(key);
  const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(value);
  const auto* elements = array == nullptr ? nullptr : std::get_if<std::vector<Element>>(array);
  if (elements == nullptr) {
    return fail(Code::kCorrupt, "{}: {}: found {}, expected an array of {}", file.path(), key,
                value == nullptr ? "nothing" : "another type", sizeof(Element) == 1 ? "u8" : "f32");
  }
  if (elements->size() != expected) {
    return fail(Code::kCorrupt, "{}: {}: found {} elements, expected {}", file.path(), key, elements->size(),
                expected);
  }
  return std::span<const Element>(*elements);
}

/// The smallest and the largest length of n-grams of one kind.
Status read_lengths(const GgufFile& file, std::string_view key, uint32_t& least, uint32_t& most) {
  BANTAM_ASSIGN(const auto lengths, file.get_ints(key));
  if (lengths.size() != 2 || lengths[0] < 1 || lengths[1] < lengths[0] || lengths[1] > kLongest) {
    return fail(Code::kCorrupt, "{}: {}: found [{}], expected two lengths from 1 to {}", file.path(), key,
                fmt::join(lengths, ", "), kLongest);
  }
  least = static_cast<uint32_t>(lengths[0]);
  most = static_cast<uint32_t>(lengths[1]);
  return {};
}

Status check_numbers(const GgufFile& file, std::string_view key, std::span<const float> values, float least) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(values[i] >= least && std::isfinite(values[i]))) {
      return fail(Code::kCorrupt, "{}: bantam.ngrams.{}: found {} at index {}, expected a {}number",
                  file.path(), key, values[i], i, least < 0 ? "" : "non-negative ");
    }
  }
  return {};
}

}  // namespace

std::vector<NgramWeight> ngram_features(std::string_view text, const NgramShape& shape,
                                        std::span<const float> idf) {
  const text::LowerText lower(text);
  std::vector<NgramWeight> out, kind;
  for (const bool characters : {false, true}) {
    kind.clear();
    const auto sink = [&](std::string_view ngram) {
      kind.push_back({bucket_of(ngram, characters, shape.buckets), 1.0F});
    };
    if (characters) {
      lower.char_ngrams(static_cast<int>(shape.char_min), static_cast<int>(shape.char_max), sink);
    } else {
      lower.word_ngrams(static_cast<int>(shape.word_min), static_cast<int>(shape.word_max), sink);
    }
    add_up(kind);
    double squares = 0;
    for (auto& feature : kind) {
      if (!idf.empty()) feature.value *= idf[feature.bucket];
      squares += static_cast<double>(feature.value) * feature.value;
    }
    if (!(squares > 0)) continue;
    const auto inverse = static_cast<float>(1 / std::sqrt(squares));
    for (const auto& feature : kind) out.push_back({feature.bucket, feature.value * inverse});
  }
  add_up(out);
  return out;
}

void write_ngrams(const NgramWeights& weights, size_t labels, formats::GgufWriter& file) {
  const size_t rows = weights.shape.buckets, bytes = row_bytes(labels);
  std::vector<uint8_t> quanta(rows * bytes, kZero | kZero << 4);
  std::vector<float> scales(rows);
  for (size_t row = 0; row < rows; ++row) {
    const std::span<const float> values(&weights.values[row * labels], labels);
    float most = 0;
    for (const float value : values) most = std::max(most, std::abs(value));
    if (most == 0) continue;
    scales[row] = most / kLargest;
    for (size_t label = 0; label < labels; ++label) {
      const auto q = static_cast<unsigned>(std::lround(values[label] / scales[row]) + kZero);
      uint8_t& both = quanta[row * bytes + label / 2];
      both = static_cast<uint8_t>(label % 2 == 0 ? (both & 0xf0U) | q : (both & 0x0fU) | q << 4);
    }
  }
  const NgramShape& shape = weights.shape;
  file.set("bantam.ngrams.words", GgufArray(std::vector<uint32_t>{shape.word_min, shape.word_max}));
  file.set("bantam.ngrams.characters", GgufArray(std::vector<uint32_t>{shape.char_min, shape.char_max}));
  file.set("bantam.ngrams.buckets", shape.buckets);
  file.set("bantam.ngrams.scale", weights.scale);
  file.set("bantam.ngrams.bias", GgufArray(weights.bias));
  file.set("bantam.ngrams.idf", GgufArray(weights.idf));
  file.set("bantam.ngrams.row_scales", GgufArray(std::move(scales)));
  file.set("bantam.ngrams.quanta", GgufArray(std::move(quanta)));
}

Result<std::optional<NgramPart>> NgramPart::read(const GgufFile& file, size_t labels) {
  if (file.find("bantam.ngrams.buckets") == nullptr) return std::nullopt;
  NgramPart out;
  out.labels_ = labels;
  BANTAM_ASSIGN(const uint64_t buckets, file.get_uint("bantam.ngrams.buckets"));
  if (!std::has_single_bit(buckets) || buckets > uint64_t{1} << 24) {
    return fail(Code::kCorrupt, "{}: bantam.ngrams.buckets: found {}, expected a power of two up to 2^24",
                file.path(), buckets);
  }
  out.shape_.buckets = static_cast<uint32_t>(buckets);
  BANTAM_TRY(read_lengths(file, "bantam.ngrams.words", out.shape_.word_min, out.shape_.word_max));
  BANTAM_TRY(read_lengths(file, "bantam.ngrams.characters", out.shape_.char_min, out.shape_.char_max));
  BANTAM_ASSIGN(out.scale_, file.get_float("bantam.ngrams.scale"));
  if (!(out.scale_ >= 0 && std::isfinite(out.scale_))) {
    return fail(Code::kCorrupt, "{}: bantam.ngrams.scale: found {}, expected a number from 0 on", file.path(),
                out.scale_);
  }
  const auto rows = static_cast<size_t>(buckets);
  BANTAM_ASSIGN(out.bias_, array_of<float>(file, "bantam.ngrams.bias", labels));
  BANTAM_ASSIGN(out.idf_, array_of<float>(file, "bantam.ngrams.idf", rows));
  BANTAM_ASSIGN(out.scales_, array_of<float>(file, "bantam.ngrams.row_scales", rows));
  BANTAM_ASSIGN(out.quanta_, array_of<uint8_t>(file, "bantam.ngrams.quanta", rows * row_bytes(labels)));
  BANTAM_TRY(check_numbers(file, "bias", out.bias_, -std::numeric_limits<float>::max()));
  BANTAM_TRY(check_numbers(file, "idf", out.idf_, 0));
  BANTAM_TRY(check_numbers(file, "row_scales", out.scales_, 0));
  return out;
}

std::vector<double> NgramPart::scores(std::string_view text) const {
  std::vector<double> out(bias_.begin(), bias_.end());
  for (const auto& [bucket, value] : ngram_features(text, shape_, idf_)) {
    const double scale = static_cast<double>(value) * scales_[bucket];
    const uint8_t* quanta = &quanta_[bucket * row_bytes(labels_)];
    for (size_t label = 0; label < labels_; ++label) {
      const int q = label % 2 == 0 ? quanta[label / 2] & 0x0f : quanta[label / 2] >> 4;
      out[label] += scale * (q - kZero);
    }
  }
  for (double& score : out) score *= scale_;
  return out;
}

}  // namespace bantam::model
