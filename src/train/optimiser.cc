#include "train/optimiser.h"

#include <ATen/Parallel.h>

#include <cmath>

namespace bantam::train {
namespace {

using torch::Tensor;

constexpr double kBeta1 = 0.9, kEpsilon = 1e-8;
constexpr double kMuonMomentum = 0.95;

struct AdamFactors {
  float rate, decay, clip, beta2, correct1, correct2;
};

/// One AdamW update in one pass over memory; elements are independent, so any split over threads gives the
/// same bits.
void adam_of_floats(Slot& slot, const AdamFactors& f) {
  Tensor grad = slot.weight.grad().contiguous();
  float* w = slot.weight.data_ptr<float>();
  float* m = slot.m.data_ptr<float>();
  float* v = slot.v.data_ptr<float>();
  const float* g = grad.data_ptr<float>();
  const float decay = slot.decays ? 1.0F - f.rate * f.decay : 1.0F;
  constexpr float kB1 = kBeta1, kEps = kEpsilon;
  at::parallel_for(0, slot.weight.numel(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float gi = g[i] * f.clip;
      m[i] = kB1 * m[i] + (1.0F - kB1) * gi;
      v[i] = f.beta2 * v[i] + (1.0F - f.beta2) * gi * gi;
      w[i] = w[i] * decay - f.rate * (m[i] * f.correct1) / (std::sqrt(v[i] * f.correct2) + kEps);
    }
  });
}

/// The same where memory is a device's.
void adam_of_tensors(Slot& slot, const AdamFactors& f) {
  Tensor grad = slot.weight.grad() * f.clip;
  slot.m.mul_(kBeta1).add_(grad, 1.0 - kBeta1);
  slot.v.mul_(f.beta2).addcmul_(grad, grad, 1.0 - f.beta2);
  if (slot.decays) slot.weight.mul_(1.0 - f.rate * f.decay);
  slot.weight.addcdiv_(slot.m * f.correct1, (slot.v * f.correct2).sqrt_().add_(kEpsilon), -f.rate);
}

/// The nearest matrix with orthonormal rows or columns, roughly: five Newton-Schulz iterations with the
/// coefficients of Jordan et al. 2024.
Tensor orthogonal(const Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  Tensor x = (tall ? matrix.t() : matrix) / (matrix.norm() + 1e-7);
  if (!x.device().is_cpu()) x = x.to(torch::kBFloat16);
  for (int i = 0; i < 5; ++i) {
    Tensor a = torch::mm(x, x.t());
    x = torch::addmm(x, torch::addmm(a, a, a, -4.7750, 2.0315), x, 3.4445, 1.0);
  }
  return (tall ? x.t() : x).to(matrix.scalar_type());
}

/// Steps have the size of AdamW's (Liu et al. 2025, "Muon is scalable", eq. 4), so one learning rate serves.
void muon(Slot& slot, const AdamFactors& f) {
  Tensor grad = slot.weight.grad() * f.clip;
  slot.m.mul_(kMuonMomentum).add_(grad);
  Tensor step = orthogonal(grad.add(slot.m, kMuonMomentum));
  const auto longer = static_cast<double>(std::max(grad.size(0), grad.size(1)));
  slot.weight.mul_(1.0 - f.rate * f.decay).add_(step, -f.rate * 0.2 * std::sqrt(longer));
}

double gradient_norm(const std::vector<Slot>& slots) {
  double squares = 0;
  std::vector<Tensor> norms;  // fetched from a device all at once
  for (const auto& slot : slots) {
    if (!slot.weight.grad().defined()) continue;
    norms.push_back(slot.weight.grad().norm());
  }
  Tensor all = torch::stack(norms).cpu();
  for (int64_t i = 0; i < all.numel(); ++i) squares += std::pow(all.data_ptr<float>()[i], 2.0);
  return std::sqrt(squares);
}

}  // namespace

double learning_rate(const Descent& d, uint64_t step, uint64_t steps) {
  const double all = static_cast<double>(steps), warmup = std::max(1.0, d.warmup * all);
  const double at = static_cast<double>(step) + 1.0;
  if (at < warmup) return d.learning_rate * at / warmup;
  if (d.decay < 1) {
    const double left = (all - at) / std::max(1.0, d.decay * all);
    return d.learning_rate * std::max(d.final_share, std::min(1.0, left));
  }
  const double part = (at - warmup) / std::max(1.0, all - warmup);
  return d.learning_rate *
         (d.final_share + (1.0 - d.final_share) * 0.5 * (1.0 + std::cos(M_PI * std::min(1.0, part))));
}

std::vector<Slot> make_slots(const Decoder& model, const Descent& descent) {
  std::vector<Slot> slots;
  for (const auto& [name, weight] : model.weights()) {
    Slot slot{name, weight, torch::zeros_like(weight), Tensor(), Tensor(), weight.dim() == 2};
    if (!(descent.muon && slot.decays && name.starts_with("blk."))) slot.v = torch::zeros_like(weight);
    if (descent.ema > 0) slot.average = weight.detach().clone();
    slots.push_back(std::move(slot));
  }
  return slots;
}

double update(std::vector<Slot>& slots, const Descent& descent, double rate, uint64_t step) {
  torch::NoGradGuard no_grad;
  const double norm = gradient_norm(slots), count = static_cast<double>(step) + 1.0;
  AdamFactors factors{};
  factors.rate = static_cast<float>(rate);
  factors.decay = static_cast<float>(descent.weight_decay);
  factors.clip = norm > descent.clip ? static_cast<float>(descent.clip / norm) : 1.0F;
  factors.beta2 = static_cast<float>(descent.beta2);
  factors.correct1 = static_cast<float>(1.0 / (1.0 - std::pow(kBeta1, count)));
  factors.correct2 = static_cast<float>(1.0 / (1.0 - std::pow(descent.beta2, count)));
  // Early averages would remember the random start: the decay grows to its value (as in Polyak averaging
  // with a warm-up).
  const double keep = std::min(descent.ema, (1.0 + count) / (10.0 + count));
  for (auto& slot : slots) {
    if (!slot.weight.grad().defined()) continue;
    if (!slot.v.defined()) {
      muon(slot, factors);
    } else if (slot.weight.device().is_cpu()) {
      adam_of_floats(slot, factors);
    } else {
      adam_of_tensors(slot, factors);
    }
    if (slot.average.defined()) slot.average.lerp_(slot.weight, 1.0 - keep);
    slot.weight.mutable_grad().reset();
  }
  return norm;
}

}  // namespace bantam::train
