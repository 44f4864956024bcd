#pragma once
// The steps of Sampler as functions on candidates. Internal to runtime.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/sampling.h"

namespace bantam::runtime {

/// Larger logits first, then smaller ids; anything before NaN, so that the order is total.
bool likelier(const Candidate& a, const Candidate& b);

/// Each of these takes logits in any order and keeps at least one candidate.
/// The k likeliest.
void keep_top_k(std::vector<Candidate>& candidates, size_t k);
/// The smallest set of likeliest candidates whose probability reaches p (Holtzman et al. 2020).
void keep_top_p(std::vector<Candidate>& candidates, double p);
/// Those of probability at least `share` of the largest (Nguyen et al. 2024).
void keep_min_p(std::vector<Candidate>& candidates, double share);
/// The smallest set that exceeds probability p of those whose surprise is nearest the entropy (Meister et al.
/// 2023).
void keep_typical(std::vector<Candidate>& candidates, double p);
/// Logits of at least the largest minus n deviations of them all (Tang et al. 2024).
void keep_top_n_sigma(std::vector<Candidate>& candidates, double n);
/// Removes all candidates of probability at least `threshold` but the least likely of them.
void exclude_top_choices_above(std::vector<Candidate>& candidates, double threshold);

/// Of the softmax of the logits, in nats.
double entropy(std::span<const Candidate> candidates);
/// softmax(logits / temperature) in place.
void to_probabilities(std::vector<Candidate>& candidates, double temperature);

/// Mirostat on probabilities; `mu` is the bound on surprise in bits. Version 1 finds the k whose surprise
/// that is under Zipf's law, with an exponent estimated from the 100 likeliest; version 2 drops what
/// surprises more.
void keep_surprise_v1(std::vector<Candidate>& probabilities, double mu, size_t vocabulary);
void keep_surprise_v2(std::vector<Candidate>& probabilities, double mu);

/// For each token that followed an earlier occurrence of the end of `tokens`: the longest such end, at most
/// `limit` tokens long.
std::unordered_map<TokenId, size_t> repetition_lengths(std::span<const TokenId> tokens, size_t limit);

}  // namespace bantam::runtime
