#include "cli/make_job.h"

#include <cmath>
#include <filesystem>

#include "base/hash.h"
#include "base/usage.h"
#include "cli/make_compare.h"
#include "cli/make_stages.h"
#include "compress/calibrate.h"
#include "compress/quantize.h"
#include "eval/linear_opinion.h"
#include "eval/ngram_trainer.h"
#include "runtime/engine.h"

namespace bantam::cli {
namespace {

using formats::Example;
using nlohmann::json;
namespace fs = std::filesystem;

class Maker {
 public:
  Maker(const Recipe& recipe, const MakeOptions& options)
      : recipe_(recipe), options_(options), stages_(options.out, options.say) {}

  Result<eval::Comparison> run() {
    BANTAM_TRY(prepare());
    BANTAM_TRY(make_teacher());
    BANTAM_TRY(make_students());
    BANTAM_TRY(choose_student());
    BANTAM_TRY(calibrate_student());
    return compare(recipe_, options_, parts_, {teacher_, product_, ablations_});
  }

 private:
  Status prepare() {
    std::error_code error;
    fs::create_directories(options_.out + "/state", error);
    if (error) return fail(Code::kIo, "{}: cannot be created: {}", options_.out, error.message());
    if (recipe_.file.empty())
      return fail(Code::kInvalidArgument, "{}: no data: neither data.file nor --data", recipe_.path);
    BANTAM_ASSIGN(auto data, formats::load_labelled(recipe_.file, recipe_.input, recipe_.label));
    if (data.labels.size() < 2) {
      return fail(Code::kInvalidArgument, "{}: found {} label in column '{}', expected at least two",
                  recipe_.file, data.labels.size(), recipe_.label);
    }
    const double train = 1.0 - recipe_.calibration_share - recipe_.validation_share;
    auto parts =
        formats::split(data, {train, recipe_.calibration_share, recipe_.validation_share}, recipe_.seed);
    if (recipe_.per_label > 0) {
      const double share = recipe_.calibration_share / (train + recipe_.calibration_share);
      const auto held = std::max<size_t>(1, std::llround(share * recipe_.per_label));
      formats::keep_per_label(parts[0], recipe_.per_label - held);
      formats::keep_per_label(parts[1], held);
    }
    parts_ = {data.labels, std::move(parts[0]), std::move(parts[1]), std::move(parts[2]), data.sha256};
    base_print_ =
        fmt::format("{} {} {} {} {} {} {} v{}", recipe_.task, parts_.sha256, recipe_.input, recipe_.label,
                    recipe_.calibration_share, recipe_.validation_share, recipe_.seed, BANTAM_VERSION);
    if (recipe_.per_label > 0) base_print_ += fmt::format(" per_label={}", recipe_.per_label);
    options_.say(fmt::format("{}: {} examples, {} labels; {} to train, {} to calibrate, {} to validate",
                             recipe_.file, data.examples.size(), data.labels.size(), parts_.train.size(),
                             parts_.calibration.size(), parts_.validation.size()));
    return {};
  }

  train::JobOptions job(const std::string& out) const {
    return {.out = out,
            .checkpoint_seconds = options_.checkpoint_seconds,
            .threads = options_.threads,
            .progress = options_.progress,
            .cancel = options_.cancel};
  }

  /// One stage; its file and cost are remembered as a candidate of the comparison under `name`.
  Result<Made> stage(const std::string& name, const std::string& file, const std::string& print,
                     const std::function<Result<json>(const std::string&)>& work) {
    auto result = stages_.run(name, file, base_print_ + "\n" + print, work);
    if (!result) return std::unexpected(std::move(result).error().in(name));
    provenance_[name] = result->contains("kept") ? (*result)["kept"] : json::object();
    return Made{name, stages_.path(file), result->value("cpu_seconds", 0.0)};
  }

  /// Of a job, and of the opinion that was trained for it.
  json cost(const train::JobReport& report, double opinion_share) const {
    return {{"cpu_seconds", report.cpu_seconds + (opinion_share > 0 ? linear_cpu_seconds_ : 0)},
            {"kept", {{"steps", report.steps}, {"tokens", report.tokens}}}};
  }

  static Result<std::string> file_hash(const std::string& path) {
    BANTAM_ASSIGN(auto bytes, MappedFile::open(path));
    return sha256_hex(bytes.bytes());
  }

