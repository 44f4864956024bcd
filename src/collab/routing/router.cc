#include "collab/routing/router.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/ranges.h>

#include "base/rng.h"
#include "collab/routing/minimize.h"

namespace bantam::collab::routing {
namespace {

constexpr size_t kLeastRows = 40;
constexpr size_t kDimensions = 64, kRank = 4;
constexpr uint32_t kVectorWords = 1u << 15;

using Table = std::vector<std::vector<float>>;  // [rows][models]

Table predictions(const Predictor& predictor, std::span<const GradedRow> rows, size_t models) {
  Table out(rows.size(), std::vector<float>(models));
  for (size_t i = 0; i < rows.size(); ++i) predictor.predict(*rows[i].row, out[i]);
  return out;
}

/// Mean log loss of log-odds against the grades that are known.
double log_loss(const Table& log_odds, std::span<const GradedRow> rows) {
  double sum = 0, n = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t m = 0; m < rows[i].quality.size(); ++m) {
      const double q = rows[i].quality[m], s = log_odds[i][m];
      if (std::isnan(q)) continue;
      sum += softplus(s) - q * s;
      ++n;
    }
  }
  return n > 0 ? sum / n : 0;
}

/// Settings that the held-out rows chose.
struct Settings {
  double c = 0.3;
  uint32_t k = 64;
  double l2 = 10;
};

Buckets buckets_for(size_t rows) {
  // With few requests letters only add noise to what words say.
  return rows < 4000 ? Buckets{1u << 16, 0} : Buckets{1u << 16, 1u << 16};
}

struct Learner {
  std::span<const GradedRow> rows;
  size_t models;
  const TrainOptions& options;

  std::shared_ptr<const LatentVectors> vectors(std::span<const GradedRow> from) const {
    std::vector<const Features*> features;
    for (const GradedRow& row : from) features.push_back(&row.row->features);
    return std::make_shared<LatentVectors>(
        LatentVectors::learn(features, std::min(kDimensions, from.size() / 4), kVectorWords, options.seed));
  }

  Parts fit(std::span<const GradedRow> from, const Settings& settings) const {
    Parts out;
    if (options.neighbours || options.factors) out.vectors = vectors(from);
    if (options.linear)
      out.linear = std::make_unique<Linear>(Linear::fit(from, models, settings.c, buckets_for(from.size())));
    if (options.neighbours)
      out.neighbours = std::make_unique<Neighbours>(Neighbours::fit(out.vectors, from, models, settings.k));
    if (options.factors) {
      out.factors = std::make_unique<Factors>(
          Factors::fit(out.vectors, from, models, std::min(kRank, models), settings.l2, options.seed));
    }
    return out;
  }

  /// The settings with the least log loss on `held`, and the parts fitted with them on `from`.
  std::pair<Settings, Parts> tune(std::span<const GradedRow> from, std::span<const GradedRow> held) const {
    Settings best;
    Parts parts;
    if (options.neighbours || options.factors) parts.vectors = vectors(from);
    const auto better = [&](const Predictor& made, double& least) {
      const double loss = log_loss(predictions(made, held, models), held);
      const bool is = loss < least;
      least = std::min(least, loss);
      return is;
    };
    double least = INFINITY;
    for (double c : {0.03, 0.1, 0.3}) {
      if (!options.linear) break;
      auto made = std::make_unique<Linear>(Linear::fit(from, models, c, buckets_for(from.size())));
      if (!better(*made, least)) continue;
      best.c = c;
      parts.linear = std::move(made);
    }
    least = INFINITY;
    for (uint32_t k : {16u, 64u, 256u}) {
      if (!options.neighbours) break;
      auto made = std::make_unique<Neighbours>(Neighbours::fit(parts.vectors, from, models, k));
      if (!better(*made, least)) continue;
      best.k = k;
      parts.neighbours = std::move(made);
    }
    least = INFINITY;
    for (double l2 : {1.0, 4.0, 16.0}) {
      if (!options.factors) break;
      auto made = std::make_unique<Factors>(
          Factors::fit(parts.vectors, from, models, std::min(kRank, models), l2, options.seed));
      if (!better(*made, least)) continue;
      best.l2 = l2;
      parts.factors = std::move(made);
    }
    return {best, std::move(parts)};
  }
};

