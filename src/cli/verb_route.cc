#include <memory>

#include "cli/route_report.h"
#include "cli/verbs.h"
#include "collab/routing/evaluate.h"

namespace bantam::cli {
namespace {

using collab::routing::choose;
using collab::routing::cross_validate;
using collab::routing::DataOptions;
using collab::routing::Dataset;
using collab::routing::Example;
using collab::routing::extract;
using collab::routing::figures;
using collab::routing::GradedRow;
using collab::routing::load_graded;
using collab::routing::ModelFigures;
using collab::routing::Policy;
using collab::routing::price_for_budget;
using collab::routing::price_for_quality;
using collab::routing::Query;
using collab::routing::Router;
using collab::routing::Row;
using collab::routing::TrainOptions;

struct RouteVerbOptions {
  std::string action, file, out, prompt;
  DataOptions data;
  size_t folds = 5;
  TrainOptions train;
  double accuracy = 0, budget = 0;
};

/// A data set with its features, ready to learn from.
struct Prepared {
  Dataset data;
  std::vector<Row> rows;
  std::vector<GradedRow> graded;
  std::vector<std::vector<float>> costs;
};

/// The rows point into the data, so it stays where it is.
Result<std::unique_ptr<Prepared>> prepare(const DataOptions& options) {
  auto out = std::make_unique<Prepared>();
  BANTAM_ASSIGN(out->data, load_graded(options));
  for (const Example& example : out->data.examples) {
    out->rows.push_back({&example.query, extract(example.query)});
    out->costs.push_back(example.cost);
  }
  for (size_t i = 0; i < out->rows.size(); ++i)
    out->graded.push_back({&out->rows[i], out->data.examples[i].quality});
  return out;
}

Result<RouteReport> evaluate(const Prepared& p, const RouteVerbOptions& options) {
  const auto& models = p.data.models;
  RouteReport out{.data = options.data.data,
                  .requests = p.rows.size(),
                  .folds = options.folds,
                  .models = figures(p.graded, p.costs, models),
                  .pair = {},
                  .team = {}};
  CrossPredictions seen;
  BANTAM_TRY(cross_validate(
      p.graded, p.costs, models, options.folds, options.train,
      [&](const Router& router, std::span<const size_t> held) { seen.add(router, held, p.graded); }));
  if (models.size() == 2) out.pair = pair_rows(seen, p.graded, out.models, options.train.seed);
  out.team = team_rows(seen, p.graded, p.costs, out.models, options.train.seed);
  return out;
}

int eval_route(const RouteVerbOptions& options, const Common& common) {
  auto prepared = prepare(options.data);
  if (!prepared) return report(prepared.error());
  auto result = evaluate(**prepared, options);
  if (!result) return report(result.error());
  return common.json ? print_json(report_json(*result)) : print_text(report_text(*result));
}

int train_route(const RouteVerbOptions& options, const Common& common) {
  if (options.out.empty()) return report_misuse("route", "train needs --out");
  auto prepared = prepare(options.data);
  if (!prepared) return report(prepared.error());
  auto router =
      Router::train((*prepared)->graded, (*prepared)->costs, (*prepared)->data.models, options.train);
  if (!router) return report(router.error());
  if (auto saved = router->save(options.out); !saved) return report(saved.error());
  return common.json ? print_json(router_json(*router)) : print_text(router_text(*router));
}

/// The policy that the flags ask for: a wanted accuracy or a budget, else the best model.
Result<Policy> policy_of(const Router& router, const RouteVerbOptions& options) {
  if (options.accuracy > 0 && router.curve().empty()) return Policy{Policy::Kind::kQuality, options.accuracy};
  if (options.accuracy > 0)
    return Policy{Policy::Kind::kPrice, *price_for_quality(router.curve(), options.accuracy)};
  if (options.budget > 0) {
    const auto price = price_for_budget(router.curve(), options.budget);
    if (!price) {
      return fail(Code::kInvalidArgument, "--budget: no operating point costs {} a request or less",
                  options.budget);
    }
    return Policy{Policy::Kind::kPrice, *price};
  }
  return Policy{Policy::Kind::kQuality, 1};
}

int ask_route(const RouteVerbOptions& options, const Common& common) {
  if (options.file.empty()) return report_misuse("route", "ask needs the router's file");
  auto router = Router::load(options.file);
  if (!router) return report(router.error());
  auto policy = policy_of(*router, options);
  if (!policy) return report(policy.error());
  Query query;
  query.text = options.prompt;
  const auto quality = router->predict(query);
  std::vector<double> cost;
  for (const ModelFigures& model : router->models()) cost.push_back(model.cost);
  const auto& chosen = router->models()[choose(quality, cost, *policy)];
  Json out{{"model", chosen.name}, {"quality", Json::object()}};
  for (size_t m = 0; m < quality.size(); ++m) out["quality"][router->models()[m].name] = quality[m];
  if (common.json) return print_json(out);
  std::vector<std::vector<std::string>> rows{{"model", "predicted quality", "mean cost"}};
  for (size_t m = 0; m < quality.size(); ++m) {
    rows.push_back(
        {router->models()[m].name, fmt::format("{:.3f}", quality[m]), fmt::format("{:.3g}", cost[m])});
  }
  return print_text(fmt::format("{}\n{}", chosen.name, text_table(rows)));
}

void add_data_options(CLI::App& verb, DataOptions& data) {
  verb.add_option("--data", data.data, "Graded answers: .csv with a column a model, or .jsonl")
      ->type_name("FILE");
  verb.add_option("--input", data.input, "Column of the prompts, or of their keys in --texts")
      ->capture_default_str();
  verb.add_option("--models", data.models, "Columns of the models (default: all that hold grades)")
      ->delimiter(',');
  verb.add_option("--scale", data.scale, "The best grade there is")->capture_default_str();
  verb.add_option("--texts", data.texts, ".jsonl with the prompts")->type_name("FILE");
  verb.add_option("--key", data.key, "Field of --texts and --outputs that says whose they are")
      ->capture_default_str();
  verb.add_option("--text", data.text, "Field of --texts with the prompt")->capture_default_str();
  verb.add_option("--outputs", data.outputs, ".jsonl with key, model and output, for the length of answers")
      ->type_name("FILE");
  verb.add_option("--prices", data.prices,
                  "TOML with [[models]] name, prompt, completion (per million tokens)")
      ->type_name("FILE");
}

}  // namespace

Action add_route(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<RouteVerbOptions>();
  verb.add_option("ACTION", options->action, "train, eval (cross-validation) or ask")
      ->required()
      ->check(CLI::IsMember({"train", "eval", "ask"}));
  verb.add_option("ROUTER", options->file, "Router file, for ask");
  add_data_options(verb, options->data);
  verb.add_option("--out", options->out, "Router file to write, for train")->type_name("FILE");
  verb.add_option("--prompt", options->prompt, "What to choose a model for, for ask");
  verb.add_option("--accuracy", options->accuracy, "Wanted mean quality, for ask")
      ->check(CLI::Range(0.0, 1.0));
  verb.add_option("--budget", options->budget, "Mean cost of a request at most, for ask");
  verb.add_option("--folds", options->folds, "Parts of the cross-validation")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  verb.add_option("--seed", options->train.seed, "Seed of every division of the data")->capture_default_str();
  add_json(verb, common);
  verb.footer(
      "Examples:\n  bantam route eval --data answers.csv --input prompt --models small,large\n"
      "  bantam route train --data log.jsonl --out router.gguf\n"
      "  bantam route ask router.gguf --prompt 'What is 3 + 4?' --accuracy 0.9");
  return [options, &common] {
    if (!common.quiet && options->action != "ask")
      options->train.say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
    if (options->action == "ask") return ask_route(*options, common);
    if (options->data.data.empty()) return report_misuse("route", options->action + " needs --data");
    return options->action == "train" ? train_route(*options, common) : eval_route(*options, common);
  };
}

}  // namespace bantam::cli
