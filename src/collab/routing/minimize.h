#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace bantam::collab::routing {

/// The value of a smooth function at x; writes its gradient, which has x's size.
using Objective = std::function<double(std::span<const double> x, std::span<double> gradient)>;

/// Minimises from `x` on by L-BFGS with ten pairs and a backtracking line search (Nocedal, Wright 2006,
/// algorithms 7.4 and 3.1). Stops after `steps`, or when the gradient's largest entry is below `tolerance`
/// times the first one's. Deterministic.
std::vector<double> minimize(const Objective& objective, std::vector<double> x, size_t steps,
                             double tolerance = 1e-4);

}  // namespace bantam::collab::routing