  /// A language model with the task's labels in its vocabulary.
  Result<Made> adapted(const std::string& name, const std::string& file, const std::string& base) {
    BANTAM_ASSIGN(const std::string print, file_hash(base));
    return stage(name, file, print, [&](const std::string& path) -> Result<json> {
      const double start = process_cpu_seconds();
      BANTAM_ASSIGN(auto text, train::prepare_task_from(recipe_.task, parts_.labels, recipe_.teacher_base));
      BANTAM_TRY(train::adapt_base(base, text, path));
      return json{{"cpu_seconds", process_cpu_seconds() - start},
                  {"kept", {{"base", fs::path(base).filename().string()}, {"base_sha256", print}}}};
    });
  }

  /// The linear baseline's word on the training part, trained when first asked for.
  Result<const eval::LinearOpinion*> linear() {
    if (!linear_) {
      const double start = process_cpu_seconds();
      BANTAM_ASSIGN(auto trained, eval::LinearOpinion::train(parts_.train, parts_.labels.size(), 5,
                                                             options_.progress, options_.cancel));
      linear_.emplace(std::move(trained));
      linear_cpu_seconds_ = process_cpu_seconds() - start;
      options_.say(fmt::format("linear opinion: {:.1f} % of the training part right, each example held out",
                               100 * linear_->accuracy()));
    }
    return &*linear_;
  }

  /// What a training is told of it; without a share nothing.
  Result<train::Opinion> linear_opinion(double share) {
    if (share == 0) return train::Opinion{};
    BANTAM_ASSIGN(const eval::LinearOpinion* opinion, linear());
    return train::Opinion{
        .ask = [opinion](size_t item, std::string_view text) { return opinion->probabilities(item, text); },
        .share = share,
        .print = fmt::format("linear, temperature {}", opinion->temperature())};
  }
  static std::string share_print(double share) { return share > 0 ? fmt::format(" linear={}", share) : ""; }

  Status make_teacher() {
    if (!recipe_.teacher_file.empty()) {
      const double start = process_cpu_seconds();
      BANTAM_ASSIGN(auto file, formats::GgufFile::open(recipe_.teacher_file));
      BANTAM_ASSIGN(auto task, model::read_task(file));
      if (!task || task->labels != parts_.labels) {
        return fail(Code::kInvalidArgument, "{}: is no classifier with the labels of {}",
                    recipe_.teacher_file, recipe_.file);
      }
      teacher_ = {"teacher", recipe_.teacher_file, process_cpu_seconds() - start};
    } else {
      const auto& r = recipe_;
      Made start;
      std::string from = fmt::format("{} {}", r.vocab_size, shape_print(r.teacher));
      if (!r.teacher_base.empty()) {
        BANTAM_ASSIGN(start, adapted("teacher base", "state/teacher-start.gguf", r.teacher_base));
        BANTAM_ASSIGN(from, file_hash(start.file));
      }
      const std::string print =
          fmt::format("{} {}{}", from, optim_print(r.teacher_train), share_print(r.teacher_linear_share));
      const bool alone = r.ngrams.buckets == 0;
      BANTAM_ASSIGN(
          teacher_,
          stage(alone ? "teacher" : "teacher without n-grams",
                alone ? "teacher.gguf" : "teacher-without-ngrams.gguf", print,
                [&](const std::string& path) -> Result<json> {
                  BANTAM_ASSIGN(auto text,
                                start.file.empty()
                                    ? train::prepare_task(r.task, parts_.labels, parts_.train, r.vocab_size)
                                    : train::prepare_task_from(r.task, parts_.labels, r.teacher_base));
                  BANTAM_ASSIGN(const auto opinion, linear_opinion(r.teacher_linear_share));
                  BANTAM_ASSIGN(auto report,
                                train::train_classifier(parts_.train, text, r.teacher, r.teacher_train,
                                                        job(path), start.file, opinion));
                  return cost(report, r.teacher_linear_share);
                }));
    }
    BANTAM_ASSIGN(auto bytes, MappedFile::open(teacher_.file));
    base_print_ += " teacher " + sha256_hex(bytes.bytes());
    if (recipe_.ngrams.buckets == 0 || !recipe_.teacher_file.empty()) return {};
    ablations_.push_back(teacher_);
    BANTAM_ASSIGN(teacher_, with_ngrams("teacher", "teacher.gguf", teacher_));
    return {};
  }

