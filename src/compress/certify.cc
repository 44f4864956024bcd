#include "compress/certify.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "base/statistics.h"

namespace bantam::compress {
namespace {

constexpr size_t kShares = 200;      // thresholds tried
constexpr size_t kDriftBins = 64;    // of the confidence's distribution
constexpr size_t kDriftLeast = 500;  // fit examples below which there are fewer bins

constexpr double kStated = 100;  // answers that the stated confidence counts for beside the fit's

struct Kept {
  uint64_t answers = 0, wrong = 0;
  double stated = 0;  // errors, by the confidences
};

/// Answers by confidence, the surest first, with running counts.
class Ranked {
 public:
  explicit Ranked(std::span<const Judged> answers) : answers_(answers.begin(), answers.end()) {
    std::sort(answers_.begin(), answers_.end(),
              [](const Judged& a, const Judged& b) { return a.confidence > b.confidence; });
    wrong_.reserve(answers_.size() + 1);
    wrong_.push_back(0);
    stated_.push_back(0);
    for (const Judged& answer : answers_) {
      wrong_.push_back(wrong_.back() + answer.wrong);
      stated_.push_back(stated_.back() + 1 - answer.confidence);
    }
  }
  size_t size() const { return answers_.size(); }
  /// The confidence of the answer in this place, 0 the surest.
  double confidence(size_t place) const { return answers_[place].confidence; }
  Kept at(double threshold) const {
    const auto end = std::partition_point(answers_.begin(), answers_.end(), [=](const Judged& answer) {
      return answer.confidence >= threshold;
    });
    const auto n = static_cast<size_t>(end - answers_.begin());
    return {n, wrong_[n], stated_[n]};
  }

