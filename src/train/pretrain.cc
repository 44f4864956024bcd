#include "train/pretrain.h"

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/usage.h"
#include "base/utf8.h"
#include "formats/documents.h"
#include "train/chat_form.h"
#include "train/decoder.h"
#include "train/job_log.h"
#include "train/language_file.h"
#include "train/language_rows.h"
#include "train/option_check.h"
#include "train/peers.h"
#include "train/token_store.h"
#include "train/trainer.h"

namespace bantam::train {
namespace {

using nlohmann::json;
using torch::Tensor;
namespace fs = std::filesystem;

constexpr std::string_view kEndOfText = "<|endoftext|>";
constexpr int64_t kSampleTokens = 48;

/// The vocabulary, learned from documents evenly spread over all parts, held-back ones left out.
Result<std::unique_ptr<text::BpeTokenizer>> learn_tokenizer(const PretrainData& data, const JobOptions& job) {
  std::vector<std::string> texts;
  double total = 0;
  std::error_code error;
  for (const auto& part : data.parts) total += static_cast<double>(fs::file_size(part.file, error));
  for (const auto& part : data.parts) {
    BANTAM_ASSIGN(auto reader, formats::DocumentReader::open(part.file));
    const double wanted = static_cast<double>(data.tokenizer_bytes) *
                          static_cast<double>(fs::file_size(part.file, error)) / total;
    double seen = 0, taken = 0;
    uint64_t index = 0;
    for (std::string text;;) {
      BANTAM_ASSIGN(const bool more, reader.next(text));
      if (!more) break;
      if (is_held_back(index++, data.held_back_one_in)) continue;
      seen += static_cast<double>(text.size());
      // Evenly: as much of what was read so far as is wanted of the whole. Long documents give a piece.
      const double share = std::max(reader.position(), 1e-3) * wanted;
      if (taken >= share) continue;
      const size_t keep = utf8_cut(text, 1 << 18);
      text.resize(keep);
      taken += static_cast<double>(keep);
      texts.push_back(std::move(text));
      if (job.progress)
        job.progress({"read " + part.name, static_cast<uint64_t>(reader.position() * 1000), 1000, ""});
      if (job.cancel.stop_requested()) return fail(Code::kCancelled, "stopped while reading {}", part.file);
    }
  }
  std::vector<std::string> control{std::string(kEndOfText)};
  control.insert(control.end(), data.control.begin(), data.control.end());
  return text::train_bpe(texts, {.vocab_size = data.vocab_size, .control = std::move(control), .whole = {}});
}

std::string pretrain_options_text(const PretrainOptions& o) {
  return fmt::format(
      "context={} batch={} accumulate={} tokens={} dropout={} z={} precision={} teacher_share={}{}",
      o.context, o.batch, o.accumulate, o.tokens, o.dropout, o.z_loss, o.precision,
      o.teacher.empty() ? 0.0 : o.teacher_share, o.answers_only ? " answers_only" : "");
}

class Pretrainer {
 public:
  Pretrainer(const PretrainData& data, const PretrainOptions& options, const JobOptions& job)
      : data_(data), options_(options), job_(job), log_(job.out + ".log.jsonl") {}

  Result<PretrainReport> run(model::Config shape, const std::string& from) {
    // One rank makes the files that all read.
    if (rank() != 0) BANTAM_TRY(all_here());
    BANTAM_TRY(prepare_model(std::move(shape), from));
    BANTAM_ASSIGN(auto store, TokenStore::make(data_, *tokenizer_, job_));
    if (job_.peers && rank() == 0) BANTAM_TRY(all_here());
    std::vector<double> weights;
    for (const auto& part : data_.parts) weights.push_back(part.weight);
    Windows windows(store, weights, options_.context, *tokenizer_->bos(), options_.seed);
    windows_ = &windows;
    report_.parameters = model::parameter_count(model_->config());
    report_.corpus_tokens = store.token_count();

    const double a_step = static_cast<double>(options_.context) * options_.batch * options_.accumulate;
    steps_ = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(options_.tokens / a_step)));
    const Descent descent = this->descent();
    const std::string fingerprint = fmt::format("pretrain {} {} {} from={} {}{}", describe(model_->config()),
                                                describe(descent), pretrain_options_text(options_),
                                                from_sha256_, store.token_count(), describe(data_.parts));
    const Hooks hooks{.restored = [&](uint64_t next) { return rank() == 0 ? log_.cut(next) : Status{}; },
                      .after_step = [&](const StepReport& s) { return after(s); }};
    start_ = wall_seconds();
    BANTAM_ASSIGN(report_.job, run_steps(
                                   *model_, descent, job_, "pretrain", fingerprint, steps_,
                                   [&](const Share& share) { return pass(share); }, hooks));
    if (rank() != 0) return report_;
    BANTAM_TRY(save(job_.out));
    remove_checkpoint(job_);
    return report_;
  }