  /// Once for all models; each counts what it cost.
  Status train_ngrams() {
    if (ngrams_) return {};
    auto opinion = linear();
    if (!opinion && opinion.error().code != Code::kInvalidArgument) return std::unexpected(opinion.error());
    const double start = process_cpu_seconds();
    BANTAM_ASSIGN(ngrams_, eval::train_ngrams(parts_.train, parts_.labels.size(), recipe_.ngrams,
                                              opinion ? *opinion : nullptr));
    ngrams_cpu_seconds_ = linear_cpu_seconds_ + process_cpu_seconds() - start;
    return {};
  }

  /// The model with the n-gram part that the recipe asks for.
  Result<Made> with_ngrams(const std::string& name, const std::string& file, const Made& from) {
    BANTAM_ASSIGN(auto bytes, MappedFile::open(from.file));
    const model::NgramShape& shape = recipe_.ngrams;
    const std::string print =
        fmt::format("{} ngrams {} {} {} {} {}", sha256_hex(bytes.bytes()), shape.buckets, shape.word_min,
                    shape.word_max, shape.char_min, shape.char_max);
    auto made = stage(name, file, print, [&](const std::string& path) -> Result<json> {
      BANTAM_TRY(train_ngrams());
      BANTAM_ASSIGN(auto source, formats::GgufFile::open(from.file));
      BANTAM_TRY(copy_with(source, path, [&](formats::GgufWriter& to) {
        model::write_ngrams(*ngrams_, parts_.labels.size(), to);
      }));
      return json{{"cpu_seconds", ngrams_cpu_seconds_},
                  {"kept",
                   {{"from", fs::path(from.file).filename().string()},
                    {"buckets", shape.buckets},
                    {"scale", ngrams_->scale}}}};
    });
    if (made) made->cpu_seconds += from.cpu_seconds;
    return made;
  }

  /// `source` under another name, with the keys that `change` sets.
  static Status copy_with(const formats::GgufFile& source, const std::string& path,
                          const std::function<void(formats::GgufWriter&)>& change) {
    formats::GgufWriter file;
    file.copy_metadata(source);
    change(file);
    for (const auto& tensor : source.tensors())
      BANTAM_TRY(file.borrow_tensor(tensor.name, tensor.type, tensor.shape, source.data(tensor)));
    return file.write(path);
  }

  Result<Made> quantized(const std::string& name, const std::string& file, const Made& from) {
    BANTAM_ASSIGN(auto bytes, MappedFile::open(from.file));
    const std::string print = fmt::format("{} {}", sha256_hex(bytes.bytes()), recipe_.quantize.name);
    auto made = stage(name, file, print, [&](const std::string& path) -> Result<json> {
      const double start = process_cpu_seconds();
      BANTAM_ASSIGN(auto report,
                    compress::quantize_file(from.file, path, recipe_.quantize, options_.progress));
      if (!report.kept_names.empty()) options_.say(name + ": fell back: " + report.kept_names);
      return json{{"cpu_seconds", process_cpu_seconds() - start},
                  {"kept",
                   {{"rmse", report.rmse},
                    {"fell_back", report.kept_names},
                    {"from", fs::path(from.file).filename().string()}}}};
    });
    if (made) made->cpu_seconds += from.cpu_seconds;
    return made;
  }

  Result<Made> distilled(const std::string& name, const std::string& file, const std::string& start,
                         double cost_before) {
    const auto& r = recipe_;
    std::string from = shape_print(r.student);
    if (!start.empty()) {
      BANTAM_ASSIGN(auto bytes, MappedFile::open(start));
      from = sha256_hex(bytes.bytes());
    }
    const std::string print =
        fmt::format("{} {} {} {} {} {}{}", from, optim_print(r.distill.optim), r.distill.temperature,
                    r.distill.hard_weight, r.distill.variants, augment_print(r.distill.transfer),
                    share_print(r.distill_linear_share));
    auto made = stage(name, file, print, [&](const std::string& path) -> Result<json> {
      BANTAM_ASSIGN(const auto opinion, linear_opinion(r.distill_linear_share));
      BANTAM_ASSIGN(auto report, train::distill(parts_.train, teacher_.file, start, r.student, r.distill,
                                                transfer_path(), job(path), opinion));
      return cost(report, r.distill_linear_share);
    });
    if (made) made->cpu_seconds += cost_before;
    return made;
  }

  /// The teacher's answers, shared by all students of this teacher; named by what they depend on.
  std::string transfer_path() const {
    const auto& r = recipe_;
    const std::string print =
        fmt::format("{} {} {} {}{}", base_print_, r.distill.variants, r.distill.optim.seed,
                    augment_print(r.distill.transfer), share_print(r.distill_linear_share));
    return stages_.path("state/answers-" + sha256_hex(print).substr(0, 16) + ".safetensors");
  }

