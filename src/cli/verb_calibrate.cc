#include <algorithm>
#include <memory>

#include "cli/calibrate_learned.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "compress/calibrate.h"
#include "formats/gguf.h"
#include "formats/labelled.h"

namespace bantam::cli {
namespace {

using runtime::Engine;

struct CalibrateVerbOptions {
  std::string model, llm, data, out, input = "text", label = "label";
  compress::CalibrateOptions calibrate;
  runtime::EngineOptions engine;
  LearnedOptions learned;
  bool learn = false;
  bool by_llm() const { return calibrate.reference == "llm"; }
};

/// Where each of `names` stands in `among`; -1 for those that are not there.
std::vector<int32_t> positions(const std::vector<std::string>& names, const std::vector<std::string>& among) {
  std::vector<int32_t> out;
  for (const std::string& name : names) {
    auto at = std::find(among.begin(), among.end(), name);
    out.push_back(at == among.end() ? -1 : static_cast<int32_t>(at - among.begin()));
  }
  return out;
}

struct Scorer {
  const Engine& slm;
  const Engine* llm;  // may be null: temperature only
  std::vector<int32_t> llm_to_slm;
  bool by_llm = false;  // the LLM's answer is the right one

  Result<compress::ScoredExample> operator()(runtime::Session& slm_session, runtime::Session* llm_session,
                                             const formats::Example& example) const {
    compress::ScoredExample out;
    BANTAM_ASSIGN(auto choice, slm.score(slm_session, example.text, Interrupt::token()));
    out.scores = std::move(choice.scores);
    out.gold = example.label;
    if (llm != nullptr) {
      BANTAM_ASSIGN(auto answer, llm->classify(*llm_session, example.text, Interrupt::token()));
      out.llm_label = llm_to_slm[answer.best];
    }
    if (by_llm) out.gold = out.llm_label;
    return out;
  }
};

Result<std::vector<compress::ScoredExample>> score_all(const Engine& slm, const Engine* llm,
                                                       const std::vector<formats::Example>& examples,
                                                       bool by_llm, const ProgressSink& progress) {
  Scorer scorer{slm, llm, {}, by_llm};
  if (llm != nullptr) scorer.llm_to_slm = positions(llm->task()->labels, slm.task()->labels);
  if (by_llm && std::ranges::count(scorer.llm_to_slm, -1) > 0) {
    return fail(Code::kInvalidArgument,
                "--reference llm: the large model has labels that the small one lacks; both need the same");
  }
  BANTAM_ASSIGN(auto slm_session, slm.new_session());
  std::unique_ptr<runtime::Session> llm_session;
  if (llm != nullptr) {
    BANTAM_ASSIGN(llm_session, llm->new_session());
  }
  std::vector<compress::ScoredExample> out;
  for (const formats::Example& example : examples) {
    auto scored = scorer(*slm_session, llm_session.get(), example);
    if (!scored) return std::unexpected(std::move(scored).error().in(fmt::format("line {}", example.line)));
    out.push_back(std::move(*scored));
    if (progress) progress({"calibrate", out.size(), examples.size(), ""});
  }
  return out;
}

/// The same model with another calibration. A learned confidence was made of the old one.
Status write_calibrated(const CalibrateVerbOptions& options, const compress::CalibrationReport& report) {
  return rewrite_model(options.model, options.out,
                       [&](formats::GgufFile& file, formats::GgufWriter& writer) -> Status {
                         BANTAM_ASSIGN(auto task, model::read_task(file));
                         if (!task) return fail(Code::kCorrupt, "{}: has no task", file.path());
                         task->calibration = report.calibration;
                         task->certificate = report.certificate;
                         model::write_task(*task, writer);
                         model::write_learned_confidence({}, writer);
                         return {};
                       });
}

Result<std::shared_ptr<const Engine>> load_with_task(const std::string& path,
                                                     const runtime::EngineOptions& options) {
  BANTAM_ASSIGN(auto engine, Engine::load(path, options));
  if (!engine->task())
    return fail(Code::kInvalidArgument, "{}: has no task (bantam.task.kind) to calibrate for", path);
  return engine;
}

Result<compress::CalibrationReport> calibrate(const CalibrateVerbOptions& options, const Common& common) {
  BANTAM_ASSIGN(auto slm, load_with_task(options.model, options.engine));
  std::shared_ptr<const Engine> llm;
  if (!options.llm.empty()) {
    BANTAM_ASSIGN(llm, load_with_task(options.llm, options.engine));
  }
  const auto& labels = slm->task()->labels;
  const std::string label = options.by_llm() ? std::string() : options.label;
  BANTAM_ASSIGN(auto data, formats::load_labelled(options.data, options.input, label, labels));
  ProgressBar bar(common.quiet);
  BANTAM_ASSIGN(auto scored, score_all(*slm, llm.get(), data.examples, options.by_llm(), bar.sink()));
  bar.finish();
  compress::CalibrateOptions how = options.calibrate;
  if (!llm || how.error != 0) how.target = 0;
  BANTAM_ASSIGN(auto report, compress::calibrate(scored, how));
  BANTAM_TRY(write_calibrated(options, report));
  return report;
}

Json as_json(const compress::CalibrationReport& report, const std::string& written) {
  const model::Calibration& c = report.calibration;
  Json out{{"model", written},
           {"temperature", c.temperature},
           {"ece_before", c.ece_before},
           {"ece_after", c.ece_after},
           {"nll_before", report.nll_before},
           {"nll_after", report.nll_after},
           {"target", c.target},
           {"threshold", c.threshold},
           {"local_share", report.threshold.local_share},
           {"losses", report.threshold.losses},
           {"gains", report.threshold.gains},
           {"p_value", report.threshold.p_value},
           {"examples", c.examples},
           {"certificate", nullptr},
           {"signals", Json::array()}};
  if (report.certificate) {
    out["certificate"] = certificate_json(*report.certificate);
    out["local_share"] = out["certificate"]["local_share"];
  }
  for (const auto& signal : report.signals) {
    out["signals"].push_back({{"name", signal.name},
                              {"auroc", signal.auroc},
                              {"ece", signal.ece_raw},
                              {"ece_isotonic", signal.ece_isotonic}});
  }
  return out;
}

std::string as_text(const compress::CalibrationReport& report) {
  const model::Calibration& c = report.calibration;
  std::string out =
      fmt::format("temperature {:.4f}: calibration error {:.2f} % -> {:.2f} % on {} examples\n",
                  c.temperature, 100 * c.ece_before, 100 * c.ece_after, c.examples - report.fitted);
  if (c.target > 0) {
    out += fmt::format(
        "threshold {:.4f} for {:.1f} % of the large model's accuracy: {:.1f} % of the requests stay local\n",
        c.threshold, 100 * c.target, 100 * report.threshold.local_share);
  }
  if (report.certificate) out += certificate_text(*report.certificate);
  std::vector<std::vector<std::string>> rows{{"reading", "AUROC", "ECE", "ECE isotonic"}};
  for (const auto& signal : report.signals) {
    rows.push_back({signal.name, fmt::format("{:.4f}", signal.auroc),
                    fmt::format("{:.2f} %", 100 * signal.ece_raw),
                    fmt::format("{:.2f} %", 100 * signal.ece_isotonic)});
  }
  return rows.size() > 1 ? out + text_table(rows) : out;
}

void add_options(CLI::App& verb, CalibrateVerbOptions& options) {
  verb.add_option("MODEL", options.model,
                  "Small model to calibrate (.gguf; made for a task, unless --learned)")
      ->required();
  verb.add_option("--llm", options.llm, "Large model of the team (--target and --reference llm need it)")
      ->type_name("MODEL");
  verb.add_option("--data", options.data, "Labelled data that neither model was trained on")
      ->required()
      ->type_name("FILE");
  verb.add_option("--input", options.input, "Column of the input")->capture_default_str();
  verb.add_option("--label", options.label, "Column of the label")->capture_default_str();
  auto* target = verb.add_option("--target", options.calibrate.target,
                                 "Wanted accuracy of the team, as a share of the large model's")
                     ->capture_default_str();
  verb.add_option("--error", options.calibrate.error,
                  "Instead of --target: share of the answers kept by the small model that may be wrong")
      ->check(CLI::Range(0.0, 1.0))
      ->excludes(target);
  verb.add_option("--confidence", options.calibrate.confidence,
                  "Probability with which the threshold keeps its promise")
      ->capture_default_str();
  verb.add_option("--reference", options.calibrate.reference,
                  "What is right: the label in the data, or what the large model answers (no labels needed)")
      ->check(CLI::IsMember({"data", "llm"}))
      ->capture_default_str();
  verb.add_option("--seed", options.calibrate.seed, "Seed of the division of the data")
      ->capture_default_str();
  verb.add_option("--out", options.out,
                  "Model file to write (default: MODEL itself, replaced when all is done)")
      ->type_name("FILE");
}

void add_learned(CLI::App& verb, CalibrateVerbOptions& options) {
  auto& how = options.learned.how;
  auto* learn = verb.add_flag(
      "--learned", options.learn,
      "Learn one confidence out of all that is measured, for teams with confidence = \"learned\"");
  verb.add_option("--samples", how.samples,
                  "Further answers, compared with the first (models without a task)")
      ->needs(learn)
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  verb.add_option("--sample-temperature", how.sample_temperature, "Their temperature")
      ->needs(learn)
      ->check(CLI::Range(0.01, 10.0))
      ->capture_default_str();
  verb.add_option("--agreement", how.agreement, "How answers are compared")
      ->needs(learn)
      ->check(CLI::IsMember({"normalised", "equal", "words"}))
      ->capture_default_str();
  verb.add_option("--agreement-bound", how.agreement_bound, "F1 of the words from which they agree (words)")
      ->needs(learn)
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb.add_flag("--self-check", how.self_check, "Ask the model whether it is right (models without a task)")
      ->needs(learn);
  verb.add_option("--self-check-prompt", how.self_check_prompt, "How, with {request} and {draft}")
      ->needs(learn);
  verb.add_option("--yes", how.yes, "What it says to that when it is")->needs(learn)->capture_default_str();
  verb.add_option("--no", how.no, "And when it is not")->needs(learn)->capture_default_str();
  verb.add_option("--suffix", options.learned.suffix, "Put behind each text")->needs(learn);
  verb.add_option("-n,--max-tokens", options.learned.max_tokens,
                  "Longest answer (0: up to the context's end)")
      ->needs(learn);
}

/// Of --learned; `target_given`: it has no such threshold.
int run_learned(const CalibrateVerbOptions& o, bool target_given, const Common& common) {
  if (!o.llm.empty() || o.by_llm() || target_given)
    return report_misuse("calibrate",
                         "--learned goes with --error, not with --llm, --reference llm or --target");
  LearnedJob job{o.model, o.data, o.input, o.label, o.out, o.engine, {}, o.learned};
  job.learn.error = o.calibrate.error;
  job.learn.confidence = o.calibrate.confidence;
  job.learn.seed = o.calibrate.seed;
  return calibrate_learned(job, common);
}

}  // namespace

Action add_calibrate(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<CalibrateVerbOptions>();
  add_options(verb, *options);
  takes_model(verb, common, options->model);
  takes_model(verb, common, options->llm);
  add_learned(verb, *options);
  add_engine_options(verb, options->engine);
  add_json(verb, common);
  verb.footer(
      "Examples:\n  bantam calibrate student.gguf --llm teacher.gguf --data held-back.csv --target 0.99\n"
      "  bantam calibrate student.gguf --data held-back.csv --error 0.01 --confidence 0.95\n"
      "  bantam calibrate writer.gguf --data held-back.csv --label answer --learned --samples 4");
  return [options, &common, target = verb.get_option("--target")] {
    if (options->by_llm() && options->llm.empty())
      return report_misuse("calibrate", "--reference llm needs --llm");
    Interrupt interrupt;
    if (options->learn) return run_learned(*options, target->count() > 0, common);
    auto result = calibrate(*options, common);
    if (!result) return report(result.error());
    const std::string& written = options->out.empty() ? options->model : options->out;
    return common.json ? print_json(as_json(*result, written)) : print_text(as_text(*result));
  };
}

}  // namespace bantam::cli