 private:
  Status all_here() {
    return job_.peers->sum(torch::zeros(
        {1}, torch::TensorOptions().device(options_.device == "cuda" ? torch::kCUDA : torch::kCPU)));
  }

  Status prepare_model(model::Config shape, const std::string& from) {
    const std::string vocabulary = job_.out + ".vocabulary.gguf";
    if (!from.empty()) {
      BANTAM_ASSIGN(auto loaded, load_language_model(from));
      BANTAM_ASSIGN(const std::string bytes, read_file(from));
      from_sha256_ = sha256_hex(bytes);
      before_ = std::move(loaded.provenance);
      chat_template_ = std::move(loaded.chat_template);
      tokenizer_ = std::move(loaded.tokenizer);
      model_.emplace(std::move(loaded.decoder));
      if (model_->config().context_length < options_.context) {
        return fail(Code::kInvalidArgument, "context: found {}, expected at most the {} of {}",
                    options_.context, model_->config().context_length, from);
      }
    } else {
      BANTAM_ASSIGN(const std::string print, vocabulary_print());
      if (auto there = load_vocabulary(vocabulary, print)) {
        tokenizer_ = std::move(*there);
      } else {
        BANTAM_ASSIGN(tokenizer_, learn_tokenizer(data_, job_));
        BANTAM_TRY(write_vocabulary(*tokenizer_, print, vocabulary));
      }
      shape.vocab_size = static_cast<uint32_t>(tokenizer_->vocab_size());
      shape.context_length = std::max(shape.context_length, options_.context);
      BANTAM_TRY(model::check(shape));
      model_.emplace(Decoder::random(shape, options_.seed));
    }
    if (!tokenizer_->bos()) return fail(Code::kUnsupported, "{}: its vocabulary has no start token", from);
    model_->to(options_.device == "cuda" ? torch::kCUDA : torch::kCPU,
               options_.precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32);
    if (!options_.teacher.empty()) BANTAM_TRY(load_teacher());
    for (const auto& part : data_.parts) {
      if (formats::is_json_lines(part.file)) chat_template_ = kChatTemplate;
    }
    if (options_.answers_only) mask_.emplace(*tokenizer_, *tokenizer_->bos());
    for (size_t id = 0; id < tokenizer_->vocab_size(); ++id)
      piece_bytes_.push_back(static_cast<int64_t>(tokenizer_->piece(static_cast<text::TokenId>(id)).size()));
    return {};
  }

  /// What the vocabulary is learned from.
  Result<std::string> vocabulary_print() const {
    BANTAM_ASSIGN(std::string all, print_of_files(data_));
    all += fmt::format("vocabulary {} {}", data_.vocab_size, data_.tokenizer_bytes);
    for (const auto& token : data_.control) all += ' ' + token;
    return sha256_hex(all);
  }

