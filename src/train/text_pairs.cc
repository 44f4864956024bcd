#include "train/text_pairs.h"

#include <algorithm>

namespace bantam::train {
namespace {

using text::TokenId;

constexpr int kTries = 64;

std::vector<TokenId> copy(std::span<const uint16_t> tokens, size_t from, size_t to) {
  return {tokens.begin() + static_cast<std::ptrdiff_t>(from),
          tokens.begin() + static_cast<std::ptrdiff_t>(to)};
}

}  // namespace

void TextPairs::add(Pool& pool, uint32_t document, double weight) {
  pool.documents.push_back(document);
  pool.sums.push_back((pool.sums.empty() ? 0 : pool.sums.back()) + weight);
}

Result<TextPairs> TextPairs::create(const TokenStore& store, std::span<const double> weights,
                                    const text::Tokenizer& tokenizer, uint32_t max_tokens) {
  TextPairs out(store, max_tokens);
  for (size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string piece = tokenizer.piece(static_cast<TokenId>(id));
    const char last = piece.empty() ? 'x' : piece.back(), first = piece.empty() ? 'x' : piece.front();
    out.line_ends_.push_back(piece.find('\n') != std::string::npos);
    out.ends_.push_back(last == '.' || last == '?' || last == '!' || out.line_ends_.back());
    out.begins_.push_back(first == ' ' || first == '\n' || piece.empty());
  }
  out.held_.resize(weights.size());
  for (uint32_t i = 0; i < store.size(); ++i) {
    const auto document = store.document(i);
    if (document.tokens.size() < 8) continue;
    const double weight = weights[document.part] * static_cast<double>(document.tokens.size());
    if (weight > 0) add(document.held_back ? out.held_[document.part] : out.training_, i, weight);
  }
  Rng rng(1, 0x7061697273);
  TextPair pair;
  if (!out.draw_from(out.training_, rng, pair))
    return fail(Code::kInvalidArgument, "texts: found no two sentences in a row in what is to be trained on");
  return out;
}

/// Ends of sentences (one past) in a stretch of about 8 max_tokens around `at`, the document's border among
/// them.
std::vector<size_t> TextPairs::ends_around(std::span<const uint16_t> tokens, size_t at) const {
  const size_t reach = size_t{4} * max_tokens_;
  const size_t from = at > reach ? at - reach : 0, to = std::min(tokens.size(), at + reach);
  std::vector<size_t> out;
  if (from == 0) out.push_back(0);
  for (size_t i = from; i < to; ++i) {
    const bool border = i + 1 == tokens.size() || begins_[tokens[i + 1]] || line_ends_[tokens[i]];
    if (ends_[tokens[i]] && border) out.push_back(i + 1);
  }
  return out;
}

bool TextPairs::pair_in(std::span<const uint16_t> tokens, Rng& rng, TextPair& out) const {
  const std::vector<size_t> ends = ends_around(tokens, rng.below(tokens.size()));
  if (ends.size() < 3) return false;
  const size_t short_most = max_tokens_ / 2, least = 4;
  const double kind = rng.uniform();
  const size_t k = rng.below(ends.size() - 2);
  const size_t a = ends[k], b = ends[k + 1];
  // As many whole sentences as fit, or the beginning of one that does not.
  const auto passage_end = [&](size_t begin, size_t from) {
    size_t end = std::min(tokens.size(), begin + max_tokens_);
    for (size_t i = from; i < ends.size() && ends[i] <= begin + max_tokens_; ++i) end = ends[i];
    return end;
  };
  if (kind < 0.25) {  // the first line and a passage
    size_t line = 0;
    while (line < tokens.size() && line < short_most && !line_ends_[tokens[line]]) ++line;
    if (line < 2 || line >= short_most || a <= line) return false;
    out = {copy(tokens, 0, line), copy(tokens, a, passage_end(a, k + 1))};
  } else if (kind < 0.6) {  // a sentence and what stands around it
    if (b - a > short_most) return false;
    const size_t before = std::min<size_t>(a, rng.below(max_tokens_));
    std::vector<TokenId> around = copy(tokens, a - before, a);
    const size_t room = max_tokens_ - std::min<size_t>(max_tokens_, before);
    // Now and then the sentence stays: a search wants a text that holds its very words too.
    const size_t after = rng.chance(0.15) ? a : b;
    const std::vector<TokenId> rest = copy(tokens, after, std::min(tokens.size(), after + room));
    around.insert(around.end(), rest.begin(), rest.end());
    out = {copy(tokens, a, b), std::move(around)};
  } else {  // a sentence and the next ones
    if (b - a > short_most) return false;
    out = {copy(tokens, a, b), copy(tokens, b, passage_end(b, k + 2))};
  }
  return out.first.size() >= least && out.second.size() >= least;
}

bool TextPairs::draw_from(const Pool& pool, Rng& rng, TextPair& out) const {
  if (pool.documents.empty()) return false;
  for (int i = 0; i < kTries; ++i) {
    const double at = rng.uniform() * pool.sums.back();
    const auto found = static_cast<size_t>(std::ranges::upper_bound(pool.sums, at) - pool.sums.begin());
    const uint32_t document = pool.documents[std::min(found, pool.documents.size() - 1)];
    if (pair_in(store_->document(document).tokens, rng, out)) return true;
  }
  return false;
}

TextPair TextPairs::draw(Rng& rng) const {
  TextPair out;
  // create() has seen one drawn; where pairs are rare it takes more tries.
  while (!draw_from(training_, rng, out)) {
  }
  return out;
}

bool TextPairs::draw_held_back(uint32_t part, Rng& rng, TextPair& out) const {
  return draw_from(held_[part], rng, out);
}

}  // namespace bantam::train
