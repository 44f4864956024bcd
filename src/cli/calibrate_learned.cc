#include "cli/calibrate_learned.h"

#include <algorithm>
#include <cmath>

#include "chat/events.h"
#include "chat/local.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "collab/learned.h"
#include "formats/labelled.h"

namespace bantam::cli {
namespace {

using compress::MeasuredAnswer;

/// Asks the model and measures its answer.
class Measuring {
 public:
  static Result<Measuring> open(const LearnedJob& job, std::shared_ptr<const runtime::Engine> engine) {
    BANTAM_ASSIGN(auto options, collab::signals_of(job.options.how));
    collab::Agreement agreement = options.agreement;
    BANTAM_ASSIGN(auto meter, collab::ConfidenceMeter::make(std::move(options)));
    BANTAM_ASSIGN(auto model,
                  chat::make_local(std::move(engine), {.name = job.model, .prices = {}, .sessions = 4}));
    return Measuring(job, std::move(model), std::move(meter), agreement);
  }

  Result<MeasuredAnswer> operator()(const std::string& text, const std::string& expected) {
    chat::Request request;
    request.messages.push_back({"user", text + job_.options.suffix});
    if (job_.options.max_tokens > 0) request.max_tokens = job_.options.max_tokens;
    request.logprobs = !model_.model().task();
    request.cancel = Interrupt::token();
    BANTAM_ASSIGN(chat::Reply reply, chat::wait(model_.ask(request, {})));
    collab::Trace trace;
    MeasuredAnswer out;
    out.signals = chat::wait(meter_.signals(model_, request, reply, trace));
    if (request.cancel.stop_requested()) return fail(Code::kCancelled, "interrupted");
    if (model_.model().task()) {
      out.before = reply.confidence.value_or(0);
      out.right = reply.text == expected;
    } else {
      const double sequence = out.signals.mean_logprob * out.signals.tokens;
      out.before = std::isnan(sequence) ? 0 : std::clamp(std::exp(sequence), 0.0, 1.0);
      out.right =
          collab::compare_texts(agreement_, reply.text, true, expected, true) == collab::Match::kAgree;
    }
    return out;
  }

 private:
  Measuring(const LearnedJob& job, std::shared_ptr<chat::ChatModel> model, collab::ConfidenceMeter meter,
            collab::Agreement agreement)
      : job_(job), model_(std::move(model), {}), meter_(std::move(meter)), agreement_(agreement) {}

