#include "train/ops.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "train/rows.h"

namespace bantam::train {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool plain_floats(const Tensor& x) { return x.device().is_cpu() && x.scalar_type() == torch::kFloat32; }

/// Rows of a chunk that one thread takes at a time: enough for the loop to outweigh its start.
int64_t grain(int64_t columns) { return std::max<int64_t>(1, 16384 / columns); }

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_in, const Tensor& weight, double eps) {
    Tensor x = x_in.contiguous();
    const int64_t columns = x.size(-1), count = x.numel() / columns;
    Tensor y, inverse;
    if (plain_floats(x)) {
      y = torch::empty_like(x);
      inverse = torch::empty({count});
      const float *from = x.data_ptr<float>(), *w = weight.data_ptr<float>();
      float *to = y.data_ptr<float>(), *inv = inverse.data_ptr<float>();
      at::parallel_for(0, count, grain(columns), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          inv[i] = rows::rms_norm(from + i * columns, w, static_cast<float>(eps), to + i * columns, columns);
      });
    } else {
      Tensor wide = x.to(torch::kFloat32);
      inverse = torch::rsqrt(wide.square().mean(-1, true) + eps);
      y = (wide * inverse * weight).to(x.scalar_type());
    }
    context->save_for_backward({x, inverse, weight});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &inverse = saved[1], &weight = saved[2];
    Tensor grad = grads[0].contiguous();
    if (!plain_floats(x)) {
      Tensor wide = grad.to(torch::kFloat32), normed = x.to(torch::kFloat32) * inverse;
      Tensor scaled = wide * weight;
      Tensor grad_x = (scaled - normed * (scaled * normed).mean(-1, true)) * inverse;
      return {grad_x.to(x.scalar_type()), (wide * normed).reshape({-1, weight.size(0)}).sum(0), Tensor()};
    }
    const int64_t columns = x.size(-1), count = x.numel() / columns;
    // One partial sum for each of a fixed number of row ranges: the same bits for any number of threads.
    constexpr int64_t kParts = 16;
    Tensor dx = torch::empty_like(x), parts = torch::zeros({kParts, columns});
    const float *from = x.data_ptr<float>(), *w = weight.data_ptr<float>(), *inv = inverse.data_ptr<float>(),
                *dy = grad.data_ptr<float>();
    float *to = dx.data_ptr<float>(), *dw = parts.data_ptr<float>();
    at::parallel_for(0, kParts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        for (int64_t i = count * part / kParts; i < count * (part + 1) / kParts; ++i)
          rows::rms_norm_backward(dy + i * columns, from + i * columns, w, inv[i], to + i * columns,
                                  dw + part * columns, columns);
      }
    });
    return {dx, parts.sum(0), Tensor()};
  }
};

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& gate, const Tensor& up) {
    context->save_for_backward({gate, up});
    if (!plain_floats(gate) || !gate.is_contiguous() || !up.is_contiguous()) return torch::silu(gate) * up;
    Tensor y = torch::empty_like(gate);
    const float *g = gate.data_ptr<float>(), *u = up.data_ptr<float>();
    float* to = y.data_ptr<float>();
    at::parallel_for(0, gate.numel(), 8192, [&](int64_t begin, int64_t end) {
      rows::swiglu(g + begin, u + begin, to + begin, end - begin);
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    auto saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1];
    if (!plain_floats(gate) || !gate.is_contiguous() || !up.is_contiguous()) {
      Tensor s = torch::sigmoid(gate);
      return {grads[0] * up * s * (1 + gate * (1 - s)), grads[0] * gate * s};
    }
    Tensor grad = grads[0].contiguous(), dgate = torch::empty_like(gate), dup = torch::empty_like(up);
    const float *dy = grad.data_ptr<float>(), *g = gate.data_ptr<float>(), *u = up.data_ptr<float>();
    float *dg = dgate.data_ptr<float>(), *du = dup.data_ptr<float>();
    at::parallel_for(0, gate.numel(), 8192, [&](int64_t begin, int64_t end) {
      rows::swiglu_backward(dy + begin, g + begin, u + begin, dg + begin, du + begin, end - begin);
    });
    return {dgate, dup};
  }
};

