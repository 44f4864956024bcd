// Router::save and Router::load: GGUF as the container, because its reader checks every count and offset.
// What is checked here is that the tensors fit each other, that no number is broken and that no index can
// leave its table.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "collab/routing/router.h"

namespace bantam::collab::routing {

namespace {

using formats::GgmlType;
using formats::GgufArray;
using formats::GgufFile;
using formats::GgufWriter;

constexpr std::string_view kArchitecture = "bantam-router";
constexpr uint64_t kVersion = 1;
constexpr uint64_t kMostModels = 1024, kMostDimensions = 4096, kMostRank = 256;

/// A tensor of floats with exactly this shape (fastest dimension first); 0 in `shape`: any.
Result<std::vector<float>> floats(const GgufFile& file, std::string_view name, std::vector<uint64_t> shape) {
  const formats::GgufTensor* tensor = file.find_tensor(name);
  if (tensor == nullptr) return fail(Code::kCorrupt, "{}: found no tensor {}", file.path(), name);
  bool fits = tensor->type == GgmlType::kF32 && tensor->shape.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == 0 || shape[i] == tensor->shape[i];
  if (!fits) {
    return fail(Code::kCorrupt, "{}: {}: found {} numbers of type {}, expected F32 of another shape",
                file.path(), name, tensor->elements(),
                formats::ggml_type_name(static_cast<uint32_t>(tensor->type)));
  }
  const auto bytes = file.data(*tensor);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  for (size_t i = 0; i < out.size(); ++i) {
    if (!std::isfinite(out[i]))
      return fail(Code::kCorrupt, "{}: {}[{}]: found {}, expected a finite number", file.path(), name, i,
                  out[i]);
  }
  return out;
}

Status put(GgufWriter& file, const char* name, std::vector<uint64_t> shape, std::span<const float> values) {
  return file.add_tensor(name, GgmlType::kF32, std::move(shape), std::as_bytes(values));
}

Result<uint64_t> number(const GgufFile& file, std::string_view key, uint64_t low, uint64_t high) {
  BANTAM_ASSIGN(const uint64_t value, file.get_uint(key));
  if (value < low || value > high)
    return fail(Code::kCorrupt, "{}: {}: found {}, expected {} to {}", file.path(), key, value, low, high);
  return value;
}

/// A number of buckets: the index of a hash is its low bits.
Result<uint32_t> buckets(const GgufFile& file, std::string_view key, bool may_be_none) {
  BANTAM_ASSIGN(const uint64_t value, number(file, key, may_be_none ? 0 : 1, 1u << 24));
  if ((value & (value - 1)) != 0)
    return fail(Code::kCorrupt, "{}: {}: found {}, expected a power of two", file.path(), key, value);
  return static_cast<uint32_t>(value);
}

Result<std::vector<double>> doubles(const GgufFile& file, std::string_view key, size_t count, double low,
                                    double high) {
  BANTAM_ASSIGN(const auto values, file.get_floats(key));
  if (count != 0 && values.size() != count) {
    return fail(Code::kCorrupt, "{}: {}: found {} numbers, expected {}", file.path(), key, values.size(),
                count);
  }
  for (float value : values) {
    if (!(value >= low && value <= high))
      return fail(Code::kCorrupt, "{}: {}: found {}, expected {} to {}", file.path(), key, value, low, high);
  }
  return std::vector<double>(values.begin(), values.end());
}

std::vector<float> as_floats(std::span<const double> values) { return {values.begin(), values.end()}; }

Status save_standard(GgufWriter& file, const std::string& part, const Standard& standard) {
  BANTAM_TRY(put(file, (part + ".mean").c_str(), {kLexical}, standard.mean()));
  return put(file, (part + ".scale").c_str(), {kLexical}, standard.scale());
}

Result<Standard> load_standard(const GgufFile& file, const std::string& part) {
  BANTAM_ASSIGN(const auto mean, floats(file, part + ".mean", {kLexical}));
  BANTAM_ASSIGN(const auto scale, floats(file, part + ".scale", {kLexical}));
  return Standard(mean, scale);
}

}  // namespace

/// Reaches into Router.
struct RouterFile {
  static Status save_parts(const Parts& parts, size_t models, GgufWriter& file) {
    if (const Linear* linear = parts.linear.get()) {
      const Buckets& b = linear->tfidf().buckets();
      file.set("router.linear.words", b.words);
      file.set("router.linear.letters", b.letters);
      BANTAM_TRY(put(file, "linear.idf", {b.size()}, linear->tfidf().idf()));
      BANTAM_TRY(save_standard(file, "linear", linear->standard()));
      BANTAM_TRY(put(file, "linear.weights", {b.size() + kLexical + 1, models}, linear->weights()));
    }
    if (const LatentVectors* vectors = parts.vectors.get()) {
      const uint64_t words = vectors->tfidf().buckets().words, d = vectors->dimensions();
      file.set("router.vectors.words", static_cast<uint32_t>(words));
      file.set("router.vectors.dimensions", static_cast<uint32_t>(d));
      BANTAM_TRY(put(file, "vectors.idf", {words}, vectors->tfidf().idf()));
      BANTAM_TRY(put(file, "vectors.projection", {d, words}, vectors->projection()));
    }
    if (const Neighbours* near = parts.neighbours.get()) {
      const uint64_t d = parts.vectors->dimensions(), n = near->points().size() / d;
      file.set("router.neighbours.k", near->k());
      BANTAM_TRY(put(file, "neighbours.points", {d, n}, near->points()));
      BANTAM_TRY(put(file, "neighbours.quality", {models, n}, near->quality()));
    }
    if (const Factors* factors = parts.factors.get()) {
      const uint64_t inputs = parts.vectors->dimensions() + kLexical;
      file.set("router.factors.rank", static_cast<uint32_t>(factors->rank()));
      BANTAM_TRY(save_standard(file, "factors", factors->standard()));
      BANTAM_TRY(put(file, "factors.map", {inputs, factors->rank()}, factors->map()));
      BANTAM_TRY(put(file, "factors.models", {factors->rank() + 1, models}, factors->model_factors()));
    }
    return {};
  }

