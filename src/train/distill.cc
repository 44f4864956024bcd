// Distillation (Hinton, Vinyals, Dean 2015): the teacher answers augmented copies of the task's texts once,
// the student learns the answers. Keeping the answers lets several students share one teacher's work.

#include <ATen/Parallel.h>

#include <filesystem>
#include <numeric>

#include "base/hash.h"
#include "base/usage.h"
#include "formats/safetensors.h"
#include "train/model_file.h"
#include "train/trainer.h"

namespace bantam::train {
namespace {

using torch::Tensor;

constexpr size_t kTeacherBatch = 256;

/// The text of copy `variant` of example `item`; copy 0 is the text itself.
std::string variant_text(std::span<const formats::Example> examples, const DistillOptions& options,
                         size_t item, uint64_t variant) {
  if (variant == 0) return examples[item].text;
  Rng rng(options.optim.seed, 0x76617200 + variant, item);
  return augment(examples[item].text, options.transfer, rng);
}

struct Transfer {
  Tensor logits;           // float [variants * n, labels]: the teacher's, over the labels
  double cpu_seconds = 0;  // what they cost to make
};

class TransferMaker {
 public:
  TransferMaker(const LoadedModel& teacher, const PromptEncoder& encoder,
                std::span<const formats::Example> examples, const DistillOptions& options,
                const std::string& path, const JobOptions& job, const Opinion& opinion,
                std::string fingerprint)
      : teacher_(teacher),
        encoder_(encoder),
        examples_(examples),
        options_(options),
        path_(path),
        job_(job),
        opinion_(opinion),
        fingerprint_(std::move(fingerprint)),
        total_(examples.size() * options.variants) {
    logits_ = torch::zeros({static_cast<int64_t>(total_), encoder.label_ids().size(0)}, torch::kFloat16);
  }

  Result<Transfer> make() {
    BANTAM_TRY(restore());
    torch::NoGradGuard no_grad;
    const double cpu_start = process_cpu_seconds();
    auto spent = [&] { return before_ + process_cpu_seconds() - cpu_start; };
    double saved_at = wall_seconds();
    const bool worked = done_ < total_;
    while (done_ < total_) {
      BANTAM_TRY(answer_some());
      if (job_.progress) job_.progress({"teacher's answers", done_, total_, ""});
      const bool stop = job_.cancel.stop_requested() && done_ < total_;
      if (wall_seconds() - saved_at > job_.checkpoint_seconds || stop) {
        BANTAM_TRY(save(spent()));
        saved_at = wall_seconds();
      }
      if (stop)
        return fail(Code::kCancelled, "stopped at answer {} of {}; the same command goes on from there",
                    done_, total_);
    }
    if (worked) BANTAM_TRY(save(spent()));
    return Transfer{logits_.to(torch::kFloat32), spent()};
  }

 private:
  Status restore() {
    if (!std::filesystem::exists(path_)) return {};
    BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(path_));
    auto meta = file.metadata();
    const auto* stored = file.find("logits");
    if (meta["fingerprint"] != fingerprint_ || stored == nullptr ||
        stored->data.size() != static_cast<size_t>(logits_.nbytes())) {
      return fail(Code::kInvalidArgument,
                  "{}: holds answers to other data or by another teacher; remove it to start afresh", path_);
    }
    std::memcpy(logits_.data_ptr(), stored->data.data(), stored->data.size());
    done_ = std::stoull(meta["done"]);
    before_ = std::stod(meta["cpu_seconds"]);
    return {};
  }

  Status save(double cpu_seconds) {
    const formats::SafeTensor tensor{"logits",
                                     "F16",
                                     {total_, static_cast<uint64_t>(logits_.size(1))},
                                     std::as_bytes(std::span(static_cast<const char*>(logits_.data_ptr()),
                                                             static_cast<size_t>(logits_.nbytes())))};
    return formats::write_safetensors(path_, {tensor},
                                      {{"fingerprint", fingerprint_},
                                       {"done", std::to_string(done_)},
                                       {"cpu_seconds", fmt::format("{:.17g}", cpu_seconds)}});
  }