  Status make_students() {
    const auto& r = recipe_;
    if (r.ablations) {
      BANTAM_ASSIGN(Made alone, quantized("quantized alone", "teacher-quantized.gguf", teacher_));
      ablations_.push_back(alone);
    }
    if (r.has_prune && r.start != "scratch") {
      const std::string print =
          fmt::format("{} {} {} {}", r.prune.dim, r.prune.ffn_dim, r.prune.heads, r.prune.layers);
      BANTAM_ASSIGN(Made pruned,
                    stage("pruned alone", "pruned.gguf", print, [&](const std::string& path) -> Result<json> {
                      BANTAM_ASSIGN(auto report,
                                    train::prune(parts_.train, teacher_.file, r.prune, job(path)));
                      return json{{"cpu_seconds", report.cpu_seconds},
                                  {"kept",
                                   {{"from", shape_text(report.before)},
                                    {"to", shape_text(report.after)},
                                    {"layers", report.layers_kept},
                                    {"heads", report.heads_kept}}}};
                    }));
      ablations_.push_back(pruned);
      BANTAM_ASSIGN(Made recovered, distilled("pruned + distilled", "pruned-distilled.gguf", pruned.file,
                                              pruned.cpu_seconds));
      ablations_.push_back(recovered);
      BANTAM_ASSIGN(Made done, quantized("pruned + distilled + quantized", "pruned-distilled-quantized.gguf",
                                         recovered));
      finalists_.push_back(done);
    }
    if (r.has_student && r.start != "prune") {
      Made start;
      if (!r.student_base.empty()) {
        BANTAM_ASSIGN(start, adapted("student base", "state/student-start.gguf", r.student_base));
      }
      BANTAM_ASSIGN(Made alone,
                    distilled("distilled alone", "distilled.gguf", start.file, start.cpu_seconds));
      ablations_.push_back(alone);
      BANTAM_ASSIGN(Made done, quantized("distilled + quantized", "distilled-quantized.gguf", alone));
      finalists_.push_back(done);
    }
    return {};
  }

  /// Scores of every label for each example, for selection and calibration.
  Result<std::vector<std::vector<double>>> scores(const Made& model,
                                                  std::span<const Example> examples) const {
    BANTAM_ASSIGN(auto loaded, load_made(model));
    BANTAM_ASSIGN(auto session, loaded->new_session());
    std::vector<std::vector<double>> out;
    for (const auto& example : examples) {
      if (options_.cancel.stop_requested())
        return fail(Code::kCancelled, "stopped while scoring {}", model.name);
      BANTAM_ASSIGN(auto choice, loaded->score(*session, example.text));
      out.push_back(std::move(choice.scores));
      if (options_.progress && out.size() % 64 == 0)
        options_.progress({"score " + model.name, out.size(), examples.size(), ""});
    }
    if (options_.progress) options_.progress({"score " + model.name, examples.size(), examples.size(), ""});
    return out;
  }

  static int32_t best_of(const std::vector<double>& scores) {
    return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }

  /// Of two finalists the one that is right more often on the calibration part; the validation part is never
  /// looked at for this.
  Status choose_student() {
    for (Made& finalist : finalists_) {
      if (recipe_.ngrams.buckets == 0) break;
      ablations_.push_back(finalist);
      const std::string stem = fs::path(finalist.file).stem().string();
      BANTAM_ASSIGN(finalist, with_ngrams(finalist.name + " + n-grams", stem + "-ngrams.gguf", finalist));
    }
    size_t best = 0, most = 0;
    for (size_t i = 0; i < finalists_.size(); ++i) {
      BANTAM_ASSIGN(auto found, scores(finalists_[i], parts_.calibration));
      size_t right = 0;
      for (size_t k = 0; k < found.size(); ++k)
        right += best_of(found[k]) == parts_.calibration[k].label ? 1 : 0;
      options_.say(
          fmt::format("{}: {} of {} right on the calibration part", finalists_[i].name, right, found.size()));
      if (i == 0 || right > most) {
        best = i;
        most = right;
        student_scores_ = std::move(found);
      }
    }
    product_ = finalists_[best];
    for (size_t i = 0; i < finalists_.size(); ++i) {
      if (i != best) ablations_.push_back(finalists_[i]);
    }
    return {};
  }