  static Status load_vectors(const GgufFile& file, Parts& out) {
    BANTAM_ASSIGN(const uint32_t words, buckets(file, "router.vectors.words", false));
    BANTAM_ASSIGN(const uint64_t d, number(file, "router.vectors.dimensions", 1, kMostDimensions));
    BANTAM_ASSIGN(auto idf, floats(file, "vectors.idf", {words}));
    BANTAM_ASSIGN(auto projection, floats(file, "vectors.projection", {d, words}));
    out.vectors =
        std::make_shared<LatentVectors>(TfIdf({words, 0}, std::move(idf)), std::move(projection), d);
    return {};
  }

  static Status load_linear(const GgufFile& file, size_t models, Parts& out) {
    Buckets b;
    BANTAM_ASSIGN(b.words, buckets(file, "router.linear.words", false));
    BANTAM_ASSIGN(b.letters, buckets(file, "router.linear.letters", true));
    BANTAM_ASSIGN(auto idf, floats(file, "linear.idf", {b.size()}));
    BANTAM_ASSIGN(const Standard standard, load_standard(file, "linear"));
    BANTAM_ASSIGN(auto weights, floats(file, "linear.weights", {b.size() + kLexical + 1, models}));
    out.linear = std::make_unique<Linear>(TfIdf(b, std::move(idf)), standard, std::move(weights), models);
    return {};
  }

  static Status load_neighbours(const GgufFile& file, size_t models, Parts& out) {
    BANTAM_ASSIGN(const uint64_t k, number(file, "router.neighbours.k", 1, 1u << 20));
    BANTAM_ASSIGN(auto points, floats(file, "neighbours.points", {out.vectors->dimensions(), 0}));
    const uint64_t n = points.size() / out.vectors->dimensions();
    BANTAM_ASSIGN(auto quality, floats(file, "neighbours.quality", {models, n}));
    for (float q : quality) {
      if (q > 1)
        return fail(Code::kCorrupt, "{}: neighbours.quality: found {}, expected at most 1", file.path(), q);
    }
    out.neighbours = std::make_unique<Neighbours>(out.vectors, std::move(points), std::move(quality), models,
                                                  static_cast<uint32_t>(k));
    return {};
  }

  static Status load_factors(const GgufFile& file, size_t models, Parts& out) {
    BANTAM_ASSIGN(const uint64_t rank, number(file, "router.factors.rank", 1, kMostRank));
    BANTAM_ASSIGN(const Standard standard, load_standard(file, "factors"));
    BANTAM_ASSIGN(auto map, floats(file, "factors.map", {out.vectors->dimensions() + kLexical, rank}));
    BANTAM_ASSIGN(auto factors, floats(file, "factors.models", {rank + 1, models}));
    out.factors =
        std::make_unique<Factors>(out.vectors, standard, std::move(map), std::move(factors), models, rank);
    return {};
  }

