#include "cli/route_report.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace bantam::cli {

namespace {

using collab::routing::choose;
using collab::routing::Estimate;
using collab::routing::GradedRow;
using collab::routing::ModelFigures;
using collab::routing::pair_figures;
using collab::routing::Policy;
using collab::routing::price_for_budget;
using collab::routing::price_for_quality;
using collab::routing::Router;
using collab::routing::team_figures;

/// The position of the strong one of two models.
size_t strong_of(std::span<const ModelFigures> models) {
  return models[1].quality >= models[0].quality ? 1 : 0;
}

std::string estimate_text(const Estimate& e, double scale = 1, int digits = 3) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", scale * e.value, digits, scale * e.interval.low, digits,
                     scale * e.interval.high, digits);
}

Json estimate_json(const Estimate& e) {
  return {{"value", e.value}, {"interval_95", {e.interval.low, e.interval.high}}};
}

std::string verdict(const Estimate& apgr) {
  if (apgr.interval.low > 0.5) return "better than random";
  return apgr.interval.high < 0.5 ? "WORSE than random" : "not better than random";
}

/// A team is worth its router only where it is cheaper than models taken at random that are as good.
std::string verdict(const TeamRow& row) {
  if (row.mix_cost <= 0) return "";
  if (row.figures.cost.interval.high < row.mix_cost) return "better than a random mix";
  return row.figures.cost.interval.low > row.mix_cost ? "WORSE than a random mix"
                                                      : "no better than a random mix";
}

/// The least cost at which some single model, or two of them in turn at random, reach `quality`.
double cheapest_mix(std::span<const ModelFigures> models, double quality) {
  double least = INFINITY;
  for (const ModelFigures& a : models) {
    if (a.quality >= quality) least = std::min(least, a.cost);
    for (const ModelFigures& b : models) {
      if (a.quality >= quality || b.quality < quality) continue;
      const double share = (quality - a.quality) / (b.quality - a.quality);
      least = std::min(least, a.cost + share * (b.cost - a.cost));
    }
  }
  return std::isfinite(least) ? least : 0;
}

bool complete(const GradedRow& row) {
  return std::none_of(row.quality.begin(), row.quality.end(), [](float q) { return std::isnan(q); });
}

}  // namespace

void CrossPredictions::add(const Router& router, std::span<const size_t> held,
                           std::span<const GradedRow> rows) {
  if (quality.empty()) {
    parts = router.part_names();
    quality.resize(rows.size());
    alone.assign(parts.size(), std::vector<std::vector<float>>(rows.size()));
    at_best.resize(rows.size());
    single.resize(rows.size());
    at_three_quarters.resize(rows.size());
  }
  const auto& models = router.models();
  const auto best = static_cast<size_t>(
      std::max_element(models.begin(), models.end(),
                       [](const auto& a, const auto& b) { return a.quality < b.quality; }) -
      models.begin());
  std::vector<double> cost;
  for (const auto& model : models) cost.push_back(model.cost);
  const auto price = price_for_quality(router.curve(), models[best].quality);
  const auto cheaper = price_for_budget(router.curve(), 0.75 * models[best].cost);
  for (size_t i : held) {
    quality[i] = router.predict(*rows[i].row);
    auto each = router.predict_parts(*rows[i].row);
    for (size_t p = 0; p < each.size(); ++p) alone[p][i] = std::move(each[p]);
    single[i] = best;
    at_best[i] = price ? choose(quality[i], cost, {Policy::Kind::kPrice, *price}) : best;
    at_three_quarters[i] = cheaper ? choose(quality[i], cost, {Policy::Kind::kPrice, *cheaper}) : best;
  }
}

