// Structured pruning by activation importance (Minitron, Muralidharan et al. 2024, section 2; ShortGPT, Men
// et al. 2024, for layers): what the task's own texts use little is cut out, matrices stay dense.

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/usage.h"
#include "train/language_file.h"
#include "train/language_rows.h"
#include "train/model_file.h"
#include "train/pretrain.h"
#include "train/token_store.h"
#include "train/trainer.h"

namespace bantam::train {
namespace {

using torch::Tensor;

constexpr uint32_t kBlock = 32;  // Q8_0 and Q4_0 rows are whole blocks of this

/// The `keep` highest entries, in ascending order of index; ties go to the smaller index.
std::vector<int64_t> highest(const Tensor& importance, int64_t keep) {
  std::vector<int64_t> order(static_cast<size_t>(importance.size(0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  Tensor values = importance.to(torch::kFloat64).contiguous();
  const auto* value = values.data_ptr<double>();
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return value[a] > value[b]; });
  order.resize(static_cast<size_t>(keep));
  std::sort(order.begin(), order.end());
  return order;
}

Tensor index_of(const std::vector<int64_t>& kept) { return torch::tensor(kept, torch::kInt64); }

/// Channels of the kept heads: head h owns [h * d, (h + 1) * d).
Tensor head_channels(const std::vector<int64_t>& heads, int64_t d) {
  return (index_of(heads).unsqueeze(1) * d + torch::arange(d, torch::kInt64).unsqueeze(0)).reshape({-1});
}

Status check_request(const model::Config& config, const PruneOptions& want) {
  auto need = [&](const char* name, uint32_t value, uint32_t most, uint32_t unit) -> Status {
    if (value >= 1 && value <= most && value % unit == 0) return {};
    return fail(Code::kInvalidArgument, "prune.{}: found {}, expected a multiple of {} from {} to {}", name,
                value, unit, unit, most);
  };
  BANTAM_TRY(need("dim", want.dim, config.dim, kBlock));
  BANTAM_TRY(need("ffn_dim", want.ffn_dim, config.ffn_dim, kBlock));
  BANTAM_TRY(need("layers", want.layers, config.layers, 1));
  const uint32_t group =
      config.heads / config.kv_heads;  // query heads that share a key and value head go together
  BANTAM_TRY(need("heads", want.heads, config.heads, group));
  if (want.heads * config.head_dim % kBlock != 0) {
    return fail(Code::kInvalidArgument, "prune.heads: {} heads of {} channels are not a multiple of {}",
                want.heads, config.head_dim, kBlock);
  }
  return {};
}

Activations nothing_seen(const model::Config& c) {
  Activations seen;
  for (size_t i = 0; i < c.layers; ++i) {
    seen.ffn.push_back(torch::zeros({c.ffn_dim}));
    seen.heads.push_back(torch::zeros({c.heads}));
    seen.layer_influence.push_back(0);
  }
  seen.channels = torch::zeros({c.dim});
  return seen;
}

/// Runs `batches` batches through the model; `at(i)` gives tokens and, for packed documents, their starts.
Result<Activations> observe(const Decoder& model, uint64_t batches,
                            const std::function<Result<std::pair<Tensor, Tensor>>(uint64_t)>& at,
                            const JobOptions& job) {
  Activations seen = nothing_seen(model.config());
  torch::NoGradGuard no_grad;
  for (uint64_t i = 0; i < batches; ++i) {
    if (job.cancel.stop_requested()) return fail(Code::kCancelled, "stopped while measuring activations");
    BANTAM_ASSIGN(const auto batch, at(i));
    model.forward(batch.first, {}, &seen, batch.second);
    if (job.progress) job.progress({"activations", i + 1, batches, ""});
  }
  return seen;
}

Result<Activations> observe_task(const LoadedModel& source, std::span<const formats::Example> examples,
                                 const JobOptions& job) {
  const model::Config& c = source.decoder.config();
  BANTAM_ASSIGN(PromptEncoder encoder, PromptEncoder::create(*source.bpe, source.task, c.context_length));
  OptimOptions order;
  order.epochs = 1;
  order.label_smoothing = 0;
  order.augment = {.lower = 0, .drop_word = 0, .swap_words = 0, .typo = 0, .bpe_dropout = 0};
  BANTAM_ASSIGN(LabelledRows rows, LabelledRows::create(encoder, examples, order));
  return observe(
      source.decoder, rows.steps(),
      [&](uint64_t step) -> Result<std::pair<Tensor, Tensor>> {
        BANTAM_ASSIGN(Batch batch,
                      rows.at({.step = step}, [&](size_t item, uint64_t) { return examples[item].text; }));
        return std::pair{batch.tokens, Tensor()};
      },
      job);
}

Decoder cut(const Decoder& source, const PruneOptions& want, const Activations& seen, PruneReport& report) {
  const model::Config& c = source.config();
  const int64_t d = c.head_dim, group = c.heads / c.kv_heads;
  Tensor influence = torch::tensor(seen.layer_influence, torch::kFloat64);
  const std::vector<int64_t> layers = highest(influence, want.layers);
  const Tensor dims = index_of(highest(seen.channels, want.dim));
  std::vector<std::pair<std::string, Tensor>> weights;
  weights.emplace_back("token_embd.weight",
                       source.weight("token_embd.weight").index_select(1, dims).contiguous());
  for (size_t to = 0; to < layers.size(); ++to) {
    const auto from = static_cast<size_t>(layers[to]);
    auto old = [&](std::string_view part) {
      return source.weight(fmt::format("blk.{}.{}.weight", from, part));
    };
    auto put = [&](std::string_view part, const Tensor& w) {
      weights.emplace_back(fmt::format("blk.{}.{}.weight", to, part), w.contiguous());
    };
    Tensor per_group = seen.heads[from].view({-1, group}).sum(-1);
    const std::vector<int64_t> groups = highest(per_group, want.heads / group);
    Tensor q_heads = head_channels(groups, group * d), kv_heads = head_channels(groups, d);
    // A channel matters by how strongly it fires and by how much of it the down projection lets through.
    Tensor channel = seen.ffn[from] * old("ffn_down").norm(2, 0);
    Tensor ffn = index_of(highest(channel, want.ffn_dim));
    put("attn_norm", old("attn_norm").index_select(0, dims));
    put("attn_q", old("attn_q").index_select(0, q_heads).index_select(1, dims));
    put("attn_k", old("attn_k").index_select(0, kv_heads).index_select(1, dims));
    put("attn_v", old("attn_v").index_select(0, kv_heads).index_select(1, dims));
    put("attn_output", old("attn_output").index_select(0, dims).index_select(1, q_heads));
    put("ffn_norm", old("ffn_norm").index_select(0, dims));
    put("ffn_gate", old("ffn_gate").index_select(0, ffn).index_select(1, dims));
    put("ffn_up", old("ffn_up").index_select(0, ffn).index_select(1, dims));
    put("ffn_down", old("ffn_down").index_select(0, dims).index_select(1, ffn));
    report.layers_kept.push_back(static_cast<uint32_t>(from));
    report.heads_kept.emplace_back(groups.begin(), groups.end());
  }
  weights.emplace_back("output_norm.weight",
                       source.weight("output_norm.weight").index_select(0, dims).contiguous());
  if (!c.tied_head)
    weights.emplace_back("output.weight", source.weight("output.weight").index_select(1, dims).contiguous());
  model::Config after = c;
  after.dim = want.dim;
  after.ffn_dim = want.ffn_dim;
  after.heads = want.heads;
  after.kv_heads = want.heads / static_cast<uint32_t>(group);
  after.layers = want.layers;
  report.before = c;
  report.after = after;
  return {after, std::move(weights)};
}

/// Zeros become the model's own sizes. Errors: kInvalidArgument naming the field.
Result<PruneOptions> complete(PruneOptions want, const model::Config& c) {
  if (want.dim == 0) want.dim = c.dim;
  if (want.ffn_dim == 0) want.ffn_dim = c.ffn_dim;
  if (want.heads == 0) want.heads = c.heads;
  if (want.layers == 0) want.layers = c.layers;
  BANTAM_TRY(check_request(c, want));
  return want;
}

}  // namespace

Result<PruneReport> prune(std::span<const formats::Example> examples, const std::string& path,
                          const PruneOptions& options, const JobOptions& job) {
  const double start = process_cpu_seconds();
  BANTAM_ASSIGN(LoadedModel source, load_model(path));
  BANTAM_ASSIGN(const PruneOptions want, complete(options, source.decoder.config()));
  BANTAM_ASSIGN(Activations seen, observe_task(source, examples, job));
  PruneReport report;
  Decoder pruned = cut(source.decoder, want, seen, report);
  BANTAM_TRY(write_model(pruned, *source.tokenizer, source.task, job.out));
  report.cpu_seconds = process_cpu_seconds() - start;
  return report;
}

Result<PruneReport> prune_language(const PretrainData& data, const std::string& path,
                                   const PruneOptions& options, uint32_t context, uint32_t rows,
                                   const JobOptions& job) {
  const double start = process_cpu_seconds();
  BANTAM_ASSIGN(LoadedLanguageModel source, load_language_model(path));
  const model::Config& c = source.decoder.config();
  BANTAM_ASSIGN(const PruneOptions want, complete(options, c));
  if (context < 1 || context > c.context_length || rows < 1)
    return fail(Code::kInvalidArgument,
                "prune: found {} rows of {} tokens, expected at least one of at most {}", rows, context,
                c.context_length);
  BANTAM_ASSIGN(auto store, TokenStore::make(data, *source.tokenizer, job));
  std::vector<double> weights;
  for (const auto& part : data.parts) weights.push_back(part.weight);
  Windows windows(store, weights, context, *source.tokenizer->bos(), 1);
  BANTAM_ASSIGN(Activations seen, observe(
                                      source.decoder, rows,
                                      [&](uint64_t i) -> Result<std::pair<Tensor, Tensor>> {
                                        const Rows row = rows_of(
                                            1, context, *source.tokenizer->bos(),
                                            [&](int64_t, std::span<int64_t> out) { windows.row(i, out); });
                                        return std::pair{row.inputs, row.starts};
                                      },
                                      job));
  PruneReport report;
  Decoder pruned = cut(source.decoder, want, seen, report);
  nlohmann::json provenance = {{"bantam", BANTAM_VERSION},
                               {"pruned_from", std::filesystem::path(path).filename().string()},
                               {"layers", report.layers_kept},
                               {"heads", report.heads_kept}};
  if (!source.provenance.empty())
    provenance["before"] = nlohmann::json::parse(source.provenance, nullptr, false);
  BANTAM_TRY(write_language_model(pruned, *source.tokenizer, source.chat_template, provenance, job.out));
  report.cpu_seconds = process_cpu_seconds() - start;
  return report;
}

}  // namespace bantam::train
