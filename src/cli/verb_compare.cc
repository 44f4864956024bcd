#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/usage.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "eval/compare.h"
#include "eval/linear_baseline.h"
#include "formats/labelled.h"

namespace bantam::cli {
namespace {

using runtime::Engine;

struct CompareVerbOptions {
  std::string slm, llm, data, train, html, input = "text", label = "label";
  eval::CostModel cost;
  double slm_training_cpu = 0, llm_training_cpu = 0;
  runtime::EngineOptions engine{.threads = 1};
};

Result<std::shared_ptr<const Engine>> load_for(const std::string& path, const CompareVerbOptions& options) {
  BANTAM_ASSIGN(auto engine, Engine::load(path, options.engine));
  if (!engine->task())
    return fail(Code::kInvalidArgument, "{}: has no task (bantam.task.kind) to compare on", path);
  return engine;
}

/// Predictions speak the model's own label order; the comparison has one order for all.
void translate(std::vector<eval::Prediction>& predictions, const std::vector<std::string>& from,
               const std::vector<std::string>& to) {
  for (eval::Prediction& prediction : predictions) {
    auto at = std::find(to.begin(), to.end(), from[prediction.label]);
    prediction.label = at == to.end() ? -1 : static_cast<int32_t>(at - to.begin());
  }
}

Result<eval::Candidate> measure_candidate(const std::string& path, const Engine& engine,
                                          const formats::LabelledData& data,
                                          const std::vector<std::string>& labels,
                                          const ProgressSink& progress) {
  const model::Config& config = engine.config();
  eval::Candidate out;
  out.name = std::filesystem::path(path).filename().string();
  out.detail = fmt::format("{}, {} layers x {}", config.architecture, config.layers, config.dim);
  out.parameters = engine.parameters();
  out.file_bytes = engine.file_bytes();
  out.memory_bytes = engine.memory().computed();
  ProgressSink named;
  if (progress) {
    named = [&](Progress step) {
      step.step = out.name;
      progress(step);
    };
  }
  BANTAM_ASSIGN(out.predictions, eval::predict_all(engine, data.examples, named));
  translate(out.predictions, engine.task()->labels, labels);
  return out;
}

/// Trained on --train here and now, and measured on the same examples as the models.
Result<eval::Candidate> linear_baseline(const CompareVerbOptions& options, const formats::LabelledData& data,
                                        const std::vector<std::string>& labels) {
  BANTAM_ASSIGN(auto train, formats::load_labelled(options.train, options.input, options.label, labels));
  double start = process_cpu_seconds();
  BANTAM_ASSIGN(auto baseline, eval::LinearBaseline::train(train.examples, train.labels.size()));
  eval::Candidate out;
  out.name = "linear baseline";
  out.detail = "TF-IDF of words and characters, linear SVM";
  out.training_cpu_seconds = process_cpu_seconds() - start;
  out.parameters = baseline.parameters();
  out.file_bytes = out.memory_bytes = baseline.bytes();
  out.predictions = eval::predict_all(baseline, data.examples);
  return out;
}

Result<eval::Comparison> compare(const CompareVerbOptions& options, const Common& common) {
  BANTAM_ASSIGN(auto slm, load_for(options.slm, options));
  BANTAM_ASSIGN(auto llm, load_for(options.llm, options));
  const auto& labels = slm->task()->labels;
  BANTAM_ASSIGN(auto data, formats::load_labelled(options.data, options.input, options.label, labels));
  eval::Comparison out;
  out.task = slm->task()->name;
  out.data = options.data;
  out.n = data.examples.size();
  out.cost = options.cost;
  out.labels = labels;
  for (const formats::Example& example : data.examples) out.gold.push_back(example.label);
  ProgressBar bar(common.quiet);
  BANTAM_ASSIGN(auto small, measure_candidate(options.slm, *slm, data, labels, bar.sink()));
  BANTAM_ASSIGN(auto large, measure_candidate(options.llm, *llm, data, labels, bar.sink()));
  bar.finish();
  small.training_cpu_seconds = options.slm_training_cpu;
  large.training_cpu_seconds = options.llm_training_cpu;
  out.candidates = {std::move(large), std::move(small)};
  out.llm = 0;
  out.slm = 1;
  if (!options.train.empty()) {
    BANTAM_ASSIGN(auto linear, linear_baseline(options, data, labels));
    out.candidates.push_back(std::move(linear));
  }
  out.threshold = slm->task()->calibration.threshold;
  out.target = slm->task()->calibration.target;
  if (const auto& certificate = slm->task()->certificate) {
    out.error = certificate->error;
    out.confidence = certificate->confidence;
  }
  return out;
}

int run_compare(const CompareVerbOptions& options, const Common& common) {
  auto comparison = compare(options, common);
  if (!comparison) return report(comparison.error());
  if (!options.html.empty()) {
    if (Status written = write_file(options.html, eval::to_html(*comparison)); !written)
      return report(written.error());
    if (!common.quiet) fmt::print(stderr, "report: {}\n", options.html);
  }
  return print_text(common.json ? eval::to_json(*comparison) + "\n" : eval::to_text(*comparison));
}

}  // namespace

Action add_compare(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<CompareVerbOptions>();
  verb.add_option("SLM", options->slm, "Small model (.gguf, made for a task)")->required();
  verb.add_option("LLM", options->llm, "Large model (.gguf, made for the same task)")->required();
  takes_model(verb, common, options->slm);
  takes_model(verb, common, options->llm);
  verb.add_option("--data", options->data, "Labelled data that neither model was trained on")
      ->required()
      ->type_name("FILE");
  verb.add_option("--input", options->input, "Column of the input")->capture_default_str();
  verb.add_option("--label", options->label, "Column of the label")->capture_default_str();
  verb.add_option("--train", options->train, "Training data of the models: adds the linear baseline")
      ->type_name("FILE");
  verb.add_option("--html", options->html, "Also write a report with charts")->type_name("FILE");
  verb.add_option("--slm-training-cpu", options->slm_training_cpu,
                  "CPU-seconds the small model's making took (a model file does not say)")
      ->capture_default_str();
  verb.add_option("--llm-training-cpu", options->llm_training_cpu, "The same of the large model")
      ->capture_default_str();
  verb.add_option("--cpu-hour-price", options->cost.cpu_hour_price, "Price of one CPU-hour")
      ->capture_default_str();
  verb.add_option("--currency", options->cost.currency, "Its currency")->capture_default_str();
  add_engine_options(verb, options->engine);
  add_json(verb, common);
  verb.footer(
      "Latency and CPU time are of single requests, on one thread unless --threads says otherwise.\n"
      "Example:\n"
      "  bantam compare student.gguf teacher.gguf --data validation.csv --train train.csv --html "
      "report.html");
  return [options, &common] { return run_compare(*options, common); };
}

}  // namespace bantam::cli
