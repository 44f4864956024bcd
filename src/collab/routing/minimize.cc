#include "collab/routing/minimize.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace bantam::collab::routing {
namespace {

constexpr size_t kPairs = 10;

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double largest(const Vector& v) {
  double most = 0;
  for (double x : v) most = std::max(most, std::abs(x));
  return most;
}

struct Pair {
  Vector s, y;  // steps of x and of the gradient
  double rho;
};

/// The quasi-Newton direction: the two-loop recursion.
Vector direction(const Vector& gradient, const std::deque<Pair>& pairs) {
  Vector q = gradient;
  std::vector<double> alpha(pairs.size());
  for (size_t i = pairs.size(); i-- > 0;) {
    alpha[i] = pairs[i].rho * dot(pairs[i].s, q);
    for (size_t k = 0; k < q.size(); ++k) q[k] -= alpha[i] * pairs[i].y[k];
  }
  if (!pairs.empty()) {
    const double scale = 1 / (pairs.back().rho * dot(pairs.back().y, pairs.back().y));
    for (double& x : q) x *= scale;
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    const double beta = pairs[i].rho * dot(pairs[i].y, q);
    for (size_t k = 0; k < q.size(); ++k) q[k] += (alpha[i] - beta) * pairs[i].s[k];
  }
  for (double& x : q) x = -x;
  return q;
}

}  // namespace

std::vector<double> minimize(const Objective& objective, std::vector<double> x, size_t steps,
                             double tolerance) {
  Vector gradient(x.size()), next_gradient(x.size()), next(x.size());
  double value = objective(x, gradient);
  const double first = largest(gradient);
  std::deque<Pair> pairs;
  for (size_t step = 0; step < steps && largest(gradient) > tolerance * first; ++step) {
    Vector d = direction(gradient, pairs);
    double slope = dot(d, gradient);
    if (!(slope < 0)) {  // curvature lost to rounding: begin anew
      pairs.clear();
      d = direction(gradient, pairs);
      slope = dot(d, gradient);
    }
    double length = pairs.empty() ? std::min(1.0, 1 / std::max(largest(gradient), 1e-12)) : 1.0,
           reached = value;
    bool found = false;
    for (int tries = 0; tries < 30 && !found; ++tries, length /= 2) {
      for (size_t k = 0; k < x.size(); ++k) next[k] = x[k] + length * d[k];
      reached = objective(next, next_gradient);
      found = reached <= value + 1e-4 * length * slope;
    }
    if (!found) break;
    Pair pair{Vector(x.size()), Vector(x.size()), 0};
    for (size_t k = 0; k < x.size(); ++k) {
      pair.s[k] = next[k] - x[k];
      pair.y[k] = next_gradient[k] - gradient[k];
    }
    const double curvature = dot(pair.s, pair.y);
    if (curvature > 1e-12) {
      pair.rho = 1 / curvature;
      pairs.push_back(std::move(pair));
      if (pairs.size() > kPairs) pairs.pop_front();
    }
    x.swap(next);
    gradient.swap(next_gradient);
    value = reached;
  }
  return x;
}

}  // namespace bantam::collab::routing