  Status load_teacher() {
    BANTAM_ASSIGN(auto loaded, load_language_model(options_.teacher));
    bool same = loaded.tokenizer->vocab_size() == tokenizer_->vocab_size();
    for (size_t id = 0; same && id < tokenizer_->vocab_size(); ++id) {
      const auto token = static_cast<text::TokenId>(id);
      same = loaded.tokenizer->piece(token, true) == tokenizer_->piece(token, true);
    }
    if (!same) {
      return fail(Code::kInvalidArgument, "{}: found another vocabulary ({} tokens) than the student's ({})",
                  options_.teacher, loaded.tokenizer->vocab_size(), tokenizer_->vocab_size());
    }
    if (loaded.decoder.config().context_length < options_.context) {
      return fail(Code::kInvalidArgument, "context: found {}, expected at most the teacher's {}",
                  options_.context, loaded.decoder.config().context_length);
    }
    BANTAM_ASSIGN(const std::string bytes, read_file(options_.teacher));
    from_sha256_ += " teacher " + sha256_hex(bytes);
    teacher_.emplace(std::move(loaded.decoder));
    teacher_->to(model_->device(), options_.precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32);
    return {};
  }

  Descent descent() const {
    return {.learning_rate = options_.learning_rate,
            .warmup = options_.warmup,
            .decay = options_.decay,
            .final_share = options_.final_share,
            .weight_decay = options_.weight_decay,
            .clip = options_.clip,
            .beta2 = options_.beta2,
            .ema = 0,
            .muon = options_.muon,
            .micro_steps = options_.accumulate / world(),
            .seed = options_.seed};
  }

  Rows device_rows(int64_t count, const std::function<void(int64_t, std::span<int64_t>)>& fill) const {
    const Rows rows = rows_of(count, options_.context, *tokenizer_->bos(), fill);
    const size_t time = options_.context;
    for (int64_t i = 0; mask_ && i < count; ++i) {
      const auto row = static_cast<size_t>(i) * time;
      mask_->apply({rows.inputs.data_ptr<int64_t>() + row, time},
                   {rows.targets.data_ptr<int64_t>() + row, time});
    }
    const auto device = model_->device();
    return {rows.inputs.to(device), rows.targets.to(device), rows.starts.to(device)};
  }

  Result<StepLoss> pass(const Share& share) {
    const uint64_t pass = share.step * options_.accumulate + uint64_t{share.micro_step} * world() + rank();
    const uint64_t first = pass * options_.batch + share.shard;
    const int64_t count = (int64_t{options_.batch} - share.shard + share.shards - 1) / share.shards;
    if (count <= 0) return StepLoss{};
    const Rows rows = device_rows(count, [&](int64_t i, std::span<int64_t> row) {
      windows_->row(first + static_cast<uint64_t>(i) * share.shards, row);
    });
    Teaching teaching;
    if (teacher_) {
      torch::NoGradGuard no_grad;
      Tensor said = teacher_->forward(rows.inputs, {}, nullptr, rows.starts);
      teaching = {said.reshape({-1, said.size(2)}), teacher_->head(), options_.teacher_share};
    }
    Tensor hidden = model_->forward(rows.inputs, {options_.dropout, share.seed}, nullptr, rows.starts);
    auto [loss, cross] =
        head_loss(hidden.reshape({-1, hidden.size(2)}), model_->head(), rows.targets.reshape({-1}),
                  options_.z_loss, teacher_ ? &teaching : nullptr);
    const double all = static_cast<double>(options_.batch) * options_.accumulate * options_.context;
    return StepLoss{loss / all, rows.inputs.numel()};
  }

  uint32_t world() const { return job_.peers ? static_cast<uint32_t>(job_.peers->size()) : 1; }
  uint32_t rank() const { return job_.peers ? static_cast<uint32_t>(job_.peers->rank()) : 0; }

  Status after(const StepReport& s) {
    if (rank() != 0) return {};
    BANTAM_TRY(log_.add(s, wall_seconds() - start_));
    const uint64_t done = s.step + 1;
    if (options_.keep_every > 0 && done % options_.keep_every == 0 && done != steps_) {
      report_.job.steps = done;
      report_.job.tokens = s.tokens;
      report_.job.cpu_seconds = s.cpu_seconds;
      BANTAM_TRY(save(fmt::format("{}.step-{}.gguf", job_.out.substr(0, job_.out.size() - 5), done)));
    }
    if (done % options_.evaluate_every != 0 && done != steps_) return {};
    return evaluate(s.step);
  }