std::vector<PairRow> pair_rows(const CrossPredictions& seen, std::span<const GradedRow> rows,
                               std::span<const ModelFigures> models, uint64_t seed) {
  const size_t strong = strong_of(models), weak = 1 - strong;
  std::vector<size_t> known;
  std::vector<float> weak_quality, strong_quality;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!complete(rows[i]) || seen.quality[i].empty()) continue;
    known.push_back(i);
    weak_quality.push_back(rows[i].quality[weak]);
    strong_quality.push_back(rows[i].quality[strong]);
  }
  std::vector<PairRow> out;
  const auto add = [&](std::string name, const auto& score) {
    std::vector<double> scores;
    for (size_t i : known) scores.push_back(score(i));
    out.push_back({std::move(name), pair_figures(scores, weak_quality, strong_quality, seed)});
  };
  const auto gain = [&](const std::vector<float>& q) { return static_cast<double>(q[strong]) - q[weak]; };
  Rng rng(seed, 99);
  add("random", [&](size_t) { return rng.uniform(); });
  add("longest first", [&](size_t i) { return static_cast<double>(rows[i].row->query->text.size()); });
  for (size_t p = 0; p < seen.parts.size(); ++p)
    add(seen.parts[p], [&](size_t i) { return gain(seen.alone[p][i]); });
  add("router (all of these)", [&](size_t i) { return gain(seen.quality[i]); });
  add("oracle",
      [&](size_t i) { return static_cast<double>(rows[i].quality[strong]) - rows[i].quality[weak]; });
  return out;
}

std::vector<TeamRow> team_rows(const CrossPredictions& seen, std::span<const GradedRow> rows,
                               std::span<const std::vector<float>> costs,
                               std::span<const ModelFigures> models, uint64_t seed) {
  const bool priced = std::all_of(models.begin(), models.end(), [](const auto& m) { return m.cost > 0; });
  if (!priced) return {};
  std::vector<TeamRow> out;
  const auto add = [&](std::string name, const auto& chosen) {
    std::vector<float> quality, cost, single_quality, single_cost;
    const auto grade = [&](size_t i, size_t m) {
      return std::isnan(rows[i].quality[m]) ? static_cast<float>(models[m].quality) : rows[i].quality[m];
    };
    const auto paid = [&](size_t i, size_t m) {
      return std::isnan(costs[i][m]) ? static_cast<float>(models[m].cost) : costs[i][m];
    };
    for (size_t i = 0; i < rows.size(); ++i) {
      if (seen.quality[i].empty()) continue;
      const size_t m = chosen(i);
      quality.push_back(grade(i, m));
      cost.push_back(paid(i, m));
      single_quality.push_back(grade(i, seen.single[i]));
      single_cost.push_back(paid(i, seen.single[i]));
    }
    TeamRow row{std::move(name), team_figures(quality, cost, single_quality, single_cost, seed), 0};
    row.mix_cost = cheapest_mix(models, row.figures.quality.value);
    out.push_back(std::move(row));
  };
  add("best single model", [&](size_t i) { return seen.single[i]; });
  add("router, its quality wanted", [&](size_t i) { return seen.at_best[i]; });
  add("router, 3/4 of its cost", [&](size_t i) { return seen.at_three_quarters[i]; });
  add("oracle", [&](size_t i) {
    size_t best = 0;
    for (size_t m = 1; m < models.size(); ++m) {
      const float a = rows[i].quality[m], b = rows[i].quality[best];
      if (a > b || (a == b && models[m].cost < models[best].cost)) best = m;
    }
    return best;
  });
  return out;
}

Json report_json(const RouteReport& report) {
  Json out{{"data", report.data}, {"requests", report.requests}, {"folds", report.folds}};
  for (const auto& m : report.models)
    out["models"].push_back({{"name", m.name}, {"quality", m.quality}, {"cost", m.cost}});
  out["pair"] = Json::array();
  for (const auto& row : report.pair) {
    out["pair"].push_back({{"router", row.name},
                           {"apgr", estimate_json(row.figures.apgr)},
                           {"cpt50", estimate_json(row.figures.cpt50)},
                           {"cpt80", estimate_json(row.figures.cpt80)},
                           {"verdict", verdict(row.figures.apgr)}});
  }
  out["team"] = Json::array();
  for (const auto& row : report.team) {
    out["team"].push_back({{"team", row.name},
                           {"quality", estimate_json(row.figures.quality)},
                           {"cost", estimate_json(row.figures.cost)},
                           {"quality_gap", estimate_json(row.figures.quality_gap)},
                           {"cost_ratio", estimate_json(row.figures.cost_ratio)},
                           {"mix_cost", row.mix_cost},
                           {"verdict", verdict(row)}});
  }
  return out;
}

