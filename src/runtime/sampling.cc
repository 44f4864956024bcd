#include "runtime/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>

#include "runtime/sampling_steps.h"

namespace bantam::runtime {
namespace {

TokenId largest(std::span<const Candidate> candidates) {
  return std::min_element(candidates.begin(), candidates.end(), likelier)->second;
}

bool allowed(std::span<const uint64_t> mask, size_t token) {
  return mask.empty() || (token / 64 < mask.size() && (mask[token / 64] >> (token % 64) & 1) != 0);
}

struct Range {
  const char* name;
  double value, least, most;
};

Status check_ranges(const SamplingOptions& o) {
  constexpr double kHuge = 1e6;
  const Range ranges[] = {{"temperature", o.temperature, 0, 100},
                          {"dynatemp_range", o.dynatemp_range, 0, 100},
                          {"dynatemp_exponent", o.dynatemp_exponent, 0, 100},
                          {"min_p", o.min_p, 0, 1},
                          {"top_n_sigma", o.top_n_sigma, 0, kHuge},
                          {"xtc_probability", o.xtc_probability, 0, 1},
                          {"xtc_threshold", o.xtc_threshold, 0, 1},
                          {"frequency_penalty", o.frequency_penalty, -100, 100},
                          {"presence_penalty", o.presence_penalty, -100, 100},
                          {"repetition_penalty", o.repetition_penalty, 0.01, 100},
                          {"penalty_last_n", static_cast<double>(o.penalty_last_n), -1, kHuge},
                          {"dry_multiplier", o.dry_multiplier, 0, 100},
                          {"dry_base", o.dry_base, 1, 100},
                          {"dry_last_n", static_cast<double>(o.dry_last_n), -1, kHuge},
                          {"mirostat", static_cast<double>(o.mirostat), 0, 2},
                          {"mirostat_tau", o.mirostat_tau, 0, 100},
                          {"mirostat_eta", o.mirostat_eta, 0, 1}};
  for (const Range& range : ranges) {
    if (!(range.value >= range.least && range.value <= range.most)) {
      return fail(Code::kInvalidArgument, "{}: found {}, expected {} to {}", range.name, range.value,
                  range.least, range.most);
    }
  }
  for (const auto& [name, value] : {std::pair{"top_p", o.top_p}, std::pair{"typical_p", o.typical_p}}) {
    if (!(value > 0 && value <= 1)) {
      return fail(Code::kInvalidArgument, "{}: found {}, expected above 0, at most 1", name, value);
    }
  }
  return {};
}

}  // namespace

namespace {

/// The id of the largest logit that is a number, the smallest of equals; none where no allowed one is.
/// Without a list of candidates: in a small model's step that list would be a tenth of the time.
std::optional<TokenId> likeliest(std::span<const float> logits, std::span<const uint64_t> mask) {
  constexpr size_t kAtOnce = 8;
  float most[kAtOnce];
  std::fill_n(most, kAtOnce, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  if (mask.empty()) {
    for (; i + kAtOnce <= logits.size(); i += kAtOnce) {
      for (size_t k = 0; k < kAtOnce; ++k) most[k] = logits[i + k] > most[k] ? logits[i + k] : most[k];
    }
  }
  for (; i < logits.size(); ++i) {
    if (allowed(mask, i) && logits[i] > most[0]) most[0] = logits[i];
  }
  const float largest = *std::max_element(most, most + kAtOnce);
  if (std::isinf(largest) && largest < 0) return std::nullopt;
  for (i = 0; i < logits.size(); ++i) {
    if (logits[i] == largest && allowed(mask, i)) return static_cast<TokenId>(i);
  }
  return std::nullopt;
}

}  // namespace

Status check(const SamplingOptions& o) {
  BANTAM_TRY(check_ranges(o));
  if (o.mirostat != 0 && (o.top_k != 0 || o.top_p < 1 || o.min_p > 0 || o.typical_p < 1 ||
                          o.top_n_sigma > 0 || o.xtc_probability > 0)) {
    return fail(
        Code::kInvalidArgument,
        "mirostat: found {} together with top_k, top_p, min_p, typical_p, top_n_sigma or xtc_probability, "
        "whose place it takes",
        o.mirostat);
  }
  for (const auto& [token, bias] : o.logit_bias) {
    if (token < 0 || std::isnan(bias)) {
      return fail(Code::kInvalidArgument, "logit_bias: found {} for token {}, expected a number for a token",
                  bias, token);
    }
  }
  constexpr size_t kLongestBreaker = 256;
  for (const auto& breaker : o.dry_breakers) {
    if (breaker.empty() || breaker.size() > kLongestBreaker) {
      return fail(Code::kInvalidArgument, "dry_breakers: found one of {} bytes, expected 1 to {}",
                  breaker.size(), kLongestBreaker);
    }
  }
  return {};
}

TokenLogprobs logprobs_of(std::span<const float> logits, TokenId token, size_t top) {
  float most = -std::numeric_limits<float>::infinity();
  for (float logit : logits) most = std::max(most, logit);
  double total = 0;
  for (float logit : logits) total += std::exp(double{logit} - most);
  const double denominator = most + std::log(total);
  TokenLogprobs out;
  out.token = token;
  out.logprob = logits[static_cast<size_t>(token)] - denominator;
  top = std::min(top, logits.size());
  if (top == 0) return out;
  std::vector<Candidate> best;  // a heap whose front is the least likely of the best so far
  for (size_t i = 0; i < logits.size(); ++i) {
    const Candidate candidate(logits[i], static_cast<TokenId>(i));
    if (best.size() == top && !likelier(candidate, best.front())) continue;
    if (best.size() == top) {
      std::pop_heap(best.begin(), best.end(), likelier);
      best.pop_back();
    }
    best.push_back(candidate);
    std::push_heap(best.begin(), best.end(), likelier);
  }
  std::sort_heap(best.begin(), best.end(), likelier);
  for (const auto& [logit, id] : best) out.top.emplace_back(id, logit - denominator);
  return out;
}

Sampler::Sampler(SamplingOptions options, const text::Tokenizer* tokenizer)
    : options_(std::move(options)),
      tokenizer_(tokenizer),
      rng_(options_.seed),
      mu_(2.0 * options_.mirostat_tau) {
  const bool penalises =
      options_.penalty_last_n != 0 &&
      (options_.repetition_penalty != 1 || options_.frequency_penalty != 0 || options_.presence_penalty != 0);
  remembers_ = penalises || (options_.dry_multiplier > 0 && options_.dry_last_n != 0);
}

void Sampler::accept(TokenId token) {
  if (options_.mirostat != 0 && options_.temperature > 0 && chose_) {
    for (const auto& [p, id] : candidates_) {
      if (id == token && p > 0)
        mu_ -= options_.mirostat_eta * (-std::log2(double{p}) - options_.mirostat_tau);
    }
  }
  chose_ = false;
  if (!remembers_) return;
  history_.push_back(token);
  ++unbroken_;
  if (tokenizer_ == nullptr || options_.dry_multiplier == 0) return;
  const size_t before = tail_.size();
  tail_ += tokenizer_->piece(token, true);
  size_t longest = 1;
  for (const auto& breaker : options_.dry_breakers) {
    longest = std::max(longest, breaker.size());
    const size_t at = tail_.rfind(breaker);  // one that ends inside this token
    if (at != std::string::npos && at + breaker.size() > before) unbroken_ = 0;
  }
  if (tail_.size() >= longest) tail_.erase(0, tail_.size() - longest + 1);
}

float* Sampler::find(TokenId token) {
  if (static_cast<size_t>(token) < candidates_.size() &&
      candidates_[static_cast<size_t>(token)].second == token) {
    return &candidates_[static_cast<size_t>(token)].first;  // nothing masked
  }
  const auto at = std::lower_bound(candidates_.begin(), candidates_.end(), token,
                                   [](const Candidate& c, TokenId id) { return c.second < id; });
  return at != candidates_.end() && at->second == token ? &at->first : nullptr;
}

void Sampler::gather(std::span<const float> logits, std::span<const uint64_t> mask) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (allowed(mask, i)) candidates_.emplace_back(logits[i], static_cast<TokenId>(i));
  }
  for (const auto& [token, bias] : options_.logit_bias) {
    if (float* logit = find(token)) *logit += bias;
  }
}

