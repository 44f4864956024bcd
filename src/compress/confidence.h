#pragma once
// What is known about an answer before anybody has checked it, and one probability made of it.

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::compress {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Each is kUnknown where it was not measured.
struct Signals {
  double top = kUnknown;            // probability of the choice made
  double margin = kUnknown;         // that minus the second one's
  double entropy = kUnknown;        // of the choices, over the logarithm of their number: 0 to 1
  double mean_logprob = kUnknown;   // of the answer's tokens
  double least_logprob = kUnknown;  // of its least likely token
  double tokens = kUnknown;         // of the answer
  double agreement = kUnknown;      // share of further samples that say the same
  double self_check = kUnknown;     // probability the model gives to its answer being right, asked for it
};
inline constexpr size_t kSignals = 8;
inline constexpr std::array<std::string_view, kSignals> kSignalNames{
    "top", "margin", "entropy", "mean_logprob", "least_logprob", "tokens", "agreement", "self_check"};
std::array<double, kSignals> as_array(const Signals& signals);

/// Of softmax(scores / temperature); for a single choice the margin is 1 and the entropy 0.
Signals choice_signals(std::span<const double> scores, double temperature);
/// Of the log-probabilities of an answer's tokens; all unknown for none.
Signals sequence_signals(std::span<const double> logprobs);

/// A logistic regression on signals: P(right) = sigmoid(b + w . f), where f are the signals on a logarithmic
/// scale where that is theirs (log-odds of probabilities), standardised; an unknown signal counts as the mean
/// and sets an indicator of its own. Immutable.
class Combination {
 public:
  /// The weights that minimise the mean log loss plus l2 / (2 n) |w|^2, by Newton's method. Errors:
  /// kInvalidArgument for spans of different length, fewer than 20 examples, or outcomes that are all equal.
  static Result<Combination> fit(std::span<const Signals> signals, std::span<const uint8_t> right,
                                 double l2 = 1.0);
  /// The numbers that weights() gave. Errors: kCorrupt for another count or numbers that are not finite.
  static Result<Combination> from(std::span<const double> weights);

  /// In (0, 1).
  double operator()(const Signals& signals) const;
  std::vector<double> weights() const;

 private:
  static constexpr size_t kInputs = 2 * kSignals + 1;  // values, indicators, the constant
  std::array<double, kInputs> inputs(const Signals& signals) const;
  std::array<double, kSignals> mean_{}, scale_{};
  std::array<double, kInputs> weight_{};
};

/// A step function from stated to observed confidence that never falls: pool-adjacent-violators (Ayer et al.
/// 1955), linear between the middles of its blocks. Immutable.
class Isotonic {
 public:
  /// Errors: kInvalidArgument for spans of different length, none, or a confidence outside [0, 1].
  static Result<Isotonic> fit(std::span<const double> confidence, std::span<const uint8_t> right);
  double operator()(double confidence) const;
  size_t steps() const { return x_.size(); }

 private:
  std::vector<double> x_, y_;  // both ascending
};

/// The area under the ROC curve: the probability that a right answer is stated surer than a wrong one, ties
/// counted half. 1/2 where all are equal.
double auroc(std::span<const double> confidence, std::span<const uint8_t> right);

}  // namespace bantam::compress
