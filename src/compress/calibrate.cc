#include "compress/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/rng.h"
#include "base/statistics.h"
#include "compress/confidence.h"

namespace bantam::compress {
namespace {

// Of the probability of missing the target, the share spent on the LLM's accuracy; the margin hardly depends
// on it, so it may be small.
constexpr double kAccuracyShare = 0.1;
constexpr size_t kLeastScored = 100;
constexpr double kLogLowest = -2.995732273553991, kLogHighest = 2.995732273553991;  // log 0.05, log 20

Status check_examples(std::span<const ScoredExample> examples) {
  if (examples.empty()) return fail(Code::kInvalidArgument, "calibration: found no examples");
  const size_t labels = examples[0].scores.size();
  for (size_t i = 0; i < examples.size(); ++i) {
    const auto& example = examples[i];
    if (example.scores.empty() || example.scores.size() != labels) {
      return fail(Code::kInvalidArgument, "calibration: example {} has {} scores, expected {}", i,
                  example.scores.size(), std::max<size_t>(labels, 1));
    }
    if (example.gold < 0 || static_cast<size_t>(example.gold) >= labels) {
      return fail(Code::kInvalidArgument, "calibration: example {} has label {}, expected 0 to {}", i,
                  example.gold, labels - 1);
    }
    for (double score : example.scores) {
      if (!std::isfinite(score)) {
        return fail(Code::kInvalidArgument,
                    "calibration: example {} has a score of {}, expected a finite number", i, score);
      }
    }
  }
  return {};
}

/// -log softmax(scores / temperature)[gold].
double loss(const ScoredExample& example, double temperature) {
  const double top = *std::max_element(example.scores.begin(), example.scores.end());
  double sum = 0;
  for (double score : example.scores) sum += std::exp((score - top) / temperature);
  return std::log(sum) - (example.scores[static_cast<size_t>(example.gold)] - top) / temperature;
}

double mean_loss(std::span<const ScoredExample> examples, double temperature) {
  double sum = 0;
  for (const auto& example : examples) sum += loss(example, temperature);
  return sum / static_cast<double>(examples.size());
}

std::vector<double> make_grid() {
  constexpr double kStrictest = 9.21, kLoosest = -4.6, kStep = 0.2;  // log-odds of 0.9999 and 0.01
  std::vector<double> grid{1.0};
  for (int i = 0; kStrictest - kStep * i > kLoosest; ++i) {
    grid.push_back(1 / (1 + std::exp(-(kStrictest - kStep * i))));
  }
  grid.push_back(0.0);
  return grid;
}

/// The fewest examples at which a threshold without any discordant pair passes.
uint64_t fewest(double margin, double level) {
  return static_cast<uint64_t>(std::ceil(std::log(level - kNuisanceError) / std::log1p(-margin)));
}

Status check_answers(std::span<const PairedAnswer> answers, double target, double miss) {
  if (!(target > 0) || !(target < 1)) {
    return fail(Code::kInvalidArgument,
                "calibration: target is {}, expected a share of the LLM's accuracy above 0 and below 1 (1 "
                "itself cannot be shown "
                "with any number of examples)",
                target);
  }
  // Below 0.2 % most of it would go to the test's own reserve.
  if (!(miss >= 0.002) || !(miss < 1)) {
    return fail(
        Code::kInvalidArgument,
        "calibration: the probability of missing the target is {}, expected 0.002 to 1 (confidence: 1 less "
        "that)",
        miss);
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!(answers[i].confidence >= 0 && answers[i].confidence <= 1)) {
      return fail(Code::kInvalidArgument, "calibration: example {} has confidence {}, expected 0 to 1", i,
                  answers[i].confidence);
    }
  }
  return {};
}

/// What happens to the team on `answers` at one threshold, before the test.
Threshold count_at(std::span<const PairedAnswer> answers, double threshold) {
  Threshold row{.threshold = threshold, .examples = answers.size()};
  uint64_t kept = 0;
  for (const auto& answer : answers) {
    if (answer.confidence < threshold) continue;
    ++kept;
    row.losses += answer.llm_right && !answer.slm_right;
    row.gains += answer.slm_right && !answer.llm_right;
  }
  row.local_share = static_cast<double>(kept) / static_cast<double>(answers.size());
  return row;
}

struct Parts {
  std::vector<ScoredExample> fit, rest;
};

Result<Parts> divide_examples(std::span<const ScoredExample> examples, const CalibrateOptions& options) {
  const double share = options.temperature_share;
  if (!(share > 0) || !(share < 1)) {
    return fail(Code::kInvalidArgument, "calibration: temperature_share is {}, expected above 0 and below 1",
                share);
  }
  const auto fitted = static_cast<size_t>(std::llround(share * static_cast<double>(examples.size())));
  size_t least = kLeastScored;
  if (options.error != 0 && options.error < 1 && options.confidence < 1) {
    least = std::max<size_t>(least, fewest_to_certify({options.error, options.confidence}));
  }
  if (fitted < kLeastScored || examples.size() - fitted < least) {
    return fail(Code::kInvalidArgument, "calibration: needs at least {:.0f} examples, found {}",
                std::ceil(std::max(static_cast<double>(kLeastScored) / share,
                                   static_cast<double>(least) / (1 - share))),
                examples.size());
  }
  std::vector<size_t> order(examples.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng(options.seed).shuffle(order);
  Parts parts;
  for (size_t i = 0; i < order.size(); ++i)
    (i < fitted ? parts.fit : parts.rest).push_back(examples[order[i]]);
  return parts;
}

/// The SLM's answers at one temperature.
struct Judgement {
  std::vector<double> confidence;
  std::vector<uint8_t> right;
  std::vector<PairedAnswer> paired;
  std::vector<Signals> signals;

  std::vector<Judged> judged() const {
    std::vector<Judged> out;
    for (size_t i = 0; i < right.size(); ++i) out.push_back({confidence[i], right[i] == 0});
    return out;
  }
};

Judgement judge(std::span<const ScoredExample> examples, double temperature) {
  Judgement out;
  for (const auto& example : examples) {
    const Answer answer = tempered_answer(example.scores, temperature);
    const bool right = answer.label == example.gold;
    out.confidence.push_back(answer.confidence);
    out.right.push_back(right);
    out.paired.push_back({answer.confidence, right, example.llm_label == example.gold});
    out.signals.push_back(choice_signals(example.scores, temperature));
  }
  return out;
}

/// Each reading, and what an isotonic map learned on `fit` makes of it on `rest`.
std::vector<SignalReport> compare_signals(const Judgement& fit, const Judgement& rest) {
  const auto combination = Combination::fit(fit.signals, fit.right);
  if (!combination) return {};
  using Reading = std::function<double(const Signals&)>;
  const std::pair<const char*, Reading> readings[] = {
      {"probability", [](const Signals& s) { return s.top; }},
      {"margin", [](const Signals& s) { return s.margin; }},
      {"entropy", [](const Signals& s) { return std::clamp(1 - s.entropy, 0.0, 1.0); }},
      {"combination", [&](const Signals& s) { return (*combination)(s); }}};
  std::vector<SignalReport> out;
  for (const auto& [name, reading] : readings) {
    const auto read = [&reading = reading](const std::vector<Signals>& signals) {
      std::vector<double> values;
      for (const Signals& s : signals) values.push_back(reading(s));
      return values;
    };
    const auto learned = read(fit.signals), values = read(rest.signals);
    SignalReport row{name, auroc(values, rest.right), expected_calibration_error(values, rest.right), 0};
    if (const auto map = Isotonic::fit(learned, fit.right)) {
      std::vector<double> mapped;
      for (double value : values) mapped.push_back((*map)(value));
      row.ece_isotonic = expected_calibration_error(mapped, rest.right);
    }
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

Answer tempered_answer(std::span<const double> scores, double temperature) {
  if (scores.empty()) return {};
  const auto top = std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double score : scores) sum += std::exp((score - *top) / temperature);
  return {static_cast<int32_t>(top - scores.begin()), 1 / sum};
}

Result<double> fit_temperature(std::span<const ScoredExample> examples) {
  BANTAM_TRY(check_examples(examples));
  const auto at = [&](double log_t) { return mean_loss(examples, std::exp(log_t)); };
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = kLogLowest, high = kLogHighest;
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = at(left), at_right = at(right);
  while (high - low > 1e-6) {
    if (at_left <= at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - golden * (high - low);
      at_left = at(left);
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + golden * (high - low);
      at_right = at(right);
    }
  }
  return std::exp(low + (high - low) / 2);
}

std::span<const double> threshold_grid() {
  static const std::vector<double> grid = make_grid();
  return grid;
}

Result<Threshold> choose_threshold(std::span<const PairedAnswer> answers, double target, double miss) {
  BANTAM_TRY(check_answers(answers, target, miss));
  const uint64_t n = answers.size();
  const auto llm_right = static_cast<uint64_t>(
      std::count_if(answers.begin(), answers.end(), [](const auto& a) { return a.llm_right; }));
  const double level = miss * (1 - kAccuracyShare);
  const double accuracy = n == 0 ? 0 : binomial_lower(llm_right, n, miss * kAccuracyShare);
  const double margin = (1 - target) * accuracy;
  if (accuracy <= 0 || n < fewest(margin, level)) {
    // Without a usable estimate, the number for an LLM that is always right: at least that many are needed.
    return fail(Code::kInvalidArgument,
                "calibration: a threshold for {} of the LLM's accuracy with confidence {} needs at least {} "
                "examples, found {}",
                target, 1 - miss, fewest(accuracy > 0 ? margin : 1 - target, level), n);
  }

  Threshold best{.examples = 0};
  for (double threshold : threshold_grid()) {
    Threshold row = count_at(answers, threshold);
    row.llm_accuracy_low = accuracy;
    const bool same = best.examples > 0 && best.losses == row.losses && best.gains == row.gains;
    row.p_value = same ? best.p_value : noninferiority_p(row.losses, row.gains, n, margin);
    if (row.p_value > level) {
      if (best.examples > 0) return best;
      return fail(Code::kInvalidArgument,
                  "calibration: no threshold keeps {} of the LLM's accuracy: at confidence {} the SLM keeps "
                  "{:.1f} % of {} examples, "
                  "of which {} are wrong where the LLM is right and {} the other way round",
                  target, threshold, 100 * row.local_share, n, row.losses, row.gains);
    }
    best = row;
  }
  return best;
}

Result<CalibrationReport> calibrate(std::span<const ScoredExample> examples,
                                    const CalibrateOptions& options) {
  BANTAM_TRY(check_examples(examples));
  if (options.target != 0 && options.error != 0) {
    return fail(Code::kInvalidArgument,
                "calibration: found both a target ({}) and an error ({}), expected one of them",
                options.target, options.error);
  }
  BANTAM_ASSIGN(const Parts parts, divide_examples(examples, options));

  CalibrationReport report;
  BANTAM_ASSIGN(const double temperature, fit_temperature(parts.fit));
  const Judgement fit = judge(parts.fit, temperature), rest = judge(parts.rest, temperature);
  report.fitted = parts.fit.size();
  report.nll_before = mean_loss(parts.rest, 1);
  report.nll_after = mean_loss(parts.rest, temperature);
  auto& calibration = report.calibration;
  calibration.temperature = temperature;
  calibration.examples = examples.size();
  calibration.ece_before = expected_calibration_error(judge(parts.rest, 1).confidence, rest.right);
  calibration.ece_after = expected_calibration_error(rest.confidence, rest.right);
  report.signals = compare_signals(fit, rest);
  if (options.target != 0) {
    BANTAM_ASSIGN(report.threshold, choose_threshold(rest.paired, options.target, 1 - options.confidence));
    calibration.threshold = report.threshold.threshold;
    calibration.target = options.target;
  }
  if (options.error != 0) {
    BANTAM_ASSIGN(report.certificate,
                  certify(fit.judged(), rest.judged(), {options.error, options.confidence}));
    report.certificate->reference = options.reference;
    calibration.threshold = report.certificate->threshold;
  }
  return report;
}

}  // namespace bantam::compress