/// What a part says of a request, in two: of all models alike (how hard the request is), and of each beside
/// that (which suits it). Few grades tell the first well and the second badly, so each has a weight of its
/// own.
void divide(std::span<const float> log_odds, std::span<double> shared_and_own, size_t part) {
  const size_t models = log_odds.size();
  const double mean = std::accumulate(log_odds.begin(), log_odds.end(), 0.0) / static_cast<double>(models);
  for (size_t m = 0; m < models; ++m) {
    shared_and_own[2 * part * models + m] = mean;
    shared_and_own[(2 * part + 1) * models + m] = log_odds[m] - mean;
  }
}

/// Weights of at least 0 for the parts' shares, and a constant for each model, that minimise the log loss on
/// `held`.
void stack(std::span<const Table> tables, std::span<const GradedRow> held, size_t models,
           std::vector<double>& weights, std::vector<double>& bias) {
  const size_t shares = 2 * tables.size();
  std::vector<std::vector<double>> x(held.size(), std::vector<double>(shares * models));
  for (size_t i = 0; i < held.size(); ++i) {
    for (size_t t = 0; t < tables.size(); ++t) divide(tables[t][i], x[i], t);
  }
  // The square of a parameter is a weight; a slight pull towards equal weights that add up to 1 decides where
  // the rows say nothing.
  const double equal = std::sqrt(2.0 / static_cast<double>(shares));
  const Objective objective = [&](std::span<const double> p, std::span<double> g) {
    double value = 0;
    for (size_t k = 0; k < p.size(); ++k) {
      const double off = p[k] - (k < shares ? equal : 0);
      value += 0.5 * off * off;
      g[k] = off;
    }
    for (size_t i = 0; i < held.size(); ++i) {
      for (size_t m = 0; m < models; ++m) {
        const double q = held[i].quality[m];
        if (std::isnan(q)) continue;
        double s = p[shares + m];
        for (size_t t = 0; t < shares; ++t) s += p[t] * p[t] * x[i][t * models + m];
        value += softplus(s) - q * s;
        const double residual = sigmoid(s) - q;
        for (size_t t = 0; t < shares; ++t) g[t] += residual * 2 * p[t] * x[i][t * models + m];
        g[shares + m] += residual;
      }
    }
    return value;
  };
  std::vector<double> start(shares + models);
  std::fill_n(start.begin(), shares, equal);
  const auto p = minimize(objective, std::move(start), 200, 1e-6);
  for (size_t t = 0; t < shares; ++t) weights.push_back(p[t] * p[t]);
  bias.assign(p.begin() + static_cast<ptrdiff_t>(shares), p.end());
}

/// The held-out rows are a small sample: their curve is moved by what the best single model's mean on them is
/// off its mean on all rows, so that the two compare.
void align(std::vector<OperatingPoint>& curve, std::span<const GradedRow> held,
           std::span<const ModelFigures> models) {
  size_t best = 0;
  for (size_t m = 1; m < models.size(); ++m) best = models[m].quality > models[best].quality ? m : best;
  double sum = 0, n = 0;
  for (const GradedRow& row : held) {
    if (std::isnan(row.quality[best])) continue;
    sum += row.quality[best];
    ++n;
  }
  if (n == 0) return;
  for (OperatingPoint& point : curve)
    point.quality = std::clamp(point.quality + models[best].quality - sum / n, 0.0, 1.0);
}

Status check_rows(std::span<const GradedRow> rows, std::span<const ModelFigures> models) {
  if (rows.size() < kLeastRows) {
    return fail(Code::kInvalidArgument, "router: found {} graded requests, expected at least {}", rows.size(),
                kLeastRows);
  }
  if (models.size() < 2)
    return fail(Code::kInvalidArgument, "router: found {} models, expected at least two", models.size());
  for (size_t m = 0; m < models.size(); ++m) {
    const bool graded = std::any_of(rows.begin(), rows.end(),
                                    [&](const GradedRow& row) { return !std::isnan(row.quality[m]); });
    if (!graded) return fail(Code::kInvalidArgument, "router: found no grade of model '{}'", models[m].name);
  }
  return {};
}

}  // namespace

