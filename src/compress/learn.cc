#include "compress/learn.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "base/statistics.h"

namespace bantam::compress {
namespace {

constexpr size_t kLeastMeasured = 50;

struct Part {
  std::vector<Signals> signals;
  std::vector<uint8_t> right;
  std::vector<double> before;

  void add(const MeasuredAnswer& answer) {
    signals.push_back(answer.signals);
    right.push_back(answer.right);
    before.push_back(answer.before);
  }
  std::vector<double> read(const Combination& combination) const {
    std::vector<double> out;
    for (const Signals& s : signals) out.push_back(combination(s));
    return out;
  }
  std::vector<Judged> judged(const std::vector<double>& confidence) const {
    std::vector<Judged> out;
    for (size_t i = 0; i < right.size(); ++i) out.push_back({confidence[i], right[i] == 0});
    return out;
  }
};

Status divide_answers(std::span<const MeasuredAnswer> answers, const LearnOptions& options, Part& fit,
                      Part& rest) {
  if (!(options.fit_share > 0 && options.fit_share < 1)) {
    return fail(Code::kInvalidArgument, "confidence: fit_share is {}, expected above 0 and below 1",
                options.fit_share);
  }
  const auto fitted = static_cast<size_t>(options.fit_share * static_cast<double>(answers.size()));
  size_t least = kLeastMeasured;
  if (options.error > 0 && options.error < 1 && options.confidence < 1)
    least = std::max<size_t>(least, fewest_to_certify({options.error, options.confidence}));
  if (fitted < kLeastMeasured || answers.size() - fitted < least) {
    return fail(Code::kInvalidArgument, "confidence: needs at least {:.0f} examples, found {}",
                std::ceil(std::max(static_cast<double>(kLeastMeasured) / options.fit_share,
                                   static_cast<double>(least) / (1 - options.fit_share))),
                answers.size());
  }
  std::vector<size_t> order(answers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng(options.seed).shuffle(order);
  for (size_t i = 0; i < order.size(); ++i) (i < fitted ? fit : rest).add(answers[order[i]]);
  return {};
}

/// What a signal says by itself, as a confidence in [0, 1]; none for one that says nothing so.
std::optional<double> reading(size_t signal, double value) {
  const std::string_view name = kSignalNames[signal];
  if (name == "tokens") return std::nullopt;
  if (name == "entropy") value = 1 - value;
  if (name.ends_with("logprob")) value = std::exp(value);
  return std::clamp(value, 0.0, 1.0);
}

SignalReport row(std::string name, std::span<const double> values, std::span<const uint8_t> right) {
  return {std::move(name), auroc(values, right), expected_calibration_error(values, right), 0};
}

std::vector<SignalReport> compare(const Part& rest, const std::vector<double>& learned) {
  std::vector<SignalReport> out{row("before", rest.before, rest.right)};
  for (size_t s = 0; s < kSignals; ++s) {
    std::vector<double> values;
    for (const Signals& signals : rest.signals) {
      const double value = as_array(signals)[s];
      const auto read = std::isnan(value) ? std::nullopt : reading(s, value);
      if (!read) break;  // of some it is not known
      values.push_back(*read);
    }
    if (values.size() == rest.right.size())
      out.push_back(row(std::string(kSignalNames[s]), values, rest.right));
  }
  out.push_back(row("learned", learned, rest.right));
  return out;
}

}  // namespace

Result<LearnReport> learn_confidence(std::span<const MeasuredAnswer> answers, const LearnOptions& options) {
  Part fit, rest;
  BANTAM_TRY(divide_answers(answers, options, fit, rest));
  BANTAM_ASSIGN(const Combination fitted, Combination::fit(fit.signals, fit.right));
  LearnReport out;
  // As a file holds them, so that what is tested is what will be used.
  for (double weight : fitted.weights())
    out.learned.weights.push_back(static_cast<double>(static_cast<float>(weight)));
  BANTAM_ASSIGN(const Combination combination, Combination::from(out.learned.weights));
  const std::vector<double> learned = rest.read(combination);
  out.learned.fitted = fit.right.size();
  out.learned.tested = rest.right.size();
  out.learned.ece_before = expected_calibration_error(rest.before, rest.right);
  out.learned.ece_after = expected_calibration_error(learned, rest.right);
  out.right = static_cast<double>(std::ranges::count(rest.right, uint8_t{1})) /
              static_cast<double>(rest.right.size());
  out.signals = compare(rest, learned);
  if (options.error != 0) {
    const auto own = fit.judged(fit.read(combination)), others = rest.judged(learned);
    BANTAM_ASSIGN(out.learned.certificate, certify(own, others, {options.error, options.confidence}));
    out.learned.certificate->reference = options.reference;
  }
  return out;
}

}  // namespace bantam::compress