void Sampler::penalise() {
  const auto& o = options_;
  if (o.penalty_last_n == 0 ||
      (o.repetition_penalty == 1 && o.frequency_penalty == 0 && o.presence_penalty == 0)) {
    return;
  }
  const size_t n = o.penalty_last_n < 0 ? history_.size()
                                        : std::min(history_.size(), static_cast<size_t>(o.penalty_last_n));
  std::unordered_map<TokenId, int> counts;
  for (size_t i = history_.size() - n; i < history_.size(); ++i) ++counts[history_[i]];
  for (const auto& [token, count] : counts) {
    float* logit = find(token);
    if (logit == nullptr) continue;
    *logit = *logit <= 0 ? *logit * o.repetition_penalty : *logit / o.repetition_penalty;
    *logit -= static_cast<float>(count) * o.frequency_penalty + o.presence_penalty;
  }
}

void Sampler::penalise_repetitions() {
  const auto& o = options_;
  if (o.dry_multiplier == 0 || o.dry_last_n == 0) return;
  const size_t n =
      o.dry_last_n < 0 ? history_.size() : std::min(history_.size(), static_cast<size_t>(o.dry_last_n));
  const auto lengths = repetition_lengths(std::span(history_).last(n), unbroken_);
  for (const auto& [token, length] : lengths) {
    if (length < o.dry_allowed_length) continue;
    constexpr double kMost = 1e30;  // a penalty stays a number however long the repetition is
    const double penalty =
        o.dry_multiplier * std::pow(double{o.dry_base}, double(length - o.dry_allowed_length));
    if (float* logit = find(token)) *logit -= static_cast<float>(std::min(penalty, kMost));
  }
}