  /// Temperature and threshold from the calibration part go into the product, with where it came from.
  Status calibrate_student() {
    BANTAM_ASSIGN(auto teacher_scores, scores(teacher_, parts_.calibration));
    std::vector<compress::ScoredExample> examples;
    for (size_t i = 0; i < parts_.calibration.size(); ++i) {
      examples.push_back({student_scores_[i], parts_.calibration[i].label, best_of(teacher_scores[i])});
    }
    compress::CalibrateOptions how;
    how.target = recipe_.target;
    how.error = recipe_.error;
    how.confidence = recipe_.confidence;
    how.seed = recipe_.seed;
    auto report = compress::calibrate(examples, how);
    if (!report && report.error().code == Code::kInvalidArgument) {
      options_.say("no threshold: " + report.error().message +
                   "; the team will send every request to the teacher");
      how.target = how.error = 0;
      how.temperature_share = 0.5;
      report = compress::calibrate(examples, how);
      if (!report && report.error().code == Code::kInvalidArgument) {
        options_.say("no temperature: " + report.error().message +
                     "; confidences stay as the model gives them");
        report = compress::CalibrationReport{};
      }
      if (report) report->calibration.threshold = 1.0;
    }
    if (!report) return std::unexpected(std::move(report).error().in("calibrate"));
    model::Calibration calibration = report->calibration;
    BANTAM_ASSIGN(auto source, formats::GgufFile::open(product_.file));
    const std::string print =
        fmt::format("{} {:.17g} {:.17g} {:.17g} {:.17g} {:.17g}",
                    sha256_hex(MappedFile::open(product_.file)->bytes()), calibration.temperature,
                    calibration.threshold, calibration.target, recipe_.error, recipe_.confidence);
    BANTAM_ASSIGN(
        Made made, stage("student", "student.gguf", print, [&](const std::string& path) -> Result<json> {
          BANTAM_ASSIGN(auto task, model::read_task(source));
          task->calibration = calibration;
          task->certificate = report->certificate;
          task->provenance = json{
              {"bantam", BANTAM_VERSION},
              {"data_sha256", parts_.sha256},
              {"recipe_sha256", recipe_.sha256},
              {"seed", recipe_.seed},
              {"examples",
               {{"train", parts_.train.size()},
                {"calibration", parts_.calibration.size()},
                {"validation", parts_.validation.size()}}},
              {"teacher_sha256", sha256_hex(MappedFile::open(teacher_.file)->bytes())},
              {"made_by", product_.name},
              {"steps",
               provenance_}}.dump();
          BANTAM_TRY(copy_with(source, path, [&](formats::GgufWriter& to) { model::write_task(*task, to); }));
          return json::object();
        }));
    made.cpu_seconds = product_.cpu_seconds;
    options_.say(fmt::format("calibrated: temperature {:.3f}, threshold {:.4f}", calibration.temperature,
                             calibration.threshold));
    product_ = made;
    product_.name = "student";
    return {};
  }

  static std::string augment_print(const train::AugmentOptions& a) {
    return fmt::format("{} {} {} {} {}", a.lower, a.drop_word, a.swap_words, a.typo, a.bpe_dropout);
  }
  static std::string shape_print(const model::Config& c) {
    return fmt::format("{} {} {} {} {} {} {} {}", c.context_length, c.dim, c.layers, c.heads, c.kv_heads,
                       c.head_dim, c.ffn_dim, c.tied_head);
  }
  static std::string optim_print(const train::OptimOptions& o) {
    std::string out = fmt::format("{} {} {} {} {} {} {} {} {} {} {} {}", o.epochs, o.batch, o.learning_rate,
                                  o.weight_decay, o.warmup, o.clip, o.dropout, o.label_smoothing, o.lm_weight,
                                  o.ema, o.seed, augment_print(o.augment));
    if (o.consistency > 0) out += fmt::format(" consistency={}", o.consistency);
    return out;
  }

  const Recipe& recipe_;
  const MakeOptions& options_;
  Stages stages_;
  Parts parts_;
  std::string base_print_;
  Made teacher_, product_;
  std::optional<model::NgramWeights> ngrams_;
  std::optional<eval::LinearOpinion> linear_;
  double linear_cpu_seconds_ = 0, ngrams_cpu_seconds_ = 0;  // the second with the first in it
  std::vector<Made> ablations_, finalists_;
  std::vector<std::vector<double>> student_scores_;
  json provenance_ = json::object();
};

}  // namespace

Result<eval::Comparison> make(const Recipe& recipe, const MakeOptions& options) {
  return Maker(recipe, options).run();
}

}  // namespace bantam::cli
