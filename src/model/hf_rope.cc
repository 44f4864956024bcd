// Ways of turning long texts: LongRoPE's magnitude; Llama 3's factors out of four numbers, and the numbers out
// of factors.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/hf_config.h"

namespace bantam::model {
namespace {

constexpr double kClose = 1e-4;  // relative, between given and recomputed factors

/// In single precision, as the files' makers compute it.
float wave_length(double base, size_t pair, size_t pairs) {
  const double exponent = static_cast<double>(pair) / static_cast<double>(pairs);
  const auto frequency = static_cast<float>(1.0 / std::pow(base, exponent));
  return static_cast<float>(2 * std::numbers::pi) / frequency;
}

double snapped(double x) {
  const double whole = std::round(x);
  return std::abs(x - whole) < 2e-3 * std::max(1.0, std::abs(x)) ? whole : x;
}

bool gives(const Llama3Scaling& scaling, const std::vector<float>& factors, double base) {
  const auto again = llama3_factors(scaling, base, factors.size());
  return std::ranges::equal(again, factors, [](float a, float b) { return std::abs(a - b) <= kClose * b; });
}

}  // namespace

double longrope_magnitude(uint32_t context, uint32_t original) {
  const double scale = static_cast<double>(context) / original;
  return scale <= 1 ? 1 : std::sqrt(1 + std::log(scale) / std::log(static_cast<double>(original)));
}

std::vector<float> llama3_factors(const Llama3Scaling& scaling, double base, size_t pairs) {
  const auto context = static_cast<float>(scaling.original_context);
  const auto factor = static_cast<float>(scaling.factor), low = static_cast<float>(scaling.low),
             high = static_cast<float>(scaling.high);
  std::vector<float> out;
  for (size_t i = 0; i < pairs; ++i) {
    const float length = wave_length(base, i, pairs);
    if (length < context / high) {
      out.push_back(1);
    } else if (length > context / low) {
      out.push_back(factor);
    } else {
      const float smooth = (context / length - low) / (high - low);
      out.push_back(1 / ((1 - smooth) / factor + smooth));
    }
  }
  return out;
}

std::optional<Llama3Scaling> fit_llama3(const std::vector<float>& factors, double base) {
  if (factors.size() < 2) return std::nullopt;
  Llama3Scaling out;
  out.factor = snapped(*std::ranges::max_element(factors));
  if (!(out.factor > 1)) return std::nullopt;
  // The usual values first: they give the bits.
  for (uint32_t context : {8192U, 4096U, 2048U, 16384U, 32768U}) {
    out.original_context = context;
    if (gives(out, factors, base)) return out;
  }
  // Between the two bounds smooth = a / length + b is a line; a = context / (high - low), b = -low / (high -
  // low). Only two of the three are determined: low is 1.
  std::vector<std::pair<double, double>> points;
  for (size_t i = 0; i < factors.size(); ++i) {
    const double f = factors[i];
    if (f <= 1 + 1e-6 || f >= out.factor - 1e-6) continue;
    points.emplace_back(1.0 / wave_length(base, i, factors.size()),
                        (1 / f - 1 / out.factor) / (1 - 1 / out.factor));
  }
  if (points.size() < 2) return std::nullopt;
  const auto [x0, y0] = points.front();
  const auto [x1, y1] = points.back();
  const double a = (y1 - y0) / (x1 - x0), b = y0 - a * x0;
  if (!(b < 0 && a > 0)) return std::nullopt;
  out.low = 1;
  out.high = snapped(1 - 1 / b);
  const double context = snapped(a * (out.high - 1));
  if (!(context >= 1 && context < 1e9)) return std::nullopt;
  out.original_context = static_cast<uint32_t>(std::llround(context));
  return gives(out, factors, base) ? std::optional(out) : std::nullopt;
}

}  // namespace bantam::model
