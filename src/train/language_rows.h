#pragma once
// Rows of packed documents as tensors. Private to train/.

#include <torch/torch.h>

#include <functional>
#include <span>

namespace bantam::train {

struct Rows {
  torch::Tensor inputs, targets,
      starts;  // [B, T]: int64, int64, int32 (where each position's document begins)
};

/// `fill(i, row)` gives row i's time + 1 tokens, in which `start` begins a document.
Rows rows_of(int64_t count, int64_t time, int64_t start,
             const std::function<void(int64_t, std::span<int64_t>)>& fill);

}  // namespace bantam::train
