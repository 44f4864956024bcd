#include "train/peers.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <charconv>
#include <cstdlib>
#include <mutex>

namespace bantam::train {
namespace {

using torch::Tensor;

/// A whole number from the environment; `fallback` where the variable is not set.
Result<int> number(const char* name, int low, int high, int fallback) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return fallback;
  int value = 0;
  const char* end = text + std::string_view(text).size();
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end || value < low || value > high)
    return fail(Code::kInvalidArgument, "{}: found '{}', expected {} to {}", name, text, low, high);
  return value;
}

/// What a call into c10d threw, as an error.
template <class Work>
Status guarded(const char* what, const Work& work) {
  try {
    work();
    return {};
  } catch (const std::exception& e) {
    std::string_view text = e.what();
    return fail(Code::kUnavailable, "{}: a peer is lost or silent: {}", what,
                text.substr(0, text.find('\n')));
  }
}

}  // namespace

Result<Place> place_from_environment() {
  constexpr int kMost = 65535;
  struct Names {
    const char *rank, *size;
  };
  Place out;
  for (const Names& names :
       {Names{"RANK", "WORLD_SIZE"}, Names{"SLURM_PROCID", "SLURM_NTASKS"},
        Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, Names{"PMI_RANK", "PMI_SIZE"}}) {
    BANTAM_ASSIGN(out.rank, number(names.rank, 0, kMost, -1));
    if (out.rank < 0) continue;
    BANTAM_ASSIGN(out.size, number(names.size, 1, kMost + 1, 1));
    if (out.rank >= out.size)
      return fail(Code::kInvalidArgument, "{}: found {}, expected less than {} ({})", names.rank, out.rank,
                  names.size, out.size);
    break;
  }
  if (out.rank < 0) out.rank = 0;
  if (const char* host = std::getenv("MASTER_ADDR"); host != nullptr && *host != '\0') out.host = host;
  BANTAM_ASSIGN(const int port, number("MASTER_PORT", 1, 65535, out.port));
  out.port = static_cast<uint16_t>(port);
  return out;
}

struct Peers::Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
#ifdef USE_C10D_NCCL
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl;
#endif
  std::mutex mutex;
  std::vector<c10::intrusive_ptr<c10d::Work>> running;

  c10::intrusive_ptr<c10d::Work> start_sum(std::vector<Tensor>& tensors) {
#ifdef USE_C10D_NCCL
    if (nccl) return nccl->allreduce(tensors);
#endif
    return gloo->allreduce(tensors);
  }
  c10::intrusive_ptr<c10d::Work> start_broadcast(std::vector<Tensor>& tensors) {
#ifdef USE_C10D_NCCL
    if (nccl) return nccl->broadcast(tensors);
#endif
    return gloo->broadcast(tensors);
  }
};

Peers::Peers(Place place, std::unique_ptr<Group> group)
    : place_(std::move(place)), group_(std::move(group)) {}
Peers::~Peers() = default;

Result<std::unique_ptr<Peers>> Peers::join(const Place& place, std::chrono::seconds timeout, bool on_device) {
  auto group = std::make_unique<Group>();
  const std::string what =
      fmt::format("rank {} of {} at {}:{}", place.rank, place.size, place.host, place.port);
  BANTAM_TRY(guarded(what.c_str(), [&] {
    c10d::TCPStoreOptions how;
    how.port = place.port;
    how.isServer = place.rank == 0;
    how.numWorkers = static_cast<size_t>(place.size);
    how.timeout = timeout;
    group->store = c10::make_intrusive<c10d::TCPStore>(place.host, how);
#ifdef USE_C10D_NCCL
    if (on_device) {
      auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = timeout;
      group->nccl =
          c10::make_intrusive<c10d::ProcessGroupNCCL>(group->store, place.rank, place.size, options);
      return;
    }
#endif
    (void)on_device;
    auto options = c10d::ProcessGroupGloo::Options::create();
    options->timeout = timeout;
    // Loopback needs no name that resolves; between machines the host's own name says the interface.
    const bool local = place.host == "127.0.0.1" || place.host == "localhost";
    options->devices.push_back(local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                     : c10d::ProcessGroupGloo::createDefaultDevice());
    group->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(group->store, place.rank, place.size, options);
  }));
  return std::unique_ptr<Peers>(new Peers(place, std::move(group)));
}