std::vector<const Predictor*> Parts::all() const {
  std::vector<const Predictor*> out;
  if (linear) out.push_back(linear.get());
  if (neighbours) out.push_back(neighbours.get());
  if (factors) out.push_back(factors.get());
  return out;
}

std::vector<ModelFigures> figures(std::span<const GradedRow> rows, std::span<const std::vector<float>> costs,
                                  std::vector<std::string> names) {
  std::vector<ModelFigures> out;
  for (size_t m = 0; m < names.size(); ++m) {
    double quality = 0, graded = 0, cost = 0, priced = 0;
    for (const GradedRow& row : rows) {
      if (std::isnan(row.quality[m])) continue;
      quality += row.quality[m];
      ++graded;
    }
    for (const auto& row : costs) {
      if (std::isnan(row[m])) continue;
      cost += row[m];
      ++priced;
    }
    out.push_back({std::move(names[m]), graded > 0 ? quality / graded : 0, priced > 0 ? cost / priced : 0});
  }
  return out;
}

Result<Router> Router::train(std::span<const GradedRow> rows, std::span<const std::vector<float>> costs,
                             std::vector<std::string> names, const TrainOptions& options) {
  Router out;
  out.models_ = figures(rows, costs, std::move(names));
  BANTAM_TRY(check_rows(rows, out.models_));
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng(options.seed, 7).shuffle(order);
  const size_t fitted = rows.size() - rows.size() / 4;
  std::vector<GradedRow> from, held;
  Table held_costs;
  for (size_t i = 0; i < order.size(); ++i) {
    (i < fitted ? from : held).push_back(rows[order[i]]);
    if (i >= fitted) held_costs.push_back(costs[order[i]]);
  }
  const size_t models = out.models_.size();
  const Learner learner{rows, models, options};
  auto [settings, tuned] = learner.tune(from, held);
  std::vector<Table> tables;
  for (const Predictor* part : tuned.all()) tables.push_back(predictions(*part, held, models));
  if (tables.empty()) return fail(Code::kInvalidArgument, "router: found no kind of predictor to train");
  stack(tables, held, models, out.weights_, out.bias_);
  out.parts_ = std::move(tuned);
  Table seen;
  for (const GradedRow& row : held) seen.push_back(out.predict(*row.row));
  out.curve_ = operating_curve(seen, held, held_costs, out.models_);
  align(out.curve_, held, out.models_);
  if (options.say) {
    options.say(fmt::format("c {}, k {}, l2 {}; weights {:.2f}", settings.c, settings.k, settings.l2,
                            fmt::join(out.weights_, " ")));
  }
  out.parts_ = learner.fit(rows, settings);
  return out;
}

std::vector<float> Router::predict(const Row& row) const {
  const size_t models = models_.size();
  const auto parts = parts_.all();
  std::vector<float> out(models);
  std::vector<double> shares(2 * parts.size() * models);
  for (size_t t = 0; t < parts.size(); ++t) {
    if (weights_[2 * t] == 0 && weights_[2 * t + 1] == 0) continue;
    parts[t]->predict(row, out);
    divide(out, shares, t);
  }
  for (size_t m = 0; m < models; ++m) {
    double sum = bias_[m];
    for (size_t t = 0; t < weights_.size(); ++t) sum += weights_[t] * shares[t * models + m];
    out[m] = static_cast<float>(sigmoid(sum));
  }
  return out;
}

std::vector<std::vector<float>> Router::predict_parts(const Row& row) const {
  std::vector<std::vector<float>> out;
  for (const Predictor* part : parts_.all()) {
    auto& quality = out.emplace_back(models_.size());
    part->predict(row, quality);
    for (float& q : quality) q = static_cast<float>(sigmoid(q));
  }
  return out;
}

std::vector<std::string> Router::part_names() const {
  std::vector<std::string> out;
  if (parts_.linear) out.emplace_back("linear");
  if (parts_.neighbours) out.emplace_back("neighbours");
  if (parts_.factors) out.emplace_back("factors");
  return out;
}

std::vector<float> Router::predict(const Query& query) const { return predict(Row{&query, extract(query)}); }

}  // namespace bantam::collab::routing
