#pragma once
// Data-parallel training: the processes of one run, each with a copy of the model and its share of a step's
// rows. Private to train/, but for join_peers() in pretrain.h.

#include <torch/torch.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace bantam::train {

/// Where a process stands among the others, as launchers say it.
struct Place {
  int rank = 0, size = 1;
  std::string host = "127.0.0.1";
  uint16_t port = 29500;
};
/// RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT (torchrun); where RANK is not set, SLURM_PROCID and
/// SLURM_NTASKS, then OMPI_COMM_WORLD_RANK and _SIZE, then PMI_RANK and _SIZE. Nothing set: alone. Errors:
/// kInvalidArgument naming the variable.
Result<Place> place_from_environment();

/// The process group (c10d: NCCL for a device's tensors where this build has it, else Gloo). Not for use by
/// two threads at once, but sum_later() may be called from the backward pass. After an error the group is of
/// no further use.
class Peers {
 public:
  /// Waits for all others. Errors: kUnavailable after `timeout`.
  static Result<std::unique_ptr<Peers>> join(const Place& place, std::chrono::seconds timeout,
                                             bool on_device);
  ~Peers();

  int rank() const { return place_.rank; }
  int size() const { return place_.size; }

  /// Each tensor becomes that of rank 0. Errors, here and below: kUnavailable when a peer is lost or silent
  /// for the timeout.
  Status broadcast(std::vector<torch::Tensor> tensors);
  /// Each tensor becomes the sum over all ranks.
  Status sum(torch::Tensor tensor);
  /// Starts a sum and returns at once; the tensor must live until wait().
  Status sum_later(torch::Tensor tensor);
  Status wait();

 private:
  struct Group;
  Peers(Place place, std::unique_ptr<Group> group);
  Place place_;
  std::unique_ptr<Group> group_;
};

/// Gradients that are summed over the ranks while the backward pass still computes others: as soon as all of
/// a bucket's are there, in an order that is the same on all ranks.
class GradientBuckets {
 public:
  /// `weights` in the order of the forward pass; the last one's gradient comes first.
  GradientBuckets(Peers& peers, const std::vector<torch::Tensor>& weights,
                  size_t bucket_bytes = size_t{4} << 20);
  ~GradientBuckets();
  /// Says that the backward pass that follows is a step's last one.
  void arm();
  /// Waits for the sums and puts them into the gradients.
  Status finish();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace bantam::train