  static Result<Parts> load_parts(const GgufFile& file, size_t models) {
    Parts out;
    const auto has = [&](std::string_view key) { return file.find(key) != nullptr; };
    if (has("router.linear.words")) BANTAM_TRY(load_linear(file, models, out));
    if (has("router.neighbours.k") || has("router.factors.rank")) BANTAM_TRY(load_vectors(file, out));
    if (has("router.neighbours.k")) BANTAM_TRY(load_neighbours(file, models, out));
    if (has("router.factors.rank")) BANTAM_TRY(load_factors(file, models, out));
    if (out.all().empty()) return fail(Code::kCorrupt, "{}: found no predictor", file.path());
    return out;
  }

  static Status load_models(const GgufFile& file, Router& out) {
    BANTAM_ASSIGN(const auto names, file.get_strings("router.models"));
    if (names.size() < 2 || names.size() > kMostModels) {
      return fail(Code::kCorrupt, "{}: router.models: found {}, expected 2 to {}", file.path(), names.size(),
                  kMostModels);
    }
    BANTAM_ASSIGN(const auto quality, doubles(file, "router.quality", names.size(), 0, 1));
    BANTAM_ASSIGN(const auto cost, doubles(file, "router.cost", names.size(), 0, 1e12));
    for (size_t m = 0; m < names.size(); ++m) out.models_.push_back({names[m], quality[m], cost[m]});
    return {};
  }

  static Status load_curve(const GgufFile& file, Router& out) {
    if (file.find("router.curve.price") == nullptr) return {};
    BANTAM_ASSIGN(const auto price, doubles(file, "router.curve.price", 0, 0, 1e30));
    BANTAM_ASSIGN(const auto quality, doubles(file, "router.curve.quality", price.size(), 0, 1));
    BANTAM_ASSIGN(const auto cost, doubles(file, "router.curve.cost", price.size(), 0, 1e12));
    if (quality.size() != price.size() || cost.size() != price.size())
      return fail(Code::kCorrupt, "{}: router.curve: found lists of different length", file.path());
    for (size_t i = 0; i < price.size(); ++i) out.curve_.push_back({price[i], quality[i], cost[i]});
    return {};
  }
};

Status Router::save(const std::string& path) const {
  GgufWriter file;
  file.set("general.architecture", std::string(kArchitecture));
  file.set("router.version", static_cast<uint32_t>(kVersion));
  std::vector<std::string> names;
  std::vector<float> quality, cost;
  for (const ModelFigures& model : models_) {
    names.push_back(model.name);
    quality.push_back(static_cast<float>(model.quality));
    cost.push_back(static_cast<float>(model.cost));
  }
  file.set("router.models", GgufArray(std::move(names)));
  file.set("router.quality", GgufArray(std::move(quality)));
  file.set("router.cost", GgufArray(std::move(cost)));
  file.set("router.weights", GgufArray(as_floats(weights_)));
  file.set("router.bias", GgufArray(as_floats(bias_)));
  if (!curve_.empty()) {
    std::vector<float> price, reached, paid;
    for (const OperatingPoint& point : curve_) {
      price.push_back(static_cast<float>(point.price));
      reached.push_back(static_cast<float>(point.quality));
      paid.push_back(static_cast<float>(point.cost));
    }
    file.set("router.curve.price", GgufArray(std::move(price)));
    file.set("router.curve.quality", GgufArray(std::move(reached)));
    file.set("router.curve.cost", GgufArray(std::move(paid)));
  }
  BANTAM_TRY(RouterFile::save_parts(parts_, models_.size(), file));
  return file.write(path);
}

Result<Router> Router::load(const formats::GgufFile& file) {
  BANTAM_ASSIGN(const std::string architecture, file.get_string("general.architecture"));
  if (architecture != kArchitecture) {
    return fail(Code::kCorrupt, "{}: general.architecture: found \"{}\", expected \"{}\"", file.path(),
                architecture, kArchitecture);
  }
  BANTAM_ASSIGN(const uint64_t version, file.get_uint("router.version"));
  if (version != kVersion) {
    return fail(Code::kUnsupported, "{}: router.version: found {}, expected {}", file.path(), version,
                kVersion);
  }
  Router out;
  BANTAM_TRY(RouterFile::load_models(file, out));
  BANTAM_ASSIGN(out.parts_, RouterFile::load_parts(file, out.models_.size()));
  BANTAM_ASSIGN(out.weights_, doubles(file, "router.weights", 2 * out.parts_.all().size(), 0, 1e6));
  BANTAM_ASSIGN(out.bias_, doubles(file, "router.bias", out.models_.size(), -1e6, 1e6));
  BANTAM_TRY(RouterFile::load_curve(file, out));
  return out;
}

Result<Router> Router::load(const std::string& path) {
  BANTAM_ASSIGN(const auto file, formats::GgufFile::open(path));
  return load(file);
}

}  // namespace bantam::collab::routing
