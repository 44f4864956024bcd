// Scores of choices by their tokens, each shared prefix evaluated once.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/session.h"

namespace bantam::runtime {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const float most = *std::ranges::max_element(logits);
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

/// The path from the prompt's end to where the cache stands: the tokens taken in, and for each point on it
/// (the prompt's end first) the hidden state and the logarithm of the softmax's denominator.
class Path {
 public:
  Path(Session::State& state) : state_(state), dim_(state.engine->config.dim), base_(state.past.size()) {
    hidden_.assign(state.hidden.begin(), state.hidden.end());
    denominators_.push_back(0);  // common to all choices
  }

  /// Goes to `tokens` from where it shares a prefix with them. False: cancelled.
  bool go(std::span<const TokenId> tokens, const std::stop_token& cancel) {
    const auto& past = state_.past;
    const auto differs = std::mismatch(past.begin() + static_cast<std::ptrdiff_t>(base_), past.end(),
                                       tokens.begin(), tokens.end());
    size_t depth = static_cast<size_t>(differs.second - tokens.begin());
    while (true) {
      state_.rewind(base_ + depth);
      hidden_.resize((depth + 1) * dim_);
      denominators_.resize(depth + 1);
      if (depth == tokens.size()) return true;
      if (cancel.stop_requested()) return false;
      const size_t n = std::min<size_t>(tokens.size() - depth, state_.workspace->batch());
      hidden_.resize((depth + 1 + n) * dim_);
      state_.feed(tokens.subspan(depth, n), true, hidden_.data() + (depth + 1) * dim_);
      for (size_t i = 0; i < n; ++i) {
        state_.logits(hidden_.data() + (depth + 1 + i) * dim_, 1, {}, state_.vocabulary.data());
        denominators_.push_back(log_sum_exp(state_.vocabulary));
      }
      depth += n;
    }
  }

  /// log p(token | the first `depth` tokens of the path), without the denominator at depth 0.
  double log_probability(size_t depth, TokenId token) const {
    float logit = 0;
    state_.logits(hidden_.data() + depth * dim_, 1, {&token, 1}, &logit);
    return logit - denominators_[depth];
  }

 private:
  Session::State& state_;
  size_t dim_, base_;
  std::vector<float> hidden_;
  std::vector<double> denominators_;
};

std::vector<double> single_token_scores(Session::State& state,
                                        std::span<const std::vector<TokenId>> choices) {
  std::vector<TokenId> rows(choices.size());
  std::ranges::transform(choices, rows.begin(), [](const auto& choice) { return choice.front(); });
  std::vector<float> logits(rows.size());
  state.logits(state.hidden.data(), 1, rows, logits.data());
  return {logits.begin(), logits.end()};
}

bool starts_with(const std::vector<TokenId>& longer, const std::vector<TokenId>& prefix) {
  return longer.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), longer.begin());
}

}  // namespace

Result<std::vector<double>> score_choices(Session::State& state,
                                          std::span<const std::vector<TokenId>> choices,
                                          const std::stop_token& cancel) {
  if (std::ranges::all_of(choices, [](const auto& choice) { return choice.size() == 1; })) {
    return single_token_scores(state, choices);
  }
  state.vocabulary.resize(state.engine->config.vocab_size);
  // In the order of a dictionary a choice follows those it shares a prefix with, and its own prefixes.
  std::vector<size_t> order(choices.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) { return choices[a] < choices[b]; });
  std::vector<double> scores(choices.size());
  Path path(state);
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto& choice = choices[order[i]];
    tokens = choice;
    size_t next = i + 1;
    while (next < order.size() && choices[order[next]] == choice) ++next;
    if (next < order.size() && starts_with(choices[order[next]], choice)) {
      const auto end = state.engine->tokenizer->eos();
      if (!end)
        return fail(Code::kInvalidArgument,
                    "choices: one begins another, and the vocabulary has no end token");
      tokens.push_back(*end);
    }
    if (!path.go(std::span<const TokenId>(tokens).first(tokens.size() - 1), cancel)) {
      return fail(Code::kCancelled, "cancelled while choices were scored");
    }
    double& score = scores[order[i]];
    for (size_t depth = 0; depth < tokens.size(); ++depth)
      score += path.log_probability(depth, tokens[depth]);
  }
  return scores;
}

}  // namespace bantam::runtime
