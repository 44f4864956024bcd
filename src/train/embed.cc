#include "train/embed.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/usage.h"
#include "train/decoder.h"
#include "train/job_log.h"
#include "train/language_file.h"
#include "train/option_check.h"
#include "train/text_pairs.h"
#include "train/trainer.h"

namespace bantam::train {
namespace {

using nlohmann::json;
using text::TokenId;
using torch::Tensor;

std::string embed_options_text(const EmbedOptions& o) {
  return fmt::format("pairs={} batch={} groups={} max_tokens={} temperature={} dropout={}", o.pairs, o.batch,
                     o.groups, o.max_tokens, o.temperature, o.dropout);
}

class EmbedTrainer {
 public:
  EmbedTrainer(const PretrainData& data, const EmbedOptions& options, const JobOptions& job,
               LoadedLanguageModel source, const TokenStore& store, TextPairs pairs)
      : data_(data),
        options_(options),
        job_(job),
        source_(std::move(source)),
        pairs_(std::move(pairs)),
        tokens_(store.token_count()),
        log_(job.out + ".log.jsonl") {}

  Result<EmbedReport> run(const std::string& from_sha256) {
    Decoder& model = source_.decoder;
    report_.parameters = model::parameter_count(model.config());
    const double a_step = static_cast<double>(options_.batch) * options_.groups;
    steps_ = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(options_.pairs / a_step)));
    const Descent descent{.learning_rate = options_.learning_rate,
                          .warmup = options_.warmup,
                          .decay = options_.decay,
                          .final_share = options_.final_share,
                          .weight_decay = options_.weight_decay,
                          .clip = options_.clip,
                          .beta2 = options_.beta2,
                          .ema = 0,
                          .muon = options_.muon,
                          .micro_steps = 1,
                          .seed = options_.seed};
    const std::string fingerprint =
        fmt::format("embed {} {} from={} {}{}", describe(descent), embed_options_text(options_), from_sha256,
                    tokens_, describe(data_.parts));
    const Hooks hooks{.restored = [&](uint64_t next) { return log_.cut(next); },
                      .after_step = [&](const StepReport& s) { return after(s); }};
    start_ = wall_seconds();
    BANTAM_ASSIGN(report_.job, run_steps(
                                   model, descent, job_, "embed", fingerprint, steps_,
                                   [&](const Share& share) { return pass(share); }, hooks));
    json provenance{{"bantam", BANTAM_VERSION},
                    {"embeddings", embed_options_text(options_)},
                    {"from_sha256", from_sha256},
                    {"tokens", report_.job.tokens},
                    {"cpu_seconds", report_.job.cpu_seconds}};
    for (const auto& [name, value] : report_.found) provenance["found"][name] = value;
    if (!source_.provenance.empty()) provenance["before"] = json::parse(source_.provenance, nullptr, false);
    BANTAM_TRY(write_language_model(model, *source_.tokenizer, source_.chat_template, provenance, job_.out,
                                    /*mean_pooling=*/true));
    remove_checkpoint(job_);
    return report_;
  }

 private:
  /// Normalised means over the texts' last hidden states: [N, C].
  Tensor vectors(const std::vector<std::vector<TokenId>>& texts, const Dropout& dropout) const {
    size_t longest = 0;
    for (const auto& text : texts) longest = std::max(longest, text.size() + 1);
    const auto rows = static_cast<int64_t>(texts.size()), time = static_cast<int64_t>(longest);
    Tensor ids = torch::zeros({rows, time}, torch::kInt64), there = torch::zeros({rows, time});
    for (int64_t r = 0; r < rows; ++r) {
      const auto& text = texts[static_cast<size_t>(r)];
      int64_t* id = ids.data_ptr<int64_t>() + r * time;
      float* mask = there.data_ptr<float>() + r * time;
      id[0] = *source_.tokenizer->bos();
      for (size_t t = 0; t < text.size(); ++t) id[t + 1] = text[t];
      std::fill_n(mask, text.size() + 1, 1.0F);
    }
    Tensor hidden = source_.decoder.forward(ids, dropout);
    Tensor sum = torch::bmm(there.unsqueeze(1), hidden).squeeze(1);
    // Means and sums point the same way.
    return sum / sum.norm(2, -1, true).clamp_min(1e-6);
  }

  Result<StepLoss> pass(const Share& share) {
    Tensor total;
    int64_t tokens = 0;
    for (uint32_t g = share.shard; g < options_.groups; g += share.shards) {
      Rng rng(options_.seed, share.step, g);
      std::vector<std::vector<TokenId>> first, second;
      for (uint32_t i = 0; i < options_.batch; ++i) {
        TextPair pair = pairs_.draw(rng);
        tokens += static_cast<int64_t>(pair.first.size() + pair.second.size() + 2);
        first.push_back(std::move(pair.first));
        second.push_back(std::move(pair.second));
      }
      const uint64_t seed = rng.next();
      Tensor cosine = torch::matmul(vectors(first, {options_.dropout, seed}),
                                    vectors(second, {options_.dropout, seed + 1}).t());
      Tensor logits = cosine / options_.temperature;
      Tensor own = torch::arange(static_cast<int64_t>(options_.batch), torch::kInt64);
      Tensor loss =
          0.5 * (torch::cross_entropy_loss(logits, own) + torch::cross_entropy_loss(logits.t(), own));
      loss = loss / static_cast<double>(options_.groups);
      total = total.defined() ? total + loss : loss;
    }
    return total.defined() ? StepLoss{total, tokens} : StepLoss{};
  }

