#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

namespace bantam::model {
namespace {

/// YaRN's (Peng et al. 2023, section 3.2) share of interpolation for each pair of channels: none for those
/// that turn more than beta_fast times within the original context, all of it below beta_slow.
class Ramp {
 public:
  Ramp(const RopeScaling& scaling, double channels, double base) {
    const auto channel_of = [&](double turns) {
      return channels * std::log(scaling.original_context / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(base));
    };
    low_ = std::max(0.0, std::floor(channel_of(scaling.beta_fast)));
    high_ = std::min(channels - 1, std::ceil(channel_of(scaling.beta_slow)));
  }
  double interpolated(size_t pair) const {
    return std::clamp((static_cast<double>(pair) - low_) / std::max(0.001, high_ - low_), 0.0, 1.0);
  }

 private:
  double low_ = 0, high_ = 0;
};

Rotations tables(std::span<const double> frequencies, double magnitude, uint32_t positions) {
  Rotations out;
  const size_t half = frequencies.size();
  out.cos.resize(positions * half);
  out.sin.resize(positions * half);
  for (size_t position = 0; position < positions; ++position) {
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      out.cos[position * half + i] = static_cast<float>(magnitude * std::cos(angle));
      out.sin[position * half + i] = static_cast<float>(magnitude * std::sin(angle));
    }
  }
  return out;
}

std::vector<double> plain_frequencies(double base, uint32_t channels) {
  std::vector<double> out(channels / 2);
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::pow(base, -2.0 * static_cast<double>(i) / channels);
  return out;
}

}  // namespace

Rotations rotations(const Config& config, const Weights& weights, uint32_t positions) {
  const RopeScaling& scaling = config.rope_scaling;
  const uint32_t channels = rotated_channels(config);
  auto frequencies = plain_frequencies(config.rope_base, channels);
  const bool longer = scaling.original_context > 0 && positions > scaling.original_context;
  const auto& factors =
      weights.rope_factors.empty() ? (longer ? weights.rope_long : weights.rope_short) : weights.rope_factors;
  for (size_t i = 0; i < factors.size(); ++i) frequencies[i] /= factors[i];
  double magnitude = scaling.magnitude;
  if (scaling.type == RopeScaling::Type::kLinear) {
    for (double& frequency : frequencies) frequency /= scaling.factor;
  } else if (scaling.type == RopeScaling::Type::kYarn) {
    const Ramp ramp(scaling, channels, config.rope_base);
    for (size_t i = 0; i < frequencies.size(); ++i) {
      const double share = ramp.interpolated(i);
      frequencies[i] *= share / scaling.factor + 1 - share;
    }
    magnitude *= 1 + 0.1 * std::log(scaling.factor);  // ibid., equation 22
  }
  return tables(frequencies, magnitude, positions);
}

Rotations window_rotations(const Config& config, uint32_t positions) {
  if (config.sliding_window == 0 || config.window_rope_base == 0) return {};
  return tables(plain_frequencies(config.window_rope_base, rotated_channels(config)), 1, positions);
}

}  // namespace bantam::model
