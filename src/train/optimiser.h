#pragma once
// One step down the gradient: the schedule's rate, AdamW and Muon. Private to train/.

#include <torch/torch.h>

#include <string>
#include <vector>

#include "train/trainer.h"

namespace bantam::train {

/// The rate of a step of the schedule, from 0.
double learning_rate(const Descent& descent, uint64_t step, uint64_t steps);

/// A weight and what its updates remember, all of the weight's shape.
struct Slot {
  std::string name;
  torch::Tensor weight, m, v, average;  // v is undefined under Muon, average without an average of weights
  bool decays = false;
};
/// Slots of the model's weights, in their order; they share the weights' storage.
std::vector<Slot> make_slots(const Decoder& model, const Descent& descent);

/// Moves the weights by their gradients, clipped to a global norm of descent.clip, and drops the gradients.
/// `step` counts from 0. Returns the norm before clipping.
double update(std::vector<Slot>& slots, const Descent& descent, double rate, uint64_t step);

}  // namespace bantam::train
