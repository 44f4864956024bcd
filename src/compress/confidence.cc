#include "compress/confidence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bantam::compress {
namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

double log_odds(double p) {
  constexpr double kLeast = 1e-6;
  p = std::clamp(p, kLeast, 1 - kLeast);
  return std::log(p / (1 - p));
}

/// On the scale where a linear function of them is a sensible log-odds.
std::array<double, kSignals> scaled(const Signals& s) {
  return {log_odds(s.top),
          s.margin,
          s.entropy,
          s.mean_logprob,
          s.least_logprob,
          std::log1p(s.tokens),
          log_odds(s.agreement),
          log_odds(s.self_check)};
}

/// Solves A x = b for a symmetric positive definite A (row-major, n x n, destroyed), by Cholesky.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(std::max(a[j * n + j], 1e-300));
    for (size_t i = j + 1; i < n; ++i) {
      for (size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

std::array<double, kSignals> as_array(const Signals& s) {
  return {s.top, s.margin, s.entropy, s.mean_logprob, s.least_logprob, s.tokens, s.agreement, s.self_check};
}

Signals choice_signals(std::span<const double> scores, double temperature) {
  Signals out;
  if (scores.empty()) return out;
  const double top = *std::max_element(scores.begin(), scores.end());
  std::vector<double> p;
  for (double score : scores) p.push_back(std::exp((score - top) / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  std::sort(p.begin(), p.end(), std::greater<>());
  out.top = p[0] / sum;
  out.margin = p.size() > 1 ? (p[0] - p[1]) / sum : 1;
  out.entropy = 0;
  for (double x : p) out.entropy -= x > 0 ? x / sum * std::log(x / sum) : 0;
  if (p.size() > 1) out.entropy /= std::log(static_cast<double>(p.size()));
  return out;
}

Signals sequence_signals(std::span<const double> logprobs) {
  Signals out;
  if (logprobs.empty()) return out;
  const double n = static_cast<double>(logprobs.size());
  out.mean_logprob = std::accumulate(logprobs.begin(), logprobs.end(), 0.0) / n;
  out.least_logprob = *std::min_element(logprobs.begin(), logprobs.end());
  out.tokens = n;
  return out;
}

std::array<double, Combination::kInputs> Combination::inputs(const Signals& signals) const {
  std::array<double, kInputs> x{};
  const auto values = scaled(signals);
  for (size_t i = 0; i < kSignals; ++i) {
    const bool known = std::isfinite(values[i]);
    x[i] = known ? (values[i] - mean_[i]) * scale_[i] : 0;
    x[kSignals + i] = known ? 0 : 1;
  }
  x[2 * kSignals] = 1;
  return x;
}

Result<Combination> Combination::fit(std::span<const Signals> signals, std::span<const uint8_t> right,
                                     double l2) {
  constexpr size_t kLeast = 20;
  const size_t n = signals.size();
  const auto rights =
      static_cast<size_t>(std::count_if(right.begin(), right.end(), [](auto r) { return r; }));
  if (n != right.size() || n < kLeast || rights == 0 || rights == n) {
    return fail(Code::kInvalidArgument,
                "confidence: found {} answers with {} outcomes, {} of them right: expected at least {}, with "
                "right and wrong ones among them",
                n, right.size(), rights, kLeast);
  }
  Combination out;
  for (size_t s = 0; s < kSignals; ++s) {
    double sum = 0, squares = 0, count = 0;
    for (const Signals& one : signals) {
      const double value = scaled(one)[s];
      if (!std::isfinite(value)) continue;
      sum += value;
      squares += value * value;
      ++count;
    }
    out.mean_[s] = count > 0 ? sum / count : 0;
    const double variance = count > 0 ? squares / count - out.mean_[s] * out.mean_[s] : 0;
    out.scale_[s] = variance > 1e-12 ? 1 / std::sqrt(variance) : 0;
  }
  std::vector<std::array<double, kInputs>> x;
  for (const Signals& one : signals) x.push_back(out.inputs(one));
  for (int step = 0; step < 50; ++step) {
    std::vector<double> hessian(kInputs * kInputs), gradient(kInputs);
    for (size_t i = 0; i < n; ++i) {
      const double p = sigmoid(dot(out.weight_, x[i]));
      for (size_t a = 0; a < kInputs; ++a) {
        gradient[a] += ((right[i] ? 1 : 0) - p) * x[i][a];
        for (size_t b = 0; b <= a; ++b) hessian[a * kInputs + b] += p * (1 - p) * x[i][a] * x[i][b];
      }
    }
    for (size_t a = 0; a < kInputs; ++a) {
      // The constant is hardly held back, but enough for the matrix to stay regular.
      const double held = a == 2 * kSignals ? 1e-6 : l2;
      gradient[a] -= held * out.weight_[a];
      hessian[a * kInputs + a] += held;
    }
    const auto delta = solve(hessian, gradient);
    double largest = 0;
    for (size_t a = 0; a < kInputs; ++a) {
      out.weight_[a] += std::clamp(delta[a], -5.0, 5.0);
      largest = std::max(largest, std::abs(delta[a]));
    }
    if (largest < 1e-9) break;
  }
  return out;
}

Result<Combination> Combination::from(std::span<const double> weights) {
  Combination out;
  if (weights.size() != 2 * kSignals + kInputs ||
      !std::all_of(weights.begin(), weights.end(), [](double w) { return std::isfinite(w); })) {
    return fail(Code::kCorrupt, "confidence: found {} weights, expected {} finite numbers", weights.size(),
                2 * kSignals + kInputs);
  }
  std::copy_n(weights.begin(), kSignals, out.mean_.begin());
  std::copy_n(weights.begin() + kSignals, kSignals, out.scale_.begin());
  std::copy_n(weights.begin() + 2 * kSignals, kInputs, out.weight_.begin());
  return out;
}

double Combination::operator()(const Signals& signals) const {
  return sigmoid(dot(weight_, inputs(signals)));
}

std::vector<double> Combination::weights() const {
  std::vector<double> out(mean_.begin(), mean_.end());
  out.insert(out.end(), scale_.begin(), scale_.end());
  out.insert(out.end(), weight_.begin(), weight_.end());
  return out;
}

Result<Isotonic> Isotonic::fit(std::span<const double> confidence, std::span<const uint8_t> right) {
  if (confidence.empty() || confidence.size() != right.size()) {
    return fail(Code::kInvalidArgument, "isotonic: found {} confidences and {} outcomes, expected as many",
                confidence.size(), right.size());
  }
  struct Block {
    double x, y, weight;
  };
  std::vector<size_t> order(confidence.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return confidence[a] < confidence[b]; });
  std::vector<Block> blocks;
  for (size_t i : order) {
    if (!(confidence[i] >= 0 && confidence[i] <= 1)) {
      return fail(Code::kInvalidArgument, "isotonic: found a confidence of {}, expected 0 to 1",
                  confidence[i]);
    }
    Block block{confidence[i], right[i] ? 1.0 : 0.0, 1};
    while (!blocks.empty() && (blocks.back().y >= block.y || blocks.back().x == block.x)) {
      const Block& last = blocks.back();
      const double weight = last.weight + block.weight;
      block = {(last.x * last.weight + block.x * block.weight) / weight,
               (last.y * last.weight + block.y * block.weight) / weight, weight};
      blocks.pop_back();
    }
    blocks.push_back(block);
  }
  Isotonic out;
  for (const Block& block : blocks) {
    out.x_.push_back(block.x);
    out.y_.push_back(block.y);
  }
  return out;
}

double Isotonic::operator()(double confidence) const {
  const auto above = static_cast<size_t>(std::lower_bound(x_.begin(), x_.end(), confidence) - x_.begin());
  if (above == 0) return y_.front();
  if (above == x_.size()) return y_.back();
  const double share = (confidence - x_[above - 1]) / (x_[above] - x_[above - 1]);
  return y_[above - 1] + share * (y_[above] - y_[above - 1]);
}

double auroc(std::span<const double> confidence, std::span<const uint8_t> right) {
  const size_t n = std::min(confidence.size(), right.size());
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return confidence[a] < confidence[b]; });
  double rank_sum = 0, rights = 0;
  for (size_t i = 0; i < n;) {
    size_t end = i;
    while (end < n && confidence[order[end]] == confidence[order[i]]) ++end;
    const double rank = static_cast<double>(i + end - 1) / 2 + 1;  // the mean of equal ones
    for (; i < end; ++i) {
      if (!right[order[i]]) continue;
      rank_sum += rank;
      ++rights;
    }
  }
  const double wrongs = static_cast<double>(n) - rights;
  if (rights == 0 || wrongs == 0) return 0.5;
  return (rank_sum - rights * (rights + 1) / 2) / (rights * wrongs);
}

}  // namespace bantam::compress