  /// The next 16 teacher batches, sorted by length so that they pad little.
  Status answer_some() {
    const size_t end = std::min(total_, done_ + 16 * kTeacherBatch);
    std::vector<std::vector<text::TokenId>> rows;
    std::vector<std::string> texts;  // for the opinion
    Rng none(0);
    for (size_t i = done_; i < end; ++i) {
      const size_t item = i % examples_.size();
      std::string text = variant_text(examples_, options_, item, i / examples_.size());
      auto row = encoder_.encode(text, 0, none);
      if (opinion_.share > 0) texts.push_back(std::move(text));
      if (!row && row.error().code == Code::kLimit) row = encoder_.encode(examples_[item].text, 0, none);
      if (!row)
        return std::unexpected(
            std::move(row).error().in(fmt::format("training data, line {}", examples_[item].line)));
      rows.push_back(std::move(*row));
    }
    std::vector<size_t> order(rows.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return rows[a].size() < rows[b].size(); });
    const auto batches = static_cast<int64_t>((order.size() + kTeacherBatch - 1) / kTeacherBatch);
    at::parallel_for(0, batches, 1, [&](int64_t first, int64_t last) {
      torch::NoGradGuard no_grad;
      for (int64_t b = first; b < last; ++b) {
        const size_t begin = static_cast<size_t>(b) * kTeacherBatch;
        std::vector<std::vector<text::TokenId>> part;
        std::vector<int64_t> where;
        for (size_t i = begin; i < std::min(begin + kTeacherBatch, order.size()); ++i) {
          part.push_back(rows[order[i]]);
          where.push_back(static_cast<int64_t>(done_ + order[i]));
        }
        const std::vector<int32_t> no_labels(part.size(), 0);
        Batch batch = pad(part, no_labels, {});
        Tensor logits = teacher_.decoder.logits_of(
            rows_at(teacher_.decoder.forward(batch.tokens), batch.answer), encoder_.label_ids());
        if (opinion_.share > 0) logits = mixed(logits, where, texts);
        logits_.index_copy_(0, torch::tensor(where, torch::kInt64), logits.to(torch::kFloat16));
      }
    });
    done_ = end;
    return {};
  }

  /// The logarithms of the mixture of what the teacher and the opinion say of the answers `where`; they serve
  /// as logits.
  Tensor mixed(const Tensor& logits, const std::vector<int64_t>& where,
               const std::vector<std::string>& texts) const {
    std::vector<float> said;
    for (const int64_t answer : where) {
      const auto i = static_cast<size_t>(answer);
      std::ranges::copy(opinion_.ask(i % examples_.size(), texts[i - done_]), std::back_inserter(said));
    }
    Tensor other = torch::tensor(said).view_as(logits);
    constexpr double kLeast = 1e-7;  // what float16 still tells from 0 once it is a logarithm
    return ((1.0 - opinion_.share) * torch::softmax(logits, -1) + opinion_.share * other)
        .clamp_min(kLeast)
        .log();
  }

  const LoadedModel& teacher_;
  const PromptEncoder& encoder_;
  std::span<const formats::Example> examples_;
  const DistillOptions& options_;
  const std::string& path_;
  const JobOptions& job_;
  const Opinion& opinion_;
  std::string fingerprint_;
  size_t total_, done_ = 0;
  double before_ = 0;
  Tensor logits_;
};

Result<Decoder> starting_student(const std::string& path, model::Config shape, const LoadedModel& teacher,
                                 uint64_t seed) {
  if (path.empty()) {
    shape.vocab_size = static_cast<uint32_t>(teacher.tokenizer->vocab_size());
    BANTAM_TRY(model::check(shape));
    return Decoder::random(shape, seed);
  }
  BANTAM_ASSIGN(LoadedModel student, load_model(path));
  const size_t found = student.tokenizer->vocab_size(), expected = teacher.tokenizer->vocab_size();
  if (found != expected || student.task.choices != teacher.task.choices) {
    return fail(
        Code::kInvalidArgument,
        "{}: vocabulary of {} tokens and {} labels, the teacher's has {} and {}; both must be the same", path,
        found, student.task.choices.size(), expected, teacher.task.choices.size());
  }
  return std::move(student.decoder);
}

}  // namespace

