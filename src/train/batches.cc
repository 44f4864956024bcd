#include "train/batches.h"

#include <algorithm>
#include <numeric>

namespace bantam::train {

Result<PromptEncoder> PromptEncoder::create(const text::BpeTokenizer& tokenizer, const model::Task& task,
                                            size_t context) {
  BANTAM_ASSIGN(auto prompt, model::TaskPrompt::create(task, tokenizer));
  BANTAM_ASSIGN(auto choices, model::encode_choices(task, tokenizer));
  std::vector<int64_t> ids;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].size() != 1) {
      return fail(Code::kUnsupported,
                  "label '{}' is {} tokens of the vocabulary; training needs one token per label",
                  task.choices[i], choices[i].size());
    }
    ids.push_back(choices[i].front());
  }
  return PromptEncoder(tokenizer, std::move(prompt), context, torch::tensor(ids, torch::kInt64));
}

Result<std::vector<text::TokenId>> PromptEncoder::encode(std::string_view text, double bpe_dropout,
                                                         Rng& rng) const {
  BANTAM_ASSIGN(auto out, tokenizer_->encode_with_dropout(prompt_.segments(text), bpe_dropout, rng));
  if (prompt_.bos()) out.insert(out.begin(), *prompt_.bos());
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