  Status evaluate(uint64_t step) {
    torch::NoGradGuard no_grad;
    report_.bits_per_byte.clear();
    json bits = json::object();
    for (uint32_t part = 0; part < data_.parts.size(); ++part) {
      double nats = 0;
      int64_t bytes = 0;
      bool there = true;
      for (uint32_t i = 0; there && i < options_.evaluate_rows; ++i) {
        Rows rows = device_rows(1, [&](int64_t, std::span<int64_t> row) {
          there = windows_->held_back_row(part, i, options_.evaluate_rows, row);
          if (!there) std::ranges::fill(row, 0);
        });
        if (!there) break;
        Tensor targets = rows.targets.reshape({-1}).cpu();
        for (int64_t t = 0; t < targets.size(0); ++t) {
          int64_t& target = targets.data_ptr<int64_t>()[t];
          if (target == *tokenizer_->bos()) {
            target = -1;  // where a document ends is no part of its text
          } else if (target >= 0) {
            bytes += piece_bytes_[static_cast<size_t>(target)];
          }
        }
        Tensor hidden = model_->forward(rows.inputs, {}, nullptr, rows.starts);
        nats +=
            head_loss(hidden.reshape({-1, hidden.size(2)}), model_->head(), targets.to(model_->device()), 0)
                .second.item<double>();
      }
      if (bytes == 0) continue;
      const double value = nats / M_LN2 / static_cast<double>(bytes);
      bits[data_.parts[part].name] = value;
      report_.bits_per_byte.emplace_back(data_.parts[part].name, value);
    }
    return log_.add({{"step", step}, {"bits_per_byte", bits}, {"sample", sample(step)}});
  }

  /// A few words of the model's own, at temperature 0.8.
  std::string sample(uint64_t step) const {
    Rng rng(options_.seed, 0x73616d706c65, step);
    std::vector<int64_t> ids{*tokenizer_->bos()};
    std::vector<text::TokenId> said;
    for (int64_t i = 0; i < std::min<int64_t>(kSampleTokens, options_.context - 1); ++i) {
      Tensor input = torch::tensor(ids, torch::kInt64).unsqueeze(0).to(model_->device());
      Tensor logits = model_->logits(model_->forward(input).select(1, -1)).squeeze(0);
      Tensor p = torch::softmax(logits.to(torch::kFloat32) / 0.8, -1).cumsum(-1).cpu();
      const double u = rng.uniform() * p[-1].item<double>();
      const float* sum = p.data_ptr<float>();
      const int64_t next = std::lower_bound(sum, sum + p.numel() - 1, static_cast<float>(u)) - sum;
      if (tokenizer_->is_end(static_cast<text::TokenId>(next))) break;
      ids.push_back(next);
      said.push_back(static_cast<text::TokenId>(next));
    }
    text::Utf8Stream whole;
    std::string text = whole.push(tokenizer_->decode(said));
    return text + whole.finish();
  }

  Status save(const std::string& path) const {
    Decoder plain = *model_;  // training goes on with the weights where they are
    plain.to(torch::kCPU, torch::kFloat32);
    return write_language_model(plain, *tokenizer_, chat_template_, provenance(), path);
  }

  json provenance() const {
    json parts = json::array(), bits = json::object();
    for (const auto& part : data_.parts)
      parts.push_back(
          {{"name", part.name}, {"file", fs::path(part.file).filename().string()}, {"weight", part.weight}});
    for (const auto& [name, value] : report_.bits_per_byte) bits[name] = value;
    json out{{"bantam", BANTAM_VERSION},
             {"data", parts},
             {"held_back_one_in", data_.held_back_one_in},
             {"tokens", report_.job.tokens},
             {"steps", report_.job.steps},
             {"cpu_seconds", report_.job.cpu_seconds},
             {"optimiser", describe(descent())},
             {"options", pretrain_options_text(options_)},
             {"from_sha256", from_sha256_},
             {"bits_per_byte", bits}};
    if (!before_.empty()) out["before"] = json::parse(before_, nullptr, false);
    return out;
  }