void Sampler::truncate() {
  const auto& o = options_;
  if (o.top_n_sigma > 0) keep_top_n_sigma(candidates_, o.top_n_sigma);
  if (o.top_k > 0) keep_top_k(candidates_, o.top_k);
  if (o.typical_p < 1) keep_typical(candidates_, o.typical_p);
  if (o.top_p < 1) keep_top_p(candidates_, o.top_p);
  if (o.min_p > 0) keep_min_p(candidates_, o.min_p);
  if (o.xtc_probability > 0 && o.xtc_threshold <= 0.5F && rng_.uniform() < o.xtc_probability) {
    exclude_top_choices_above(candidates_, o.xtc_threshold);
  }
}

double Sampler::temperature() const {
  const double range = options_.dynatemp_range, base = options_.temperature;
  if (range <= 0 || candidates_.size() < 2) return base;
  const double share = entropy(candidates_) / std::log(static_cast<double>(candidates_.size()));
  const double least = std::max(0.0, base - range), most = base + range;
  return least + (most - least) * std::pow(share, double{options_.dynatemp_exponent});
}

std::span<const Candidate> Sampler::distribution(std::span<const float> logits,
                                                 std::span<const uint64_t> mask) {
  const auto only = [&](TokenId token) {
    candidates_.assign(1, {1.0F, token});
    return std::span<const Candidate>(candidates_);
  };
  if (options_.temperature == 0 && options_.logit_bias.empty() && !remembers_) {
    if (const auto best = likeliest(logits, mask)) return only(*best);
  }
  gather(logits, mask);
  penalise();
  penalise_repetitions();
  chose_ = true;
  const TokenId best = largest(candidates_);
  if (options_.temperature == 0 || options_.top_k == 1) return only(best);
  if (options_.mirostat == 0) truncate();
  if (candidates_.empty() || std::ranges::all_of(candidates_, [](auto& c) { return std::isnan(c.first); })) {
    return only(best);
  }
  const double t = temperature();
  if (t <= 0) return only(largest(candidates_));
  to_probabilities(candidates_, t);
  if (options_.mirostat == 1) keep_surprise_v1(candidates_, mu_, logits.size());
  if (options_.mirostat == 2) keep_surprise_v2(candidates_, mu_);
  return candidates_;
}

TokenId Sampler::draw() {
  if (candidates_.size() == 1) return candidates_.front().second;
  double total = 0;
  for (const auto& [p, id] : candidates_) total += p;
  double left = rng_.uniform() * total;
  for (const auto& [p, id] : candidates_) {
    left -= p;
    if (left < 0) return id;
  }
  return candidates_.back().second;  // rounding only
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const uint64_t> mask) {
  distribution(logits, mask);
  return draw();
}

}  // namespace bantam::runtime
