#include "server/team_config.h"

#include <utility>

#include "collab/learned.h"
#include "formats/gguf.h"
#include "model/certificate.h"
#include "runtime/engine.h"
#include "server/config_read.h"

namespace bantam::server {
namespace {

using formats::TomlTable;

constexpr uint64_t kMostBytes = 1 << 30;

collab::LlmRule read_llm_rule(TomlTable& t) {
  using collab::OnLlmFailure;
  collab::LlmRule out;
  out.on_failure = word(t, "on_llm_failure", out.on_failure,
                        {{"unverified", OnLlmFailure::kUnverified},
                         {"error", OnLlmFailure::kError},
                         {"queue", OnLlmFailure::kQueue}});
  if (out.on_failure != OnLlmFailure::kQueue) return out;
  out.retry_pause = seconds(t, "retry_pause", out.retry_pause);
  out.queue_wait = seconds(t, "queue_wait", out.queue_wait);
  out.queue_size = t.whole("queue_size", out.queue_size, 0, 100'000);
  return out;
}

collab::Agreement read_agreement(TomlTable& t, bool judge) {
  using collab::Measure;
  collab::Agreement out;
  if (judge) {
    out.measure = word(t, "agreement", out.measure,
                       {{"normalised", Measure::kNormalised},
                        {"equal", Measure::kEqual},
                        {"words", Measure::kWords},
                        {"judge", Measure::kJudge}});
  } else {
    out.measure =
        word(t, "agreement", out.measure,
             {{"normalised", Measure::kNormalised}, {"equal", Measure::kEqual}, {"words", Measure::kWords}});
  }
  if (out.measure == Measure::kWords) out.bound = t.number("agreement_bound", out.bound, 0, 1);
  return out;
}

void read_yes_no(TomlTable& t, std::string& yes, std::string& no) {
  yes = t.text("yes", yes);
  no = t.text("no", no);
}

collab::ConfidenceOptions read_confidence(TomlTable& t) {
  using By = collab::ConfidenceBy;
  collab::ConfidenceOptions out;
  out.by = word(t, "confidence", out.by,
                {{"model", By::kModel},
                 {"sequence", By::kSequence},
                 {"mean_token", By::kMeanToken},
                 {"least_token", By::kLeastToken},
                 {"margin", By::kMargin},
                 {"entropy", By::kEntropy},
                 {"samples", By::kSamples},
                 {"self_check", By::kSelfCheck},
                 {"learned", By::kLearned}});
  bool learned = out.by == By::kLearned;
  if (learned && !t.has("weights")) return out;  // the SLM's file has them, and how they were learned
  if (learned) {
    out.weights = t.numbers("weights");
    out.self_check = t.flag("self_check", false);
  }
  if (learned || out.by == By::kSamples) {
    out.samples = static_cast<uint32_t>(t.whole("samples", learned ? 0 : 4, learned ? 0 : 1, 64));
    out.sample_temperature =
        static_cast<float>(t.number("sample_temperature", out.sample_temperature, 0.01, 10));
    out.agreement = read_agreement(t, false);
  }
  if (out.self_check || out.by == By::kSelfCheck) {
    out.self_check_prompt = t.text("self_check_prompt", "");
    read_yes_no(t, out.yes, out.no);
  }
  return out;
}

collab::VerifyOptions read_verify(TomlTable& t) {
  collab::VerifyOptions out;
  out.agreement = read_agreement(t, true);
  if (out.agreement.measure == collab::Measure::kJudge) out.judge_prompt = t.text("judge_prompt", "");
  if (t.has("hold_back")) out.hold_back = t.whole("hold_back", 0, 0, 1'000'000);
  out.correction = t.text("correction", out.correction);
  if (t.has("stands_at")) out.stands_at = t.number("stands_at", 1, 0, 1);
  out.safe_tools = t.texts("safe_tools");
  out.head_start = seconds(t, "head_start", out.head_start);
  if (t.has("patience")) out.patience = seconds(t, "patience", std::chrono::seconds(60));
  return out;
}

collab::DraftOptions read_draft(TomlTable& t) {
  using Finish = collab::DraftOptions::Finish;
  collab::DraftOptions out;
  out.finish = word(t, "finish", out.finish, {{"mend", Finish::kMend}, {"complete", Finish::kComplete}});
  out.doubt = t.number("doubt", out.doubt, 0, 1);
  out.sure_stands = t.flag("sure_stands", out.sure_stands);
  out.prompt = t.text("prompt", "");
  out.open_mark = t.text("open_mark", out.open_mark);
  out.close_mark = t.text("close_mark", out.close_mark);
  return out;
}

collab::FilterOptions read_filter(TomlTable& t) {
  using Pick = collab::FilterOptions::Pick;
  collab::FilterOptions out;
  out.pick = word(t, "pick", out.pick, {{"select", Pick::kSelect}, {"quote", Pick::kQuote}});
  out.chunk_bytes = t.whole("chunk_bytes", out.chunk_bytes, 64, kMostBytes);
  out.by_paragraph = t.flag("by_paragraph", out.by_paragraph);
  out.direct_bytes = t.whole("direct_bytes", out.direct_bytes, 0, kMostBytes);
  out.parallel = t.whole("parallel", out.parallel, 1, 1024);
  if (out.pick == Pick::kSelect) {
    out.keep_at = t.number("keep_at", out.keep_at, 0, 1);
    read_yes_no(t, out.yes, out.no);
  } else {
    out.none = t.text("none", out.none);
  }
  out.all_if_none = t.flag("all_if_none", out.all_if_none);
  out.pick_prompt = t.text("pick_prompt", "");
  out.passage = t.text("passage", out.passage);
  out.prompt = t.text("prompt", "");
  return out;
}

collab::CheckOptions read_check(TomlTable& t) {
  using Options = collab::CheckOptions;
  Options out;
  out.split = word(t, "split", out.split,
                   {{"sentences", collab::ClaimSplit::kSentences},
                    {"lines", collab::ClaimSplit::kLines},
                    {"words", collab::ClaimSplit::kWords}});
  out.by = word(t, "by", out.by,
                {{"slm", Options::By::kSlm}, {"llm", Options::By::kLlm}, {"words", Options::By::kWords}});
  out.then = word(t, "unsupported", out.then,
                  {{"mark", Options::Then::kMark},
                   {"remove", Options::Then::kRemove},
                   {"send_up", Options::Then::kSendUp}});
  out.bound = t.number("bound", out.by == Options::By::kWords ? 0.8 : out.bound, 0, 1);
  if (out.then != Options::Then::kRemove) out.mark = t.text("mark", out.mark);
  if (out.then != Options::Then::kMark) out.prompt = t.text("prompt", "");
  if (out.by == Options::By::kWords) return out;
  out.chunk_bytes = t.whole("chunk_bytes", out.chunk_bytes, 64, kMostBytes);
  out.parallel = t.whole("parallel", out.parallel, 1, 1024);
  out.check_prompt = t.text("check_prompt", "");
  read_yes_no(t, out.yes, out.no);
  return out;
}

void read_drift(TomlTable& t, StrategyConfig& out) {
  using Drift = StrategyConfig::Drift;
  out.drift =
      word(t, "drift", out.drift, {{"off", Drift::kOff}, {"warn", Drift::kWarn}, {"llm", Drift::kSendUp}});
  if (out.drift != Drift::kOff) out.drift_alarm = t.number("drift_alarm", out.drift_alarm, 1e-9, 0.5);
}

/// What the SLM's file has learned. Errors: kInvalidArgument where there is none.
Result<model::LearnedConfidence> learned_by(const std::string& name, const chat::ChatModel* slm) {
  auto engine = slm ? slm->engine() : nullptr;
  if (engine) {
    BANTAM_ASSIGN(auto file, formats::GgufFile::open(engine->path()));
    BANTAM_ASSIGN(auto learned, model::read_learned_confidence(file));
    if (learned) return std::move(*learned);
  }
  return fail(
      Code::kInvalidArgument,
      "team '{}': weights: found none, and '{}' has no learned confidence (bantam calibrate --learned)", name,
      slm ? slm->name() : "");
}

/// What is watched: the SLM's certificate, where the threshold is the one it speaks of.
Result<collab::DriftRule> drift_rule(const std::string& name, const StrategyConfig& config,
                                     std::shared_ptr<const model::Certificate> certificate) {
  using Drift = StrategyConfig::Drift;
  collab::DriftRule out;
  if (config.drift == Drift::kOff) return out;
  if (!certificate || certificate->drift_counts.empty()) {
    if (config.drift == Drift::kDefault) return out;
    return fail(Code::kInvalidArgument,
                "team '{}': drift: found no certificate with a distribution of confidences for its threshold "
                "(bantam calibrate --error)",
                name);
  }
  out.certificate = std::move(certificate);
  out.then = config.drift == Drift::kSendUp ? collab::OnDrift::kSendUp : collab::OnDrift::kWarn;
  out.false_alarm = config.drift_alarm;
  return out;
}

Result<std::shared_ptr<chat::ChatModel>> open_cascade(const std::string& name, StrategyConfig config,
                                                      std::shared_ptr<chat::ChatModel> slm,
                                                      std::shared_ptr<chat::ChatModel> llm) {
  std::optional<double> threshold = config.threshold;
  std::shared_ptr<const model::Certificate> certificate;
  bool own = config.confidence.by == collab::ConfidenceBy::kModel;
  if (own && !threshold && slm && slm->task() && slm->task()->calibrated) {
    threshold = slm->task()->threshold;
    certificate = slm->task()->certificate;
  }
  if (config.confidence.by == collab::ConfidenceBy::kLearned && config.confidence.weights.empty()) {
    BANTAM_ASSIGN(auto learned, learned_by(name, slm.get()));
    BANTAM_ASSIGN(config.confidence, collab::confidence_of(learned));
    if (!threshold && learned.certificate) {
      threshold = learned.certificate->threshold;
      certificate = std::make_shared<const model::Certificate>(*learned.certificate);
    }
  }
  if (!threshold) {
    return fail(Code::kInvalidArgument,
                "team '{}': threshold: found none, and '{}' has no calibrated one for it", name,
                slm ? slm->name() : "");
  }
  BANTAM_ASSIGN(auto drift, drift_rule(name, config, std::move(certificate)));
  return collab::make_cascade(
      std::move(slm), std::move(llm),
      {name, *threshold, config.rule, std::move(config.confidence), std::move(drift)});
}

}  // namespace

StrategyConfig read_strategy(TomlTable& table, const std::string& strategy) {
  StrategyConfig out;
  if (strategy == "speculative") {
    out.lookup = word(table, "draft", false, {{"model", false}, {"lookup", true}});
    return out;
  }
  out.rule = read_llm_rule(table);
  if (strategy == "cascade") {
    if (table.has("threshold")) out.threshold = table.number("threshold", 0, 0, 1);
    out.confidence = read_confidence(table);
    read_drift(table, out);
  }
  if (strategy == "verify") out.verify = read_verify(table);
  if (strategy == "draft") out.draft = read_draft(table);
  if (strategy == "filter") out.filter = read_filter(table);
  if (strategy == "check") out.check = read_check(table);
  return out;
}

Result<std::shared_ptr<chat::ChatModel>> open_strategy(const std::string& name, const std::string& strategy,
                                                       StrategyConfig config,
                                                       std::shared_ptr<chat::ChatModel> slm,
                                                       std::shared_ptr<chat::ChatModel> llm) {
  config.verify.name = config.draft.name = config.filter.name = config.check.name = name;
  config.verify.llm = config.draft.llm = config.filter.llm = config.check.llm = config.rule;
  if (strategy == "speculative") return collab::make_speculative(std::move(slm), std::move(llm), {name});
  if (strategy == "verify")
    return collab::make_verify(std::move(slm), std::move(llm), std::move(config.verify));
  if (strategy == "draft") return collab::make_draft(std::move(slm), std::move(llm), std::move(config.draft));
  if (strategy == "filter")
    return collab::make_filter(std::move(slm), std::move(llm), std::move(config.filter));
  if (strategy == "check") return collab::make_check(std::move(slm), std::move(llm), std::move(config.check));
  return open_cascade(name, std::move(config), std::move(slm), std::move(llm));
}

}  // namespace bantam::server