class DropoutFunction : public torch::autograd::Function<DropoutFunction> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, double p, int64_t seed) {
    context->saved_data["p"] = p;
    context->saved_data["seed"] = seed;
    return masked(x.contiguous(), p, seed);
  }
  static variable_list backward(AutogradContext* context, variable_list grads) {
    return {masked(grads[0].contiguous(), context->saved_data["p"].toDouble(),
                   context->saved_data["seed"].toInt()),
            Tensor(), Tensor()};
  }

 private:
  static Tensor masked(const Tensor& x, double p, int64_t seed) {
    Tensor y = torch::empty_like(x);
    const auto threshold = static_cast<uint32_t>(p * 4294967295.0);
    const auto by = static_cast<float>(1.0 / (1.0 - p));
    const float* from = x.data_ptr<float>();
    float* to = y.data_ptr<float>();
    at::parallel_for(0, x.numel(), 16384, [&](int64_t begin, int64_t end) {
      rows::dropout(from + begin, to + begin, static_cast<uint32_t>(seed), static_cast<uint32_t>(begin),
                    threshold, by, end - begin);
    });
    return y;
  }
};

/// Loss and gradients in one pass over the logits: they are too large to keep.
class HeadLoss : public torch::autograd::Function<HeadLoss> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& hidden, const Tensor& weight,
                               const Tensor& targets, double z_weight, const Teaching* teaching) {
    const bool learn = hidden.requires_grad() || weight.requires_grad();
    const int64_t count = hidden.size(0), vocabulary = weight.size(0);
    // On the CPU a chunk's logits stay in the last-level cache.
    const int64_t chunk = hidden.device().is_cpu() ? std::max<int64_t>(64, (1 << 21) / vocabulary) : 8192;
    Tensor weight_as = weight.to(hidden.scalar_type());
    Tensor dhidden, dweight;
    if (learn) {
      dhidden = torch::empty_like(hidden);
      dweight = torch::zeros_like(weight);
    }
    Sums sums{torch::zeros({}, hidden.options().dtype(torch::kFloat32)),
              torch::zeros({}, hidden.options().dtype(torch::kFloat32))};
    for (int64_t begin = 0; begin < count; begin += chunk) {
      const int64_t rows = std::min(chunk, count - begin);
      Tensor h = hidden.narrow(0, begin, rows), target = targets.narrow(0, begin, rows);
      Tensor logits = torch::mm(h, weight_as.t()), wanted;
      if (teaching != nullptr) {
        wanted = torch::mm(teaching->hidden.narrow(0, begin, rows),
                           teaching->weight.to(teaching->hidden.scalar_type()).t());
      }
      const double share = teaching == nullptr ? 0.0 : teaching->share;
      Tensor slope = plain_floats(logits) ? rows_of_floats(logits, wanted, target, z_weight, share, sums)
                                          : rows_of_tensors(logits, wanted, target, z_weight, share, sums);
      if (!learn) continue;
      Tensor out = dhidden.narrow(0, begin, rows);
      at::mm_out(out, slope, weight_as);
      if (dweight.scalar_type() == slope.scalar_type()) {
        dweight.addmm_(slope.t(), h);
      } else {
        dweight.add_(torch::mm(slope.t(), h));
      }
    }
    if (learn) context->save_for_backward({dhidden, dweight});
    context->mark_non_differentiable({sums.text});
    return {sums.all, sums.text};
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    auto saved = context->get_saved_variables();
    Tensor by = grads[0];
    return {saved[0] * by.to(saved[0].scalar_type()), saved[1] * by, Tensor(), Tensor(), Tensor()};
  }

 private:
  struct Sums {
    Tensor all, text;
  };

  /// logits becomes d(loss)/d(logits), wanted (the teacher's logits) its softmax; the sums are added to.
  static Tensor rows_of_floats(Tensor& logits, Tensor& wanted, const Tensor& target, double z_weight,
                               double share, Sums& sums) {
    const int64_t count = logits.size(0), vocabulary = logits.size(1);
    float* data = logits.data_ptr<float>();
    float* teacher = wanted.defined() ? wanted.data_ptr<float>() : nullptr;
    const int64_t* goal = target.data_ptr<int64_t>();
    std::vector<double> text(static_cast<size_t>(count)), all(text.size());
    at::parallel_for(0, count, grain(vocabulary), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* row = data + i * vocabulary;
        if (goal[i] < 0) {
          std::fill(row, row + vocabulary, 0.0F);
          continue;
        }
        float* p = nullptr;
        double at_wanted = 0;  // the logits' mean under the teacher
        if (teacher != nullptr) {
          p = teacher + i * vocabulary;
          const float sum = rows::exp_minus(p, rows::max(p, vocabulary), vocabulary);
          rows::scale(p, 1.0F / sum, vocabulary);
          at_wanted = rows::dot(p, row, vocabulary);
        }
        const float most = rows::max(row, vocabulary), at_goal = row[goal[i]];
        const float sum = rows::exp_minus(row, most, vocabulary);
        const double lse = most + std::log(static_cast<double>(sum)), z = z_weight * lse * lse;
        text[static_cast<size_t>(i)] = lse - at_goal;
        all[static_cast<size_t>(i)] = lse - (1.0 - share) * at_goal - share * at_wanted + z;
        rows::scale(row, static_cast<float>((1.0 + 2.0 * z_weight * lse) / sum), vocabulary);
        row[goal[i]] -= static_cast<float>(1.0 - share);
        if (p != nullptr) rows::add_scaled(row, p, static_cast<float>(-share), vocabulary);
      }
    });
    sums.text += std::accumulate(text.begin(), text.end(), 0.0);
    sums.all += std::accumulate(all.begin(), all.end(), 0.0);
    return logits;
  }

  static Tensor rows_of_tensors(const Tensor& logits, const Tensor& wanted, const Tensor& target,
                                double z_weight, double share, Sums& sums) {
    Tensor wide = logits.to(torch::kFloat32), keep = (target >= 0).to(torch::kFloat32);
    Tensor goal = target.clamp_min(0).unsqueeze(1);
    Tensor lse = torch::logsumexp(wide, 1), at_goal = wide.gather(1, goal).squeeze(1);
    Tensor value = lse - at_goal * (1.0 - share) + z_weight * lse.square();
    Tensor slope = torch::exp(wide - lse.unsqueeze(1)) * (1.0 + 2.0 * z_weight * lse).unsqueeze(1);
    slope.scatter_add_(1, goal, torch::full_like(goal, share - 1.0, torch::kFloat32));
    if (wanted.defined()) {
      Tensor p = torch::softmax(wanted, -1, torch::kFloat32);
      value = value - share * (p * wide).sum(1);
      slope = slope - share * p;
    }
    sums.text += ((lse - at_goal) * keep).sum();
    sums.all += (value * keep).sum();
    return (slope * keep.unsqueeze(1)).to(logits.scalar_type());
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) { return RmsNorm::apply(x, weight, eps); }

Tensor swiglu(const Tensor& gate, const Tensor& up) { return SwiGlu::apply(gate, up); }

Tensor dropout(const Tensor& x, const Dropout& how, uint32_t call) {
  if (how.p <= 0) return x;
  if (!plain_floats(x)) return torch::dropout(x, how.p, true);
  return DropoutFunction::apply(x, how.p, static_cast<int64_t>(Rng(how.seed, call).next() >> 32));
}

std::pair<Tensor, Tensor> head_loss(const Tensor& hidden, const Tensor& weight, const Tensor& targets,
                                    double z_weight, const Teaching* teaching) {
  variable_list out = HeadLoss::apply(hidden, weight, targets, z_weight, teaching);
  return {out[0], out[1]};
}

}  // namespace bantam::train