  const PretrainData& data_;
  const PretrainOptions& options_;
  const JobOptions& job_;
  JobLog log_;
  std::unique_ptr<text::BpeTokenizer> tokenizer_;
  std::optional<Decoder> model_, teacher_;
  std::vector<int64_t> piece_bytes_;
  std::string from_sha256_, before_, chat_template_;
  std::optional<AnswerMask> mask_;
  Windows* windows_ = nullptr;
  uint64_t steps_ = 0;
  double start_ = 0;
  PretrainReport report_;
};

}  // namespace

Status check(const PretrainOptions& o) {
  BANTAM_TRY(need(o.context >= 8 && o.context <= 65536, "context", o.context, "8 to 65536"));
  BANTAM_TRY(need(o.batch >= 1 && o.batch <= 65536, "batch", o.batch, "1 to 65536"));
  BANTAM_TRY(need(o.accumulate >= 1 && o.accumulate <= 65536, "accumulate", o.accumulate, "1 to 65536"));
  BANTAM_TRY(need(o.tokens >= 1, "tokens", o.tokens, "at least 1"));
  BANTAM_TRY(need(o.learning_rate > 0 && o.learning_rate <= 1, "learning_rate", o.learning_rate,
                  "above 0, at most 1"));
  BANTAM_TRY(need(o.warmup >= 0 && o.warmup < 1, "warmup", o.warmup, "a share from 0 to below 1"));
  BANTAM_TRY(need(o.decay > 0 && o.decay <= 1, "decay", o.decay, "a share above 0, at most 1"));
  BANTAM_TRY(need(o.final_share >= 0 && o.final_share <= 1, "final_share", o.final_share, "0 to 1"));
  BANTAM_TRY(need(o.weight_decay >= 0 && o.weight_decay <= 10, "weight_decay", o.weight_decay, "0 to 10"));
  BANTAM_TRY(need(o.clip > 0, "clip", o.clip, "above 0"));
  BANTAM_TRY(need(o.beta2 >= 0 && o.beta2 < 1, "beta2", o.beta2, "0 to below 1"));
  BANTAM_TRY(need(o.dropout >= 0 && o.dropout < 1, "dropout", o.dropout, "0 to below 1"));
  BANTAM_TRY(need(o.z_loss >= 0 && o.z_loss <= 1, "z_loss", o.z_loss, "0 to 1"));
  BANTAM_TRY(need(o.teacher_share >= 0 && o.teacher_share <= 1, "teacher_share", o.teacher_share, "0 to 1"));
  BANTAM_TRY(need(o.evaluate_every >= 1, "evaluate_every", o.evaluate_every, "at least 1"));
  if (o.device != "cpu" && o.device != "cuda")
    return fail(Code::kInvalidArgument, "device: found {}, expected cpu or cuda", o.device);
  if (o.device == "cuda" && !torch::cuda::is_available())
    return fail(Code::kUnsupported, "device: found cuda, but this build or machine has none");
  if (o.precision != "float32" && o.precision != "bfloat16")
    return fail(Code::kInvalidArgument, "precision: found {}, expected float32 or bfloat16", o.precision);
  return {};
}

Result<std::shared_ptr<Peers>> join_peers(double timeout_seconds, const std::string& device) {
  BANTAM_ASSIGN(const Place place, place_from_environment());
  if (place.size == 1) return std::shared_ptr<Peers>();
  BANTAM_ASSIGN(auto peers,
                Peers::join(place, std::chrono::seconds(std::llround(std::max(1.0, timeout_seconds))),
                            device == "cuda"));
  return std::shared_ptr<Peers>(std::move(peers));
}

int rank_of(const Peers& peers) { return peers.rank(); }

Result<PretrainReport> pretrain(const PretrainData& data, model::Config shape, const std::string& from,
                                const PretrainOptions& options, const JobOptions& job) {
  BANTAM_TRY(check(options));
  if (job.peers && options.accumulate % static_cast<uint32_t>(job.peers->size()) != 0) {
    return fail(Code::kInvalidArgument, "accumulate: found {}, expected a multiple of the {} processes",
                options.accumulate, job.peers->size());
  }
  if (data.parts.empty()) return fail(Code::kInvalidArgument, "data: found no part, expected at least one");
  return Pretrainer(data, options, job).run(std::move(shape), from);
}

}  // namespace bantam::train
