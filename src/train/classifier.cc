// Supervised training of a classifier, and the vocabulary made for it.

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "train/batches.h"
#include "train/language_file.h"
#include "train/model_file.h"
#include "train/trainer.h"

namespace bantam::train {
namespace {

using torch::Tensor;

constexpr uint64_t kEndEvery =
    8;  // every so many steps the rows go on to the label and learn that the end token follows it

constexpr uint64_t kOtherMask = 0x9e3779b97f4a7c15ULL;  // tells the second pass's dropout from the first's

TaskText labelled_task(const std::string& name, const std::vector<std::string>& labels) {
  TaskText out;
  out.task.name = name;
  out.task.labels = labels;
  out.task.choices = labels;
  out.task.prompt = "{input}<|answer|>";
  return out;
}

/// Rows for the tokens that `wide` has more than the model: the mean of those that spell them.
Result<Tensor> grown(const Tensor& rows, const text::BpeTokenizer& narrow, const text::BpeTokenizer& wide) {
  std::vector<Tensor> all{rows};
  for (size_t id = narrow.vocab_size(); id < wide.vocab_size(); ++id) {
    std::string label = wide.piece(static_cast<text::TokenId>(id));
    std::ranges::replace(label, '_', ' ');
    std::ranges::replace(label, '-', ' ');
    // As it would stand within a sentence.
    BANTAM_ASSIGN(auto ids, narrow.encode(" " + label, {.add_special = false, .parse_special = false}));
    Tensor spelling = torch::tensor(std::vector<int64_t>(ids.begin(), ids.end()), torch::kInt64);
    all.push_back(rows.index_select(0, spelling).mean(0, true));
  }
  return torch::cat(all).contiguous();
}

}  // namespace

Result<TaskText> prepare_task_from(const std::string& name, const std::vector<std::string>& labels,
                                   const std::string& base) {
  BANTAM_ASSIGN(auto vocabulary, load_vocabulary(base));
  if (!vocabulary->find("<|answer|>"))
    return fail(Code::kUnsupported, "{}: found no token <|answer|>, expected a base model of Bantam's", base);
  TaskText out = labelled_task(name, labels);
  BANTAM_ASSIGN(out.tokenizer, text::with_whole_tokens(*vocabulary, labels));
  return out;
}

Status adapt_base(const std::string& base, const TaskText& text, const std::string& out) {
  BANTAM_ASSIGN(auto loaded, load_language_model(base));
  const auto& narrow = *loaded.tokenizer;
  bool same = narrow.vocab_size() <= text.tokenizer->vocab_size();
  for (size_t id = 0; same && id < narrow.vocab_size(); ++id) {
    const auto token = static_cast<text::TokenId>(id);
    same = narrow.piece(token, true) == text.tokenizer->piece(token, true);
  }
  if (!same) return fail(Code::kInvalidArgument, "{}: has another vocabulary than the task", base);
  model::Config config = loaded.decoder.config();
  config.vocab_size = static_cast<uint32_t>(text.tokenizer->vocab_size());
  std::vector<std::pair<std::string, Tensor>> weights;
  for (const auto& [name, weight] : loaded.decoder.weights()) {
    if (name != "token_embd.weight" && name != "output.weight") {
      weights.emplace_back(name, weight);
      continue;
    }
    BANTAM_ASSIGN(Tensor rows, grown(weight, narrow, *text.tokenizer));
    weights.emplace_back(name, rows);
  }
  return write_model(Decoder(config, std::move(weights)), *text.tokenizer, text.task, out);
}

Result<TaskText> prepare_task(const std::string& name, const std::vector<std::string>& labels,
                              std::span<const formats::Example> examples, size_t vocab_size) {
  TaskText out = labelled_task(name, labels);
  std::vector<std::string> texts;
  for (const auto& example : examples) {
    texts.push_back(example.text);
    texts.push_back(augment(example.text,
                            {.lower = 1, .drop_word = 0, .swap_words = 0, .typo = 0, .bpe_dropout = 0},
                            *std::make_unique<Rng>(0)));
  }
  BANTAM_ASSIGN(out.tokenizer, text::train_bpe(texts, {.vocab_size = vocab_size,
                                                       .control = {"<|endoftext|>", "<|answer|>"},
                                                       .whole = labels}));
  return out;
}

LabelledRows::LabelledRows(const PromptEncoder& encoder, std::span<const formats::Example> examples,
                           const OptimOptions& options, std::vector<uint32_t> lengths)
    : encoder_(encoder), examples_(examples), options_(options), lengths_(std::move(lengths)) {
  per_epoch_ = (examples_.size() + options_.batch - 1) / options_.batch;
}

Result<LabelledRows> LabelledRows::create(const PromptEncoder& encoder,
                                          std::span<const formats::Example> examples,
                                          const OptimOptions& options) {
  if (examples.empty())
    return fail(Code::kInvalidArgument, "training data: found no examples, expected at least one");
  std::vector<uint32_t> lengths;
  Rng none(0);
  for (const auto& example : examples) {
    if (example.label < 0)
      return fail(Code::kInvalidArgument, "training data, line {}: no label", example.line);
    auto row = encoder.encode(example.text, 0, none);
    if (!row)
      return std::unexpected(std::move(row).error().in(fmt::format("training data, line {}", example.line)));
    lengths.push_back(static_cast<uint32_t>(row->size()));
  }
  return LabelledRows(encoder, examples, options, std::move(lengths));
}

uint64_t LabelledRows::steps() const {
  return std::max<uint64_t>(
      1, static_cast<uint64_t>(std::llround(options_.epochs * static_cast<double>(per_epoch_))));
}

Result<Batch> LabelledRows::at(const Share& share,
                               const std::function<std::string(size_t, uint64_t)>& text_of) {
  const uint64_t epoch = share.step / per_epoch_;
  std::vector<size_t> items;
  Batch batch;
  {
    const std::lock_guard lock(*mutex_);
    if (epoch != epoch_ || order_.empty()) {
      order_ = epoch_order(lengths_, options_.batch, options_.seed, epoch);
      epoch_ = epoch;
    }
    const auto& all = order_[share.step % per_epoch_];
    for (size_t i = share.shard; i < all.size(); i += share.shards) items.push_back(all[i]);
    batch.share = static_cast<double>(items.size()) / static_cast<double>(all.size());
  }
  std::vector<std::vector<text::TokenId>> rows;
  std::vector<int32_t> labels;
  const bool with_end = share.step % kEndEvery == 0;
  std::vector<int64_t> answers;
  for (size_t item : items) {
    Rng rng(options_.seed, 0x726f77 + epoch, item);
    auto row = encoder_.encode(text_of(item, epoch), options_.augment.bpe_dropout, rng);
    if (!row &&
        row.error().code ==
            Code::kLimit) {  // only BPE-dropout made it too long: the plain text was checked at the start
      row = encoder_.encode(examples_[item].text, 0, rng);
    }
    if (!row)
      return std::unexpected(
          std::move(row).error().in(fmt::format("training data, line {}", examples_[item].line)));
    answers.push_back(static_cast<int64_t>(row->size()) - 1);
    labels.push_back(examples_[item].label);
    if (with_end)
      row->push_back(static_cast<text::TokenId>(encoder_.label_ids()[labels.back()].item<int64_t>()));
    rows.push_back(std::move(*row));
  }
  const double part = batch.share;
  batch = pad(rows, labels, std::move(items));
  batch.share = part;
  batch.answer = torch::tensor(answers, torch::kInt64);
  batch.has_end = with_end;
  return batch;
}

Tensor end_loss(const Decoder& model, const Tensor& hidden, const Batch& batch, int64_t end_token) {
  Tensor logits = model.logits(rows_at(hidden, batch.answer + 1));
  return torch::cross_entropy_loss(logits, torch::full({logits.size(0)}, end_token, torch::kInt64));
}

Result<JobReport> train_classifier(std::span<const formats::Example> examples, const TaskText& text,
                                   model::Config shape, const OptimOptions& options, const JobOptions& job,
                                   const std::string& start, const Opinion& opinion) {
  BANTAM_TRY(check(options));
  shape.vocab_size = static_cast<uint32_t>(text.tokenizer->vocab_size());
  std::string from = "random";
  std::optional<Decoder> loaded;
  if (!start.empty()) {
    BANTAM_ASSIGN(LoadedModel file, load_model(start));
    if (file.tokenizer->vocab_size() != shape.vocab_size || file.task.choices != text.task.choices)
      return fail(Code::kInvalidArgument, "{}: has another vocabulary or other labels than the task", start);
    BANTAM_ASSIGN(const std::string bytes, read_file(start));
    from = sha256_hex(bytes);
    shape = file.decoder.config();
    loaded.emplace(std::move(file.decoder));
  }
  BANTAM_TRY(model::check(shape));
  BANTAM_ASSIGN(PromptEncoder encoder,
                PromptEncoder::create(*text.tokenizer, text.task, shape.context_length));
  BANTAM_ASSIGN(LabelledRows rows, LabelledRows::create(encoder, examples, options));
  const std::string fingerprint = fmt::format("train {} {} {} {}{}", describe(shape), describe(options),
                                              hash_examples(examples), from, describe(opinion));
  Decoder model = loaded ? std::move(*loaded) : Decoder::random(shape, options.seed);
  const Tensor& ids = encoder.label_ids();
  const int64_t end_token = *text.tokenizer->eos();

  auto step = [&](const Share& share) -> Result<StepLoss> {
    std::vector<float> opinions;
    BANTAM_ASSIGN(Batch batch, rows.at(share, [&](size_t item, uint64_t epoch) {
      Rng rng(options.seed, 0x61756700 + epoch, item);
      std::string varied = augment(examples[item].text, options.augment, rng);
      if (opinion.share > 0) std::ranges::copy(opinion.ask(item, varied), std::back_inserter(opinions));
      return varied;
    }));
    if (batch.items.empty()) return StepLoss{};
    const auto count = static_cast<int64_t>(batch.items.size());
    Tensor target =
        torch::full({count, ids.size(0)}, options.label_smoothing / static_cast<double>(ids.size(0)));
    target.scatter_add_(1, batch.labels.unsqueeze(1), torch::full({count, 1}, 1.0 - options.label_smoothing));
    if (opinion.share > 0)
      target =
          (1.0 - opinion.share) * target + opinion.share * torch::tensor(opinions).view({count, ids.size(0)});
    Tensor hidden = model.forward(batch.tokens, {options.dropout, share.seed});
    Tensor log_p = torch::log_softmax(model.logits(rows_at(hidden, batch.answer)), -1);
    Tensor loss = -(target * log_p.index_select(1, ids)).sum(-1).mean();
    if (options.consistency > 0) {
      Tensor other = model.forward(batch.tokens, {options.dropout, share.seed ^ kOtherMask});
      Tensor log_q = torch::log_softmax(model.logits(rows_at(other, batch.answer)), -1);
      loss = 0.5 * (loss - (target * log_q.index_select(1, ids)).sum(-1).mean()) +
             0.5 * options.consistency * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1).mean();
    }
    if (options.lm_weight > 0)
      loss = loss + options.lm_weight * language_loss(model, hidden, batch.tokens, batch.answer);
    if (batch.has_end) loss = loss + end_loss(model, hidden, batch, end_token);
    return StepLoss{loss * batch.share, batch.token_count};
  };
  BANTAM_ASSIGN(JobReport report,
                run_steps(model, descent_of(options), job, "train", fingerprint, rows.steps(), step));
  BANTAM_TRY(write_model(model, *text.tokenizer, text.task, job.out));
  remove_checkpoint(job);
  return report;
}

}  // namespace bantam::train