Status Peers::broadcast(std::vector<Tensor> tensors) {
  return guarded("broadcast", [&] {
    for (const Tensor& tensor : tensors) {
      std::vector<Tensor> one{tensor};
      group_->start_broadcast(one)->wait();
    }
  });
}

Status Peers::sum(Tensor tensor) {
  return guarded("sum", [&] {
    std::vector<Tensor> one{std::move(tensor)};
    group_->start_sum(one)->wait();
  });
}

Status Peers::sum_later(Tensor tensor) {
  return guarded("sum of gradients", [&] {
    std::vector<Tensor> one{std::move(tensor)};
    std::lock_guard lock(group_->mutex);
    group_->running.push_back(group_->start_sum(one));
  });
}

Status Peers::wait() {
  return guarded("sum of gradients", [&] {
    std::lock_guard lock(group_->mutex);
    for (auto& work : group_->running) work->wait();
    group_->running.clear();
  });
}

struct GradientBuckets::State {
  struct Bucket {
    Tensor sums;  // one vector, all its gradients one after the other
    size_t missing = 0, weights = 0;
  };
  struct Slot {
    Tensor weight;
    size_t bucket = 0;
    int64_t begin = 0;
    unsigned hook = 0;
  };

  Peers& peers;
  std::vector<Bucket> buckets;
  std::vector<Slot> slots;
  bool armed = false;
  size_t next = 0;  // buckets start in order, the same on every rank
  Status failed;
  std::mutex mutex;

  explicit State(Peers& p) : peers(p) {}

  /// The hook of one weight: `gradient` is this pass's, those of earlier passes stand in the weight.
  void ready(size_t index, const Tensor& gradient) {
    std::lock_guard lock(mutex);
    if (!armed) return;
    Slot& slot = slots[index];
    Bucket& bucket = buckets[slot.bucket];
    Tensor into = bucket.sums.narrow(0, slot.begin, gradient.numel());
    into.copy_(gradient.reshape({-1}));
    if (slot.weight.grad().defined()) into.add_(slot.weight.grad().reshape({-1}));
    --bucket.missing;
    while (failed && next < buckets.size() && buckets[next].missing == 0)
      failed = peers.sum_later(buckets[next++].sums);
  }
};

GradientBuckets::GradientBuckets(Peers& peers, const std::vector<Tensor>& weights, size_t bucket_bytes)
    : state_(std::make_shared<State>(peers)) {
  int64_t size = 0;
  size_t count = 0;
  auto close = [&] {
    if (count == 0) return;
    state_->buckets.push_back(
        {torch::zeros({size}, weights.front().options().requires_grad(false)), count, count});
    size = 0;
    count = 0;
  };
  for (auto weight = weights.rbegin(); weight != weights.rend(); ++weight) {
    if (count > 0 && static_cast<size_t>(size + weight->numel()) * sizeof(float) > bucket_bytes) close();
    const size_t index = state_->slots.size();
    state_->slots.push_back({*weight, state_->buckets.size(), size, 0});
    size += weight->numel();
    ++count;
    State* state = state_.get();  // the hook is removed before the state goes
    state_->slots.back().hook =
        weight->register_hook([state, index](const Tensor& gradient) { state->ready(index, gradient); });
  }
  close();
}

GradientBuckets::~GradientBuckets() {
  for (auto& slot : state_->slots) slot.weight.remove_hook(slot.hook);
}

void GradientBuckets::arm() {
  std::lock_guard lock(state_->mutex);
  state_->armed = true;
  state_->next = 0;
  for (auto& bucket : state_->buckets) bucket.missing = bucket.weights;
}

Status GradientBuckets::finish() {
  torch::NoGradGuard no_grad;
  std::lock_guard lock(state_->mutex);
  state_->armed = false;
  BANTAM_TRY(std::exchange(state_->failed, Status{}));
  BANTAM_TRY(state_->peers.wait());
  for (auto& slot : state_->slots) {
    slot.weight.mutable_grad() = state_->buckets[slot.bucket]
                                     .sums.narrow(0, slot.begin, slot.weight.numel())
                                     .view(slot.weight.sizes());
  }
  return {};
}

}  // namespace bantam::train
