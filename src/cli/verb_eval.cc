#include <memory>

#include "base/file.h"
#include "base/usage.h"
#include "cli/interrupt.h"
#include "cli/perplexity.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "eval/compare.h"
#include "eval/metrics.h"
#include "formats/labelled.h"

namespace bantam::cli {
namespace {

struct EvalVerbOptions {
  std::string model, data, text, input = "text", label = "label";
  PerplexityOptions perplexity;
  runtime::EngineOptions engine;
};

struct Scores {
  uint64_t right = 0;
  std::vector<int32_t> predicted, gold;
  std::vector<double> confidence, latency;
  std::vector<uint8_t> correct;
  double cpu = 0;
};

Scores score(const std::vector<eval::Prediction>& predictions,
             const std::vector<formats::Example>& examples) {
  Scores out;
  for (size_t i = 0; i < predictions.size(); ++i) {
    bool right = predictions[i].label == examples[i].label;
    out.right += right;
    out.correct.push_back(right);
    out.predicted.push_back(predictions[i].label);
    out.gold.push_back(examples[i].label);
    out.confidence.push_back(predictions[i].confidence);
    out.latency.push_back(predictions[i].latency);
    out.cpu += predictions[i].cpu;
  }
  return out;
}

Json as_json(const Scores& scores, const std::string& data, size_t labels) {
  uint64_t n = scores.gold.size();
  eval::Interval interval = eval::wilson(scores.right, n);
  return {{"data", data},
          {"n", n},
          {"accuracy", static_cast<double>(scores.right) / static_cast<double>(n)},
          {"interval", {interval.low, interval.high}},
          {"macro_f1", eval::macro_f1(scores.predicted, scores.gold, labels)},
          {"ece", eval::expected_calibration_error(scores.confidence, scores.correct)},
          {"latency_p50", eval::quantile(scores.latency, 0.5)},
          {"latency_p99", eval::quantile(scores.latency, 0.99)},
          {"cpu_seconds_per_request", scores.cpu / static_cast<double>(n)}};
}

std::string scores_text(const Json& json) {
  auto percent = [](const Json& value) { return fmt::format("{:.2f} %", 100 * value.get<double>()); };
  auto ms = [](const Json& value) { return fmt::format("{:.3f} ms", 1000 * value.get<double>()); };
  return text_table({{"data", json["data"].get<std::string>()},
                     {"examples", with_commas(json["n"].get<uint64_t>())},
                     {"accuracy", percent(json["accuracy"])},
                     {"95 % interval", percent(json["interval"][0]) + " to " + percent(json["interval"][1])},
                     {"macro F1", percent(json["macro_f1"])},
                     {"calibration error", percent(json["ece"])},
                     {"latency p50", ms(json["latency_p50"])},
                     {"latency p99", ms(json["latency_p99"])},
                     {"CPU time each", ms(json["cpu_seconds_per_request"])}});
}

Result<Json> eval_labelled(const runtime::Engine& engine, const EvalVerbOptions& options,
                           const Common& common) {
  if (!engine.task()) {
    return fail(Code::kInvalidArgument,
                "{}: has no task (bantam.task.kind); labelled data needs a model made for one",
                options.model);
  }
  BANTAM_ASSIGN(auto data,
                formats::load_labelled(options.data, options.input, options.label, engine.task()->labels));
  ProgressBar bar(common.quiet);
  BANTAM_ASSIGN(auto predictions, eval::predict_all(engine, data.examples, bar.sink()));
  bar.finish();
  return as_json(score(predictions, data.examples), options.data, data.labels.size());
}

Result<Json> eval_text(const runtime::Engine& engine, const EvalVerbOptions& options, const Common& common) {
  BANTAM_ASSIGN(std::string text, read_file(options.text));
  ProgressBar bar(common.quiet);
  BANTAM_ASSIGN(Perplexity result,
                perplexity(engine, text, options.perplexity, bar.sink(), Interrupt::token()));
  bar.finish();
  return Json{{"text", options.text},
              {"perplexity", result.perplexity()},
              {"bits_per_byte", result.bits_per_byte()},
              {"tokens", result.tokens},
              {"tokens_scored", result.scored},
              {"bytes_scored", result.bytes},
              {"window", result.window},
              {"stride", result.stride},
              {"seconds", result.seconds}};
}

std::string text_of_perplexity(const Json& json) {
  return text_table(
      {{"text", json["text"].get<std::string>()},
       {"perplexity", fmt::format("{:.4f}", json["perplexity"].get<double>())},
       {"bits per byte", fmt::format("{:.4f}", json["bits_per_byte"].get<double>())},
       {"tokens", with_commas(json["tokens"].get<uint64_t>())},
       {"tokens scored", with_commas(json["tokens_scored"].get<uint64_t>())},
       {"window, stride",
        fmt::format("{}, {}", json["window"].get<uint64_t>(), json["stride"].get<uint64_t>())},
       {"tokens/s", fmt::format("{:.0f}", json["tokens"].get<double>() / json["seconds"].get<double>())}});
}

int run_eval(const EvalVerbOptions& options, const Common& common) {
  if (options.data.empty() == options.text.empty())
    return report_misuse("eval", "expected either --data or --text");
  Interrupt interrupt;
  auto engine = runtime::Engine::load(options.model, options.engine);
  if (!engine) return report(engine.error());
  bool labelled = !options.data.empty();
  auto result = labelled ? eval_labelled(**engine, options, common) : eval_text(**engine, options, common);
  if (!result) return report(result.error());
  if (common.json) return print_json(*result);
  return print_text(labelled ? scores_text(*result) : text_of_perplexity(*result));
}

}  // namespace

Action add_eval(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<EvalVerbOptions>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  auto* data =
      verb.add_option("--data", options->data, "Labelled data (.csv or .jsonl): accuracy")->type_name("FILE");
  verb.add_option("--text", options->text, "Plain text: perplexity and bits per byte")
      ->type_name("FILE")
      ->excludes(data);
  verb.add_option("--input", options->input, "Column of the input")->capture_default_str();
  verb.add_option("--label", options->label, "Column of the label")->capture_default_str();
  verb.add_option("--window", options->perplexity.window,
                  "Tokens seen at once with --text (0: the context, at most 512)")
      ->capture_default_str();
  verb.add_option("--stride", options->perplexity.stride,
                  "Tokens from one window to the next (0: half a window)")
      ->capture_default_str();
  verb.add_flag("--halves", options->perplexity.halves,
                "Windows side by side, only their second halves scored: llama.cpp's perplexity");
  add_engine_options(verb, options->engine);
  add_json(verb, common);
  verb.footer(
      "Examples:\n"
      "  bantam eval tickets.gguf --data validation.csv --input text --label intent\n"
      "  bantam eval model.gguf --text wiki.test.raw --json\n"
      "With --text each token is scored once, in the first window that holds it; windows begin every "
      "--stride tokens.");
  return [options, &common] { return run_eval(*options, common); };
}

}  // namespace bantam::cli
