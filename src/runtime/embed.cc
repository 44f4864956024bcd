// Sentence vectors: hidden states of a text pooled into one vector of length 1.

#include <algorithm>
#include <cmath>

#include "runtime/session.h"

namespace bantam::runtime {

Result<Pooling> read_pooling(const formats::GgufFile& file, std::string_view architecture) {
  const std::string key = fmt::format("{}.pooling_type", architecture);
  BANTAM_ASSIGN(uint64_t type, file.get_uint_or(key, 0));
  switch (type) {
    case 0:  // none: a decoder that was not made for it
    case 1:
      return Pooling::kMean;
    case 2:
      return Pooling::kFirst;
    case 3:
      return Pooling::kLast;
    default:
      return fail(Code::kUnsupported, "{}: {}: found {}, expected 0 to 3 (none, mean, first, last)",
                  file.path(), key, type);
  }
}

void Pooled::add(const float* hidden, size_t n, size_t position, Pooling pooling) {
  for (size_t t = 0; t < n; ++t) {
    const float* row = hidden + t * sum_.size();
    if (pooling == Pooling::kFirst && position + t > 0) return;
    if (pooling == Pooling::kLast) std::ranges::fill(sum_, 0.0);
    for (size_t c = 0; c < sum_.size(); ++c) sum_[c] += row[c];
  }
}

Result<std::vector<float>> Pooled::vector() const {
  double squares = 0;
  for (double x : sum_) squares += x * x;
  if (!(squares > 0 && std::isfinite(squares))) {
    return fail(Code::kCorrupt, "the weights give hidden states without a direction (norm {})",
                std::sqrt(squares));
  }
  std::vector<float> out(sum_.size());
  const double scale = 1 / std::sqrt(squares);
  std::ranges::transform(sum_, out.begin(), [scale](double x) { return static_cast<float>(x * scale); });
  return out;
}

Result<std::vector<float>> Session::embed(std::span<const TokenId> tokens, std::stop_token cancel) {
  auto& state = *state_;
  BANTAM_TRY(state.check_tokens(tokens, 0));
  state.rewind(0);
  const size_t dim = state.engine->config.dim, batch = state.workspace->batch();
  if (state.engine->encoder) {
    if (cancel.stop_requested()) return fail(Code::kCancelled, "cancelled before the text was read");
    std::vector<float> all(tokens.size() * dim);
    state.engine->encoder->forward(tokens, state.cache, *state.workspace, all.data());
    Pooled pooled(dim);
    pooled.add(all.data(), tokens.size(), 0, state.engine->pooling);
    auto out = pooled.vector();
    if (!out) return std::unexpected(std::move(out).error().in(state.engine->file.path()));
    return out;
  }
  std::vector<float> hidden(std::min(batch, tokens.size()) * dim);
  Pooled pooled(dim);
  for (size_t begin = 0; begin < tokens.size(); begin += batch) {
    if (cancel.stop_requested()) return fail(Code::kCancelled, "cancelled while the text was read");
    const size_t n = std::min(batch, tokens.size() - begin);
    state.feed(tokens.subspan(begin, n), true, hidden.data());
    pooled.add(hidden.data(), n, begin, state.engine->pooling);
  }
  auto out = pooled.vector();
  if (!out) return std::unexpected(std::move(out).error().in(state.engine->file.path()));
  return out;
}

}  // namespace bantam::runtime
