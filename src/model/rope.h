#pragma once
// The rotations of queries and keys (Su et al. 2021) as tables, with the ways to serve longer texts than a
// model was trained for.

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "model/weights.h"

namespace bantam::model {

/// Cosines and sines of each position's angles, times the scaling's magnitude: [positions, rotated channels /
/// 2].
struct Rotations {
  std::vector<float> cos, sin;
};

/// For positions 0 .. positions - 1. Frequencies base^(-2i/d), divided by the file's factors where it has
/// some (the long ones where `positions` exceeds the original context), then interpolated as rope_scaling
/// says.
Rotations rotations(const Config& config, const Weights& weights, uint32_t positions);
/// With window_rope_base and unscaled; empty where the layers with a window turn as the others do.
Rotations window_rotations(const Config& config, uint32_t positions);

/// Channels of a head that rotate.
inline uint32_t rotated_channels(const Config& config) {
  return config.rope_dims > 0 ? config.rope_dims : config.head_dim;
}

}  // namespace bantam::model
