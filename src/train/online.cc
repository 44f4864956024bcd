#include "train/online.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/usage.h"
#include "train/decoder.h"
#include "train/job_log.h"
#include "train/language_file.h"
#include "train/option_check.h"
#include "train/trainer.h"

namespace bantam::train {
namespace {

using nlohmann::json;
using torch::Tensor;

class OnlineReader {
 public:
  OnlineReader(LoadedLanguageModel& model, const OnlineOptions& options, const JobOptions& job)
      : decoder_(model.decoder), options_(options), job_(job), log_(job.out + ".log.jsonl") {}

  /// `stream`: the start token, then the text's.
  Result<OnlineScore> run(std::vector<int64_t> stream, const std::string& fingerprint) {
    stream_ = std::move(stream);
    const uint64_t scored = stream_.size() - 1;
    const uint64_t steps = (scored + options_.stride - 1) / options_.stride;
    const Descent descent{.learning_rate = options_.learning_rate,
                          .warmup = 0.01,
                          .decay = 0.5,
                          .final_share = 1,  // the text's end is as new as its beginning
                          .weight_decay = 0,
                          .beta2 = 0.95,
                          .muon = true,
                          .seed = options_.seed};
    const Hooks hooks{.restored = [&](uint64_t next) { return log_.cut(next); },
                      .after_step = [&](const StepReport& s) { return add(s); }};
    start_ = wall_seconds();
    OnlineScore out;
    BANTAM_ASSIGN(out.job,
                  run_steps(
                      decoder_, descent, job_, "read", fmt::format("{} {}", fingerprint, describe(descent)),
                      steps, [&](const Share& share) { return pass(share); }, hooks));
    // From the log: an earlier sitting may have scored a part.
    BANTAM_ASSIGN(const std::string lines, read_file(job_.out + ".log.jsonl"));
    for (size_t at = 0; at < lines.size();) {
      const size_t end = lines.find('\n', at);
      out.nll += json::parse(lines.substr(at, end - at)).at("nats").get<double>();
      at = end + 1;
    }
    out.tokens = scored;
    remove_checkpoint(job_);
    return out;
  }

 private:
  struct Row {
    Tensor inputs, targets;  // int64 [1, T]
  };
  Row row(uint64_t begin, uint64_t end) const {
    const auto time = static_cast<int64_t>(end - begin);
    auto* first = const_cast<int64_t*>(stream_.data()) + begin;
    return {torch::from_blob(first, {1, time}, torch::kInt64).clone(),
            torch::from_blob(first + 1, {1, time}, torch::kInt64).clone()};
  }

  /// Row 0 is the newest window, whose last tokens are scored; the others are of the past. Rows that are
  /// there go to shards in turn.
  Result<StepLoss> pass(const Share& share) {
    const uint64_t end = std::min<uint64_t>((share.step + 1) * options_.stride, stream_.size() - 1);
    const uint64_t window = options_.window, begin = end > window ? end - window : 0;
    const uint64_t past = share.step * options_.stride;  // the stream up to here is scored
    const uint32_t rows = past >= window ? 1 + options_.replay : 1;
    Tensor loss;
    int64_t tokens = 0;
    for (uint32_t i = share.shard; i < rows; i += share.shards) {
      Rng rng(options_.seed, share.step, i);
      const uint64_t from = i == 0 ? begin : rng.below(past - window + 1);
      const Row r = row(from, i == 0 ? end : from + window);
      Tensor hidden = decoder_.forward(r.inputs);
      hidden = hidden.reshape({-1, hidden.size(2)});
      Tensor targets = r.targets.reshape({-1});
      if (i == 0) score(hidden, targets, static_cast<int64_t>(end - past));
      Tensor sum =
          head_loss(hidden, decoder_.head(), targets, 0).first / static_cast<double>(targets.numel() * rows);
      loss = loss.defined() ? loss + sum : sum;
      tokens += targets.numel();
    }
    return loss.defined() ? StepLoss{loss, tokens} : StepLoss{};
  }

  void score(const Tensor& hidden, const Tensor& targets, int64_t fresh) {
    torch::NoGradGuard no_grad;
    const int64_t first = targets.numel() - fresh;
    nats_ =
        head_loss(hidden.slice(0, first), decoder_.head(), targets.slice(0, first), 0).second.item<double>();
  }

  Status add(const StepReport& s) {
    return log_.add({{"step", s.step},
                     {"nats", nats_},
                     {"loss", s.loss},
                     {"tokens", s.tokens},
                     {"seconds", wall_seconds() - start_}});
  }

  Decoder& decoder_;
  const OnlineOptions& options_;
  const JobOptions& job_;
  JobLog log_;
  std::vector<int64_t> stream_;
  double nats_ = 0;  // of the step's new tokens; the shard with row 0 alone writes it
  double start_ = 0;
};

}  // namespace

double OnlineScore::bits_per_byte() const { return nll / M_LN2 / static_cast<double>(bytes); }

Status check(const OnlineOptions& o) {
  BANTAM_TRY(need(o.window >= 8 && o.window <= 65536, "window", o.window, "8 to 65536"));
  BANTAM_TRY(need(o.stride >= 1 && o.stride <= o.window, "stride", o.stride, "1 to the window"));
  BANTAM_TRY(need(o.replay <= 64, "replay", o.replay, "0 to 64"));
  BANTAM_TRY(need(o.learning_rate >= 0 && o.learning_rate <= 1, "learning_rate", o.learning_rate, "0 to 1"));
  return {};
}

Result<OnlineScore> score_online(const std::string& model, std::string_view text,
                                 const OnlineOptions& options, const JobOptions& job) {
  BANTAM_TRY(check(options));
  BANTAM_ASSIGN(auto loaded, load_language_model(model));
  if (!loaded.tokenizer->bos())
    return fail(Code::kUnsupported, "{}: its vocabulary has no start token", model);
  if (loaded.decoder.config().context_length < options.window) {
    return fail(Code::kInvalidArgument, "window: found {}, expected at most the {} of {}", options.window,
                loaded.decoder.config().context_length, model);
  }
  BANTAM_ASSIGN(const auto tokens, loaded.tokenizer->encode(text, {.add_special = false}));
  if (tokens.empty()) return fail(Code::kInvalidArgument, "the text has no tokens, expected at least 1");
  std::vector<int64_t> stream{*loaded.tokenizer->bos()};
  stream.insert(stream.end(), tokens.begin(), tokens.end());
  BANTAM_ASSIGN(const std::string bytes, read_file(model));
  const std::string fingerprint =
      fmt::format("online {} {} window={} stride={} replay={}", sha256_hex(bytes), sha256_hex(text),
                  options.window, options.stride, options.replay);
  BANTAM_ASSIGN(OnlineScore out, OnlineReader(loaded, options, job).run(std::move(stream), fingerprint));
  out.bytes = text.size();
  return out;
}

}  // namespace bantam::train