  Status after(const StepReport& s) {
    BANTAM_TRY(log_.add(s, wall_seconds() - start_));
    const uint64_t done = s.step + 1;
    if (done % options_.evaluate_every != 0 && done != steps_) return {};
    return evaluate(s.step);
  }

  Status evaluate(uint64_t step) {
    torch::NoGradGuard no_grad;
    report_.found.clear();
    json found = json::object();
    for (uint32_t part = 0; part < data_.parts.size(); ++part) {
      Rng rng(options_.seed, 0x68656c64, part);  // the same pairs every time
      std::vector<std::vector<TokenId>> first, second;
      TextPair pair;
      while (first.size() < options_.evaluate_pairs && pairs_.draw_held_back(part, rng, pair)) {
        first.push_back(pair.first);
        second.push_back(pair.second);
      }
      if (first.size() < 2) continue;
      Tensor nearest = torch::matmul(vectors(first, {}), vectors(second, {}).t()).argmax(-1);
      Tensor own = torch::arange(nearest.size(0), torch::kInt64);
      const double share = nearest.eq(own).to(torch::kFloat64).mean().item<double>();
      found[data_.parts[part].name] = share;
      report_.found.emplace_back(data_.parts[part].name, share);
    }
    return log_.add({{"step", step}, {"found", found}});
  }

  const PretrainData& data_;
  const EmbedOptions& options_;
  const JobOptions& job_;
  LoadedLanguageModel source_;
  TextPairs pairs_;
  uint64_t tokens_;
  JobLog log_;
  uint64_t steps_ = 0;
  double start_ = 0;
  EmbedReport report_;
};

}  // namespace

Status check(const EmbedOptions& o) {
  BANTAM_TRY(need(o.pairs >= 1, "pairs", o.pairs, "at least 1"));
  BANTAM_TRY(need(o.batch >= 2 && o.batch <= 65536, "batch", o.batch, "2 to 65536"));
  BANTAM_TRY(need(o.groups >= 1 && o.groups <= 65536, "groups", o.groups, "1 to 65536"));
  BANTAM_TRY(need(o.max_tokens >= 16 && o.max_tokens <= 8192, "max_tokens", o.max_tokens, "16 to 8192"));
  BANTAM_TRY(
      need(o.temperature > 0 && o.temperature <= 10, "temperature", o.temperature, "above 0, at most 10"));
  BANTAM_TRY(need(o.learning_rate > 0 && o.learning_rate <= 1, "learning_rate", o.learning_rate,
                  "above 0, at most 1"));
  BANTAM_TRY(need(o.dropout >= 0 && o.dropout < 1, "dropout", o.dropout, "0 to below 1"));
  BANTAM_TRY(need(o.evaluate_every >= 1, "evaluate_every", o.evaluate_every, "at least 1"));
  BANTAM_TRY(need(o.evaluate_pairs >= 2 && o.evaluate_pairs <= 65536, "evaluate_pairs", o.evaluate_pairs,
                  "2 to 65536"));
  return {};
}

Result<EmbedReport> train_embedder(const PretrainData& data, const std::string& from,
                                   const EmbedOptions& options, const JobOptions& job) {
  BANTAM_TRY(check(options));
  if (from.empty())
    return fail(Code::kInvalidArgument, "from: found nothing, expected a language model to start from");
  if (data.parts.empty()) return fail(Code::kInvalidArgument, "data: found no part, expected at least one");
  BANTAM_ASSIGN(LoadedLanguageModel source, load_language_model(from));
  if (source.decoder.config().context_length < options.max_tokens + 1) {
    return fail(Code::kInvalidArgument, "max_tokens: found {}, expected below the {} of {}",
                options.max_tokens, source.decoder.config().context_length, from);
  }
  BANTAM_ASSIGN(const std::string bytes, read_file(from));
  BANTAM_ASSIGN(const TokenStore store, TokenStore::make(data, *source.tokenizer, job));
  std::vector<double> weights;
  for (const auto& part : data.parts) weights.push_back(part.weight);
  BANTAM_ASSIGN(TextPairs pairs, TextPairs::create(store, weights, *source.tokenizer, options.max_tokens));
  return EmbedTrainer(data, options, job, std::move(source), store, std::move(pairs)).run(sha256_hex(bytes));
}

}  // namespace bantam::train