std::string report_text(const RouteReport& report) {
  std::string out = fmt::format("{}: {} requests, {}-fold cross-validation, 95 % intervals by bootstrap\n\n",
                                report.data, report.requests, report.folds);
  std::vector<std::vector<std::string>> models{{"model", "quality", "cost per 1000"}};
  for (const auto& m : report.models) {
    models.push_back({m.name, fmt::format("{:.2f} %", 100 * m.quality),
                      m.cost > 0 ? fmt::format("{:.4f}", 1000 * m.cost) : "-"});
  }
  out += text_table(models) + "\n";
  if (!report.pair.empty()) {
    std::vector<std::vector<std::string>> rows{{"order of calls", "APGR", "CPT(50 %)", "CPT(80 %)", ""}};
    for (const auto& row : report.pair) {
      rows.push_back({row.name, estimate_text(row.figures.apgr),
                      estimate_text(row.figures.cpt50, 100, 1) + " %",
                      estimate_text(row.figures.cpt80, 100, 1) + " %",
                      row.name == "random" || row.name == "oracle" ? "" : verdict(row.figures.apgr)});
    }
    out += text_table(rows) + "\n";
  }
  if (!report.team.empty()) {
    std::vector<std::vector<std::string>> rows{
        {"team", "quality", "less than single", "cost per 1000", "of single's", "random mix's cost", ""}};
    for (const auto& row : report.team) {
      rows.push_back({row.name, estimate_text(row.figures.quality, 100, 2) + " %",
                      estimate_text(row.figures.quality_gap, 100, 2),
                      estimate_text(row.figures.cost, 1000, 4),
                      estimate_text(row.figures.cost_ratio, 100, 1) + " %",
                      row.mix_cost > 0 ? fmt::format("{:.4f}", 1000 * row.mix_cost) : "-",
                      row.name.starts_with("router") ? verdict(row) : ""});
    }
    out += text_table(rows);
  }
  return out;
}

Json router_json(const Router& router) {
  Json out{{"models", Json::array()}, {"parts", Json::object()}, {"curve", Json::array()}};
  for (const auto& m : router.models())
    out["models"].push_back({{"name", m.name}, {"quality", m.quality}, {"cost", m.cost}});
  const auto names = router.part_names();
  for (size_t p = 0; p < names.size(); ++p)
    out["parts"][names[p]] = {router.part_weights()[2 * p], router.part_weights()[2 * p + 1]};
  for (const auto& point : router.curve())
    out["curve"].push_back({{"price", point.price}, {"quality", point.quality}, {"cost", point.cost}});
  return out;
}

std::string router_text(const Router& router) {
  std::vector<std::vector<std::string>> models{{"model", "quality", "cost per 1000"}};
  for (const auto& m : router.models()) {
    models.push_back(
        {m.name, fmt::format("{:.2f} %", 100 * m.quality), fmt::format("{:.4f}", 1000 * m.cost)});
  }
  std::string out = text_table(models);
  const auto names = router.part_names();
  for (size_t p = 0; p < names.size(); ++p)
    out += fmt::format("{} {:.2f} + {:.2f}{}", names[p], router.part_weights()[2 * p],
                       router.part_weights()[2 * p + 1], p + 1 < names.size() ? ", " : "\n");
  if (router.curve().empty()) return out;
  std::vector<std::vector<std::string>> rows{{"held-out quality", "cost per 1000"}};
  for (size_t i = 0; i < router.curve().size(); i += 10) {
    const auto& point = router.curve()[i];
    rows.push_back({fmt::format("{:.2f} %", 100 * point.quality), fmt::format("{:.4f}", 1000 * point.cost)});
  }
  return out + text_table(rows);
}

}  // namespace bantam::cli