 private:
  std::vector<Judged> answers_;
  std::vector<uint64_t> wrong_;
  std::vector<double> stated_;
};

Status check_input(std::span<const Judged> fit, std::span<const Judged> test, const CertifyOptions& options) {
  const std::pair<const char*, double> shares[] = {{"error", options.error},
                                                   {"confidence", options.confidence}};
  for (const auto& [name, value] : shares) {
    if (!(value > 0 && value < 1)) {
      return fail(Code::kInvalidArgument, "certificate: {} is {}, expected a number above 0 and below 1",
                  name, value);
    }
  }
  for (auto part : {fit, test}) {
    if (part.empty()) return fail(Code::kInvalidArgument, "certificate: found no examples");
    for (const Judged& answer : part) {
      if (!(answer.confidence >= 0 && answer.confidence <= 1)) {
        return fail(Code::kInvalidArgument, "certificate: found a confidence of {}, expected 0 to 1",
                    answer.confidence);
      }
    }
  }
  return {};
}

/// Thresholds that keep ever larger shares of `fit`, strictest first, and 0 at the end.
std::vector<double> thresholds(const Ranked& fit) {
  std::vector<double> out;
  for (size_t i = 1; i <= kShares; ++i) {
    const size_t rank = (fit.size() * i + kShares - 1) / kShares;
    const double threshold = fit.confidence(rank - 1);
    if (out.empty() || threshold < out.back()) out.push_back(threshold);
  }
  if (out.back() > 0) out.push_back(0);
  return out;
}

bool passes(const Kept& kept, const CertifyOptions& options) {
  return binomial_cdf(kept.wrong, kept.answers, options.error) <= 1 - options.confidence;
}

/// How likely a threshold passes on `size` new examples, by what happened to it on `fit` and, where that is
/// little, by what the confidences say.
double power(const Kept& fit, size_t fit_size, size_t size, const CertifyOptions& options) {
  const double answers = static_cast<double>(fit.answers);
  const double expected = answers / static_cast<double>(fit_size) * static_cast<double>(size);
  // The number that will be kept is known only roughly, and one too few may make passing impossible: 1.64
  // standard deviations fewer.
  const double spread = std::sqrt(1 / answers + 1 / expected);
  const auto n = static_cast<uint64_t>(std::max(0.0, expected * (1 - 1.64 * spread)));
  if (!passes({n, 0, 0}, options)) return 0;
  uint64_t low = 0, high = n;  // the most errors that pass lie in [low, high)
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    (passes({n, middle, 0}, options) ? low : high) = middle;
  }
  const double rate = (static_cast<double>(fit.wrong) + 0.5) / (static_cast<double>(fit.answers) + 1);
  return binomial_cdf(low, n, rate);
}

size_t likeliest(const std::vector<double>& sequence, const Ranked& fit, size_t size,
                 const CertifyOptions& options) {
  size_t best = 0;
  double most = -1;
  for (size_t i = 0; i < sequence.size(); ++i) {
    const double p = power(fit.at(sequence[i]), fit.size(), size, options);
    if (p > most) {
      most = p;
      best = i;
    }
  }
  // Where no threshold keeps enough, the one that keeps all has at least the best chance of a clear answer.
  return most > 0 ? best : sequence.size() - 1;
}

std::unexpected<Error> refuse(const Kept& kept, double threshold, size_t size,
                              const CertifyOptions& options) {
  const double rate =
      kept.answers == 0 ? 1 : static_cast<double>(kept.wrong) / static_cast<double>(kept.answers);
  const std::string found =
      fmt::format("at confidence {:.4f} and above the model answered {} of {} examples, {} of them wrong",
                  threshold, kept.answers, size, kept.wrong);
  if (rate >= options.error && kept.answers >= fewest_to_certify(options)) {
    return fail(Code::kInvalidArgument, "certificate: no threshold keeps the errors at {} or below: {}",
                options.error, found);
  }
  // At the rate seen here (at most half the one allowed, lest chance make the number endless), the number
  // that would do; errors grow in proportion.
  const double assumed = std::min(rate, options.error / 2);
  uint64_t needed = fewest_to_certify(options);
  while (!passes({needed, static_cast<uint64_t>(std::ceil(assumed * static_cast<double>(needed))), 0},
                 options)) {
    needed += std::max<uint64_t>(1, needed / 50);
  }
  const double share = std::max(1.0, static_cast<double>(kept.answers)) / static_cast<double>(size);
  return fail(
      Code::kInvalidArgument,
      "certificate: too few examples for an error of {} with confidence {}: {}; about {:.0f} examples "
      "to test on are needed if that is typical",
      options.error, options.confidence, found, std::ceil(static_cast<double>(needed) / share));
}

/// Bins of about equal mass on `fit`, with the counts of `test`. The edges are rounded as a file holds them.
void record_distribution(const Ranked& fit, const Ranked& test, model::Certificate& out) {
  const size_t bins = std::clamp<size_t>(fit.size() * kDriftBins / kDriftLeast, 2, kDriftBins);
  for (size_t b = 1; b < bins; ++b) {
    const double edge = static_cast<float>(fit.confidence(fit.size() - 1 - fit.size() * b / bins));
    if (edge > 0 && edge <= 1 && (out.drift_edges.empty() || edge > out.drift_edges.back()))
      out.drift_edges.push_back(edge);
  }
  out.drift_counts.assign(out.drift_edges.size() + 1, 0);
  uint64_t above = 0;
  for (size_t b = out.drift_edges.size(); b > 0; --b) {
    const uint64_t n = test.at(out.drift_edges[b - 1]).answers;
    out.drift_counts[b] = n - above;
    above = n;
  }
  out.drift_counts[0] = test.size() - above;
}

}  // namespace

uint64_t fewest_to_certify(const CertifyOptions& options) {
  return static_cast<uint64_t>(std::ceil(std::log(1 - options.confidence) / std::log1p(-options.error)));
}

Result<model::Certificate> certify(std::span<const Judged> fit, std::span<const Judged> test,
                                   const CertifyOptions& options) {
  BANTAM_TRY(check_input(fit, test, options));
  if (test.size() < fewest_to_certify(options)) {
    return fail(
        Code::kInvalidArgument,
        "certificate: an error of {} with confidence {} needs at least {} examples to test on, found {}",
        options.error, options.confidence, fewest_to_certify(options), test.size());
  }
  const Ranked fitted(fit), tested(test);
  const std::vector<double> sequence = thresholds(fitted);
  const size_t start = likeliest(sequence, fitted, test.size(), options);
  model::Certificate out{.error = options.error, .confidence = options.confidence, .examples = test.size()};
  for (size_t i = start; i < sequence.size(); ++i) {
    const Kept kept = tested.at(sequence[i]);
    if (!passes(kept, options)) {
      if (i == start) return refuse(kept, sequence[i], test.size(), options);
      break;
    }
    out.threshold = sequence[i];
    out.kept = kept.answers;
    out.errors = kept.wrong;
  }
  out.bound = binomial_upper(out.errors, out.kept, 1 - options.confidence);
  record_distribution(fitted, tested, out);
  return out;
}

}  // namespace bantam::compress