Result<JobReport> distill(std::span<const formats::Example> examples, const std::string& teacher_path,
                          const std::string& student_path, model::Config shape, const DistillOptions& options,
                          const std::string& transfer_file, const JobOptions& job, const Opinion& opinion) {
  BANTAM_TRY(check(options.optim));
  BANTAM_TRY(check(options.transfer));
  if (options.variants == 0 || !(options.temperature > 0) ||
      !(options.hard_weight >= 0 && options.hard_weight <= 1)) {
    return fail(
        Code::kInvalidArgument,
        "distill: found variants {}, temperature {}, hard_weight {}; expected at least 1, above 0, 0 to 1",
        options.variants, options.temperature, options.hard_weight);
  }
  BANTAM_ASSIGN(LoadedModel teacher, load_model(teacher_path));
  BANTAM_ASSIGN(Decoder model, starting_student(student_path, shape, teacher, options.optim.seed));
  BANTAM_ASSIGN(PromptEncoder encoder,
                PromptEncoder::create(*teacher.bpe, teacher.task, model.config().context_length));
  BANTAM_ASSIGN(LabelledRows rows, LabelledRows::create(encoder, examples, options.optim));

  BANTAM_ASSIGN(std::string teacher_bytes, read_file(teacher_path));
  const std::string transfer_print =
      fmt::format("transfer {} {} {} {} {}{}", sha256_hex(teacher_bytes), hash_examples(examples),
                  options.variants, options.optim.seed, describe(options.transfer), describe(opinion));
  TransferMaker maker(teacher, encoder, examples, options, transfer_file, job, opinion, transfer_print);
  BANTAM_ASSIGN(Transfer transfer, maker.make());

  std::string start = "random";
  if (!student_path.empty()) {
    BANTAM_ASSIGN(std::string bytes, read_file(student_path));
    start = sha256_hex(bytes);
  }
  const std::string fingerprint =
      fmt::format("distill {} {} {} {} T={} hard={}", describe(model.config()), describe(options.optim),
                  transfer_print, start, options.temperature, options.hard_weight);
  const Tensor& ids = encoder.label_ids();
  const int64_t end_token = *teacher.tokenizer->eos();
  const double t = options.temperature;
  const auto count = static_cast<int64_t>(examples.size());

  auto step = [&](const Share& share) -> Result<StepLoss> {
    std::vector<int64_t> answers;
    BANTAM_ASSIGN(Batch batch, rows.at(share, [&](size_t item, uint64_t epoch) {
      const uint64_t variant = epoch % options.variants;
      answers.push_back(static_cast<int64_t>(variant) * count + static_cast<int64_t>(item));
      return variant_text(examples, options, item, variant);
    }));
    if (batch.items.empty()) return StepLoss{};
    Tensor hidden = model.forward(batch.tokens, {options.optim.dropout, share.seed});
    Tensor logits = model.logits(rows_at(hidden, batch.answer));
    Tensor target =
        torch::softmax(transfer.logits.index_select(0, torch::tensor(answers, torch::kInt64)) / t, -1);
    // The student's softmax runs over the whole vocabulary: whatever is no label has the teacher's
    // probability 0, so that the student answers with a label even where nothing constrains it.
    Tensor soft =
        -(target * torch::log_softmax(logits / t, -1).index_select(1, ids)).sum(-1).mean() * (t * t);
    Tensor hard = torch::cross_entropy_loss(logits, ids.index_select(0, batch.labels));
    Tensor loss = (1.0 - options.hard_weight) * soft + options.hard_weight * hard;
    if (options.optim.lm_weight > 0) {
      loss = loss + options.optim.lm_weight * language_loss(model, hidden, batch.tokens, batch.answer);
    }
    if (batch.has_end) loss = loss + end_loss(model, hidden, batch, end_token);
    return StepLoss{loss * batch.share, batch.token_count};
  };
  BANTAM_ASSIGN(JobReport report,
                run_steps(model, descent_of(options.optim), job, "distill", fingerprint, rows.steps(), step));
  report.cpu_seconds += transfer.cpu_seconds;
  BANTAM_TRY(write_model(model, *teacher.tokenizer, teacher.task, job.out));
  remove_checkpoint(job);
  return report;
}

}  // namespace bantam::train
