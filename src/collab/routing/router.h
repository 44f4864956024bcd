#pragma once
// A router: predictions of several kinds, weighed against each other, and the choice that follows from them.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collab/routing/predictor.h"
#include "formats/gguf.h"

namespace bantam::collab::routing {

/// The kinds of predictor a router may be made of.
struct Parts {
  std::shared_ptr<const LatentVectors> vectors;  // of neighbours and factors
  std::unique_ptr<const Linear> linear;
  std::unique_ptr<const Neighbours> neighbours;
  std::unique_ptr<const Factors> factors;
  /// Those there are, in this order.
  std::vector<const Predictor*> all() const;
};

/// What is known of a model beside its answers.
struct ModelFigures {
  std::string name;
  double quality = 0;  // mean grade over the training data
  double cost = 0;     // mean cost of an answer; 0 where the data has none
};

/// What the team did on training requests that the predictions had not seen, at one price of quality.
struct OperatingPoint {
  double price = 0;              // money a whole unit of quality is worth
  double quality = 0, cost = 0;  // means
};

struct TrainOptions {
  bool linear = true, neighbours = true, factors = true;
  uint64_t seed = 1;
  std::function<void(const std::string&)> say;  // progress; may be empty
};

/// Immutable; safe to use from many threads.
class Router {
 public:
  /// Learns from rows with the grades (and costs, NaN where unknown) of `models`: a quarter of the rows,
  /// drawn by the seed, chooses each predictor's settings by its log loss and weighs the predictors (logistic
  /// stacking with weights of at least 0); then all are fitted anew on all rows. Deterministic. Errors:
  /// kInvalidArgument for fewer than 40 rows, or a model without a single grade.
  static Result<Router> train(std::span<const GradedRow> rows, std::span<const std::vector<float>> costs,
                              std::vector<std::string> models, const TrainOptions& options);

  /// The expected grade of each model, in (0, 1).
  std::vector<float> predict(const Row& row) const;
  std::vector<float> predict(const Query& query) const;
  /// The same by each part alone, in the order of part_names().
  std::vector<std::vector<float>> predict_parts(const Row& row) const;
  std::vector<std::string> part_names() const;
  const std::vector<ModelFigures>& models() const { return models_; }
  /// Ascending by price, on the held-out quarter; empty where the data has no costs.
  const std::vector<OperatingPoint>& curve() const { return curve_; }
  /// Of each part two: of what it says of all models alike, and of each beside that.
  std::span<const double> part_weights() const { return weights_; }

  /// A file that GGUF readers can read (docs/formats.md). Errors: those of writing.
  Status save(const std::string& path) const;
  /// Errors: those of GgufFile::open; kCorrupt naming the key or tensor, what was found and expected.
  static Result<Router> load(const std::string& path);
  /// Of a file in memory, which may be forgotten afterwards.
  static Result<Router> load(const formats::GgufFile& file);

 private:
  friend struct RouterFile;
  Router() = default;
  std::vector<ModelFigures> models_;
  Parts parts_;
  std::vector<double> weights_, bias_;  // of the parts, two each; of the models
  std::vector<OperatingPoint> curve_;
};

/// How a model is chosen from predicted grades.
struct Policy {
  enum class Kind {
    kQuality,  // the cheapest whose predicted grade is at least `value`, or else the best
    kPrice,    // the one with the largest grade * value - cost
  } kind = Kind::kQuality;
  double value = 0;
};

/// The position of the chosen model; of equal ones the cheaper, then the first. `cost` holds one number a
/// model.
size_t choose(std::span<const float> quality, std::span<const double> cost, const Policy& policy);

/// The price whose point on `curve` reaches `quality` at the least cost; the largest where none does.
std::optional<double> price_for_quality(std::span<const OperatingPoint> curve, double quality);
/// The price whose point has the best quality at a mean cost of at most `budget`; none where even the
/// smallest costs more.
std::optional<double> price_for_budget(std::span<const OperatingPoint> curve, double budget);

/// The points of predicted grades [rows][models] against true ones, one for each price at which a choice
/// changes noticeably (a fixed grid of 121 prices around the models' costs). Rows whose chosen answer has no
/// grade or cost count with the model's mean.
std::vector<OperatingPoint> operating_curve(std::span<const std::vector<float>> predicted,
                                            std::span<const GradedRow> rows,
                                            std::span<const std::vector<float>> costs,
                                            std::span<const ModelFigures> models);

/// Means over the rows where they are known.
std::vector<ModelFigures> figures(std::span<const GradedRow> rows, std::span<const std::vector<float>> costs,
                                  std::vector<std::string> names);

}  // namespace bantam::collab::routing
