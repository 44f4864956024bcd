#include "train/batches.h"

#include <algorithm>
#include <numeric>

namespace bantam::train {
namespace {

/// Splits "<|a|>text {input} tail<|b|>" at control tokens: leading and trailing control tokens, and the plain
/// text between.
struct PromptParts {
  std::vector<text::TokenId> control;
  std::string plain;
};

Result<PromptParts> control_prefix(std::string_view part, const text::Tokenizer& tokenizer) {
  PromptParts out;
  while (part.starts_with("<|")) {
    const size_t end = part.find("|>");
    if (end == std::string_view::npos) break;
    auto id = tokenizer.find(part.substr(0, end + 2));
    if (!id)
      return fail(Code::kInvalidArgument, "prompt: {} is not a token of the vocabulary",
                  part.substr(0, end + 2));
    out.control.push_back(*id);
    part.remove_prefix(end + 2);
  }
  out.plain = part;
  return out;
}

}  // namespace

Result<PromptEncoder> PromptEncoder::create(const text::BpeTokenizer& tokenizer, const model::Task& task,
                                            size_t context) {
  PromptEncoder out;
  out.tokenizer_ = &tokenizer;
  out.context_ = context;
  const size_t at = task.prompt.find("{input}");
  if (at == std::string::npos)
    return fail(Code::kInvalidArgument, "prompt: found '{}', expected '{{input}}' in it", task.prompt);
  BANTAM_ASSIGN(PromptParts head, control_prefix(std::string_view(task.prompt).substr(0, at), tokenizer));
  if (tokenizer.bos()) out.before_.push_back(*tokenizer.bos());
  out.before_.insert(out.before_.end(), head.control.begin(), head.control.end());
  out.lead_ = head.plain;
  std::string_view tail = std::string_view(task.prompt).substr(at + 7);
  const size_t control = tail.find("<|");
  out.tail_ = tail.substr(0, control);
  if (control != std::string_view::npos) {
    BANTAM_ASSIGN(PromptParts end, control_prefix(tail.substr(control), tokenizer));
    if (!end.plain.empty())
      return fail(Code::kUnsupported, "prompt: text after control tokens: '{}'", end.plain);
    out.after_ = end.control;
  }
  std::vector<int64_t> ids;
  for (const auto& choice : task.choices) {
    auto id = tokenizer.find(choice);
    if (!id)
      return fail(Code::kUnsupported,
                  "label '{}' is not one token of the vocabulary; training needs one token per label",
                  choice);
    ids.push_back(*id);
  }
  out.label_ids_ = torch::tensor(ids, torch::kInt64);
  return out;
}

Result<std::vector<text::TokenId>> PromptEncoder::encode(std::string_view text, double bpe_dropout,
                                                         Rng& rng) const {
  std::vector<text::TokenId> out = before_;
  const std::string whole = lead_ + std::string(text) + tail_;
  BANTAM_ASSIGN(auto body, bpe_dropout > 0
                               ? tokenizer_->encode_with_dropout(whole, bpe_dropout, rng)
                               : tokenizer_->encode(whole, {.add_special = false, .parse_special = false}));
  out.insert(out.end(), body.begin(), body.end());
  out.insert(out.end(), after_.begin(), after_.end());
  if (out.size() + 1 > context_) {
    return fail(Code::kLimit, "the prompt has {} tokens, the context holds {}", out.size() + 1, context_);
  }
  return out;
}

std::vector<std::vector<size_t>> epoch_order(std::span<const uint32_t> lengths, uint32_t batch, uint64_t seed,
                                             uint64_t epoch) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng rng(seed, 0x6f72646572, epoch);
  rng.shuffle(order);
  const size_t run = size_t{batch} * 32;
  for (size_t begin = 0; begin < order.size(); begin += run) {
    auto last = order.begin() + static_cast<ptrdiff_t>(std::min(begin + run, order.size()));
    std::stable_sort(order.begin() + static_cast<ptrdiff_t>(begin), last,
                     [&](size_t a, size_t b) { return lengths[a] < lengths[b]; });
  }
  std::vector<std::vector<size_t>> batches;
  for (size_t begin = 0; begin < order.size(); begin += batch) {
    const size_t end = std::min(begin + batch, order.size());
    batches.emplace_back(order.begin() + static_cast<ptrdiff_t>(begin),
                         order.begin() + static_cast<ptrdiff_t>(end));
  }
  rng.shuffle(batches);
  return batches;
}

Batch pad(const std::vector<std::vector<text::TokenId>>& rows, std::span<const int32_t> labels,
          std::vector<size_t> items) {
  size_t longest = 1;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  const auto count = static_cast<int64_t>(rows.size());
  Batch out;
  out.tokens = torch::zeros({count, static_cast<int64_t>(longest)}, torch::kInt64);
  out.answer = torch::empty({count}, torch::kInt64);
  out.labels = torch::empty({count}, torch::kInt64);
  auto* tokens = out.tokens.data_ptr<int64_t>();
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), tokens + i * longest);
    out.answer.data_ptr<int64_t>()[i] = static_cast<int64_t>(rows[i].size()) - 1;
    out.labels.data_ptr<int64_t>()[i] = labels[i];
    out.token_count += static_cast<int64_t>(rows[i].size());
  }
  out.items = std::move(items);
  return out;
}

}  // namespace bantam::train