  const LearnedJob& job_;
  collab::LlmCall model_;
  collab::ConfidenceMeter meter_;
  collab::Agreement agreement_;
};

Result<compress::LearnReport> learn(const LearnedJob& job, const Common& common) {
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(job.model, job.engine));
  const auto& task = engine->task();
  if (task && (job.options.how.samples > 0 || job.options.how.self_check || !job.options.suffix.empty())) {
    return fail(Code::kInvalidArgument,
                "{}: is made for a task: it has nothing to sample, and is asked nothing but its task",
                job.model);
  }
  BANTAM_ASSIGN(auto data, formats::load_labelled(job.data, job.input, job.label,
                                                  task ? task->labels : std::vector<std::string>{}));
  BANTAM_ASSIGN(auto measure, Measuring::open(job, engine));
  ProgressBar bar(common.quiet);
  auto progress = bar.sink();
  std::vector<MeasuredAnswer> answers;
  for (const formats::Example& example : data.examples) {
    auto answer = measure(example.text, data.labels[static_cast<size_t>(example.label)]);
    if (!answer) return std::unexpected(std::move(answer).error().in(fmt::format("line {}", example.line)));
    answers.push_back(*answer);
    if (progress) progress({"calibrate", answers.size(), data.examples.size(), ""});
  }
  bar.finish();
  BANTAM_ASSIGN(auto report, compress::learn_confidence(answers, job.learn));
  const std::vector<double> weights = std::move(report.learned.weights);
  model::LearnedConfidence learned = job.options.how;
  learned.weights = weights;
  learned.fitted = report.learned.fitted;
  learned.tested = report.learned.tested;
  learned.ece_before = report.learned.ece_before;
  learned.ece_after = report.learned.ece_after;
  learned.certificate = report.learned.certificate;
  report.learned = std::move(learned);
  return report;
}

Json as_json(const compress::LearnReport& report, const std::string& written) {
  const auto& c = report.learned;
  Json out{{"model", written},
           {"fitted", c.fitted},
           {"tested", c.tested},
           {"right", report.right},
           {"ece_before", c.ece_before},
           {"ece_after", c.ece_after},
           {"certificate", c.certificate ? certificate_json(*c.certificate) : Json()},
           {"signals", Json::array()}};
  for (const auto& signal : report.signals)
    out["signals"].push_back({{"name", signal.name}, {"auroc", signal.auroc}, {"ece", signal.ece_raw}});
  return out;
}

std::string as_text(const compress::LearnReport& report) {
  const auto& c = report.learned;
  std::string out = fmt::format(
      "learned confidence: calibration error {:.2f} % -> {:.2f} % on {} examples ({:.1f} % of them right); "
      "fitted on {} "
      "others\n",
      100 * c.ece_before, 100 * c.ece_after, c.tested, 100 * report.right, c.fitted);
  if (report.signals.back().auroc <= report.signals.front().auroc)
    out += "it does not tell right answers from wrong ones better than the confidence before\n";
  if (c.certificate) out += certificate_text(*c.certificate);
  std::vector<std::vector<std::string>> rows{{"reading", "AUROC", "ECE"}};
  for (const auto& signal : report.signals)
    rows.push_back(
        {signal.name, fmt::format("{:.4f}", signal.auroc), fmt::format("{:.2f} %", 100 * signal.ece_raw)});
  return out + text_table(rows);
}

}  // namespace

int calibrate_learned(const LearnedJob& job, const Common& common) {
  auto report_ = learn(job, common);
  if (!report_) return report(report_.error());
  Status written = rewrite_model(job.model, job.out, [&](formats::GgufFile&, formats::GgufWriter& writer) {
    model::write_learned_confidence(report_->learned, writer);
    return Status();
  });
  if (!written) return report(written.error());
  return common.json ? print_json(as_json(*report_, job.out.empty() ? job.model : job.out))
                     : print_text(as_text(*report_));
}

Status rewrite_model(const std::string& from, const std::string& to,
                     const std::function<Status(formats::GgufFile&, formats::GgufWriter&)>& change) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(from));
  formats::GgufWriter writer;
  writer.copy_metadata(file);
  BANTAM_TRY(change(file, writer));
  for (const auto& tensor : file.tensors()) {
    BANTAM_TRY(writer.add_tensor(tensor.name, tensor.type, tensor.shape, file.data(tensor)));
  }
  return writer.write(to.empty() ? from : to);
}

Json certificate_json(const model::Certificate& c) {
  return {{"error", c.error},
          {"confidence", c.confidence},
          {"reference", c.reference},
          {"examples", c.examples},
          {"kept", c.kept},
          {"errors", c.errors},
          {"bound", c.bound},
          {"local_share", static_cast<double>(c.kept) / static_cast<double>(c.examples)}};
}

std::string certificate_text(const model::Certificate& c) {
  return fmt::format(
      "certificate: of the answers with confidence {:.4f} and above at most {:.2f} % are {}, with "
      "probability "
      "{:.1f} %\n"
      "  {:.1f} % of the requests stay local; tested on {} examples: {} kept, {} of them {} (upper bound "
      "{:.3f} "
      "%)\n",
      c.threshold, 100 * c.error, c.reference == "llm" ? "unlike the large model's" : "wrong",
      100 * c.confidence, 100 * static_cast<double>(c.kept) / static_cast<double>(c.examples), c.examples,
      c.kept, c.errors, c.reference == "llm" ? "unlike" : "wrong", 100 * c.bound);
}

}  // namespace bantam::cli
