// Attention of the decoder in training: causal, grouped-query, rotary, within documents.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "train/ops.h"
#include "train/rows.h"

namespace bantam::train {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kQueryRows =
    64;  // queries that share a matrix of scores: it stays in the second-level cache

/// A matrix of floats somewhere in memory.
Tensor view(float* data, int64_t rows, int64_t columns, int64_t stride) {
  return torch::from_blob(data, {rows, columns}, {stride, 1});
}

/// One (batch row, key/value head) of q, k, v or a gradient of theirs.
struct Sizes {
  int64_t batch, time, heads, kv_heads, dim;
  int64_t q_stride() const { return heads * dim; }
  int64_t kv_stride() const { return kv_heads * dim; }
  int64_t group() const { return heads / kv_heads; }
};

struct Inputs {
  const float *q, *k, *v, *cosine, *sine;
  const int32_t* starts;  // or null
  Sizes s;

  int64_t start(int64_t b, int64_t t) const { return starts == nullptr ? 0 : starts[b * s.time + t]; }
  const float* q_at(int64_t b, int64_t h) const { return q + b * s.time * s.q_stride() + h * s.dim; }
  const float* k_at(int64_t b, int64_t g) const { return k + b * s.time * s.kv_stride() + g * s.dim; }
  const float* v_at(int64_t b, int64_t g) const { return v + b * s.time * s.kv_stride() + g * s.dim; }

  /// Rotated and scaled rows of one head, [time, dim].
  void turn(const float* from, int64_t stride, float by, float* to) const {
    const int64_t half = s.dim / 2;
    for (int64_t t = 0; t < s.time; ++t)
      rows::rope(from + t * stride, cosine + t * half, sine + t * half, 1.0F, by, to + t * s.dim, half);
  }
  void turn_back(const float* from, int64_t stride, float by, float* to) const {
    const int64_t half = s.dim / 2;
    for (int64_t t = 0; t < s.time; ++t)
      rows::rope(from + t * s.dim, cosine + t * half, sine + t * half, -1.0F, by, to + t * stride, half);
  }
};

/// Calls work(b, g) for each batch row and key/value head, on all threads.
template <class Work>
void for_each_head(const Sizes& s, const Work& work) {
  at::parallel_for(0, s.batch * s.kv_heads, 1, [&](int64_t begin, int64_t end) {
    torch::NoGradGuard no_grad;
    at::AutoDispatchBelowAutograd below;
    for (int64_t i = begin; i < end; ++i) work(i / s.kv_heads, i % s.kv_heads);
  });
}

/// Queries [first, last) with the keys from `from` on that any of them sees.
struct Block {
  int64_t first, last, from;
  int64_t rows() const { return last - first; }
  int64_t keys() const { return last - from; }
};

template <class Work>
void for_each_block(const Inputs& in, int64_t b, const Work& work) {
  for (int64_t first = 0; first < in.s.time; first += kQueryRows) {
    work(Block{first, std::min(first + kQueryRows, in.s.time), in.start(b, first)});
  }
}

void forward_head(const Inputs& in, int64_t b, int64_t g, float* out, float* lse) {
  const Sizes& s = in.s;
  std::vector<float> keys(static_cast<size_t>(s.time * s.dim)), queries(keys.size()),
      scores(static_cast<size_t>(kQueryRows * s.time));
  in.turn(in.k_at(b, g), s.kv_stride(), 1.0F, keys.data());
  Tensor values = view(const_cast<float*>(in.v_at(b, g)), s.time, s.dim, s.kv_stride());
  Tensor key_matrix = view(keys.data(), s.time, s.dim, s.dim);
  const float by = 1.0F / std::sqrt(static_cast<float>(s.dim));
  for (int64_t h = g * s.group(); h < (g + 1) * s.group(); ++h) {
    in.turn(in.q_at(b, h), s.q_stride(), by, queries.data());
    float* to = out + b * s.time * s.q_stride() + h * s.dim;
    float* sums = lse + (b * s.heads + h) * s.time;
    for_each_block(in, b, [&](const Block& block) {
      const int64_t n = block.keys();
      Tensor score = view(scores.data(), block.rows(), n, n);
      at::mm_out(score, view(queries.data() + block.first * s.dim, block.rows(), s.dim, s.dim),
                 key_matrix.narrow(0, block.from, n).t());
      float inverse[kQueryRows];
      for (int64_t t = block.first; t < block.last; ++t) {
        float* row = scores.data() + (t - block.first) * n;
        const int64_t low = in.start(b, t) - block.from, high = t - block.from + 1;
        const float most = rows::max(row + low, high - low);
        const float sum = rows::exp_minus(row + low, most, high - low);
        std::fill(row, row + low, 0.0F);
        std::fill(row + high, row + n, 0.0F);
        sums[t] = most + std::log(sum);
        inverse[t - block.first] = 1.0F / sum;
      }
      Tensor mixed = view(to + block.first * s.q_stride(), block.rows(), s.dim, s.q_stride());
      at::mm_out(mixed, score, values.narrow(0, block.from, n));
      for (int64_t t = block.first; t < block.last; ++t)
        rows::scale(to + t * s.q_stride(), inverse[t - block.first], s.dim);
    });
  }
}

struct Gradients {
  const float *dout, *out, *lse;
  float *dq, *dk, *dv;
};

void backward_head(const Inputs& in, int64_t b, int64_t g, const Gradients& d) {
  const Sizes& s = in.s;
  const auto head_size = static_cast<size_t>(s.time * s.dim),
             score_size = static_cast<size_t>(kQueryRows * s.time);
  std::vector<float> keys(head_size), queries(head_size), dkeys(head_size), dqueries(head_size),
      scores(score_size), slopes(score_size);
  in.turn(in.k_at(b, g), s.kv_stride(), 1.0F, keys.data());
  Tensor values = view(const_cast<float*>(in.v_at(b, g)), s.time, s.dim, s.kv_stride());
  float* dv_at = d.dv + b * s.time * s.kv_stride() + g * s.dim;
  Tensor dvalues = view(dv_at, s.time, s.dim, s.kv_stride());
  Tensor key_matrix = view(keys.data(), s.time, s.dim, s.dim),
         dkey_matrix = view(dkeys.data(), s.time, s.dim, s.dim);
  const float by = 1.0F / std::sqrt(static_cast<float>(s.dim));
  for (int64_t h = g * s.group(); h < (g + 1) * s.group(); ++h) {
    in.turn(in.q_at(b, h), s.q_stride(), by, queries.data());
    const int64_t offset = b * s.time * s.q_stride() + h * s.dim;
    const float* sums = d.lse + (b * s.heads + h) * s.time;
    for_each_block(in, b, [&](const Block& block) {
      const int64_t n = block.keys();
      Tensor query = view(queries.data() + block.first * s.dim, block.rows(), s.dim, s.dim);
      Tensor score = view(scores.data(), block.rows(), n, n), slope = view(slopes.data(), block.rows(), n, n);
      Tensor seen = key_matrix.narrow(0, block.from, n);
      Tensor dout = view(const_cast<float*>(d.dout) + offset + block.first * s.q_stride(), block.rows(),
                         s.dim, s.q_stride());
      at::mm_out(score, query, seen.t());
      at::mm_out(slope, dout, values.narrow(0, block.from, n).t());
      for (int64_t t = block.first; t < block.last; ++t) {
        float *p = scores.data() + (t - block.first) * n, *ds = slopes.data() + (t - block.first) * n;
        const int64_t low = in.start(b, t) - block.from, high = t - block.from + 1;
        rows::exp_minus(p + low, sums[t], high - low);
        std::fill(p, p + low, 0.0F);
        std::fill(p + high, p + n, 0.0F);
        const int64_t at = offset + t * s.q_stride();
        rows::softmax_backward(p, ds, rows::dot(d.dout + at, d.out + at, s.dim), n);
      }
      Tensor dvalue = dvalues.narrow(0, block.from, n), dkey = dkey_matrix.narrow(0, block.from, n);
      dvalue.addmm_(score.t(), dout);
      dkey.addmm_(slope.t(), query);
      Tensor dquery = view(dqueries.data() + block.first * s.dim, block.rows(), s.dim, s.dim);
      at::mm_out(dquery, slope, seen);
    });
    in.turn_back(dqueries.data(), s.q_stride(), by, d.dq + offset);
  }
  in.turn_back(dkeys.data(), s.kv_stride(), 1.0F, d.dk + b * s.time * s.kv_stride() + g * s.dim);
}

Inputs inputs_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& cosine, const Tensor& sine,
                 const Tensor& starts, int64_t heads, int64_t kv_heads) {
  return {.q = q.data_ptr<float>(),
          .k = k.data_ptr<float>(),
          .v = v.data_ptr<float>(),
          .cosine = cosine.data_ptr<float>(),
          .sine = sine.data_ptr<float>(),
          .starts = starts.numel() > 0 ? starts.data_ptr<int32_t>() : nullptr,
          .s = {q.size(0), q.size(1), heads, kv_heads, q.size(2) / heads}};
}

class RopeAttention : public torch::autograd::Function<RopeAttention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& q_in, const Tensor& k_in, const Tensor& v_in,
                        const Tensor& cosine, const Tensor& sine, const Tensor& starts, int64_t heads,
                        int64_t kv_heads) {
    Tensor q = q_in.contiguous(), k = k_in.contiguous(), v = v_in.contiguous();
    const Inputs in = inputs_of(q, k, v, cosine, sine, starts, heads, kv_heads);
    Tensor out = torch::empty_like(q), lse = torch::empty({q.size(0), heads, q.size(1)});
    float *to = out.data_ptr<float>(), *sums = lse.data_ptr<float>();
    for_each_head(in.s, [&](int64_t b, int64_t g) { forward_head(in, b, g, to, sums); });
    context->save_for_backward({q, k, v, cosine, sine, starts, out, lse});
    context->saved_data["heads"] = heads;
    context->saved_data["kv_heads"] = kv_heads;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    auto saved = context->get_saved_variables();
    const Inputs in =
        inputs_of(saved[0], saved[1], saved[2], saved[3], saved[4], saved[5],
                  context->saved_data["heads"].toInt(), context->saved_data["kv_heads"].toInt());
    Tensor dout = grads[0].contiguous();
    Tensor dq = torch::empty_like(saved[0]), dk = torch::empty_like(saved[1]),
           dv = torch::zeros_like(saved[2]);
    const Gradients d{dout.data_ptr<float>(), saved[6].data_ptr<float>(), saved[7].data_ptr<float>(),
                      dq.data_ptr<float>(),   dk.data_ptr<float>(),       dv.data_ptr<float>()};
    for_each_head(in.s, [&](int64_t b, int64_t g) { backward_head(in, b, g, d); });
    return {dq, dk, dv, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

/// x [B, T, heads * D] to [B, heads, T, D], turned where angles are given.
Tensor heads_of(const Tensor& x, int64_t heads, const RopeAngles* angles) {
  const int64_t batch = x.size(0), time = x.size(1), dim = x.size(2) / heads;
  if (angles == nullptr) return x.view({batch, time, heads, dim}).transpose(1, 2);
  Tensor pairs = x.view({batch, time, heads, dim / 2, 2}).to(torch::kFloat32);
  Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  Tensor c = angles->cosine.narrow(0, 0, time).unsqueeze(1), s = angles->sine.narrow(0, 0, time).unsqueeze(1);
  Tensor turned = torch::stack({a * c - b * s, a * s + b * c}, -1).flatten(3).to(x.scalar_type());
  return turned.transpose(1, 2);
}

}  // namespace

RopeAngles RopeAngles::make(int64_t context, int64_t head_dim, double base) {
  const int64_t half = head_dim / 2;
  Tensor theta = torch::pow(base, -torch::arange(half, torch::kFloat64) / static_cast<double>(half));
  Tensor angle = torch::outer(torch::arange(context, torch::kFloat64), theta);
  return {angle.cos().to(torch::kFloat32), angle.sin().to(torch::kFloat32)};
}

Tensor rope_attention_reference(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in,
                                const RopeAngles& angles, const Tensor& starts, int64_t heads,
                                int64_t kv_heads) {
  const int64_t batch = q_in.size(0), time = q_in.size(1), dim = q_in.size(2) / heads;
  Tensor q = heads_of(q_in, heads, &angles), k = heads_of(k_in, kv_heads, &angles),
         v = heads_of(v_in, kv_heads, nullptr);
  if (kv_heads != heads) {
    k = k.repeat_interleave(heads / kv_heads, 1);
    v = v.repeat_interleave(heads / kv_heads, 1);
  }
  Tensor at = torch::arange(time, torch::TensorOptions().dtype(torch::kInt32).device(q.device()));
  Tensor hidden = (at.unsqueeze(0) > at.unsqueeze(1)).view({1, 1, time, time});
  if (starts.defined())
    hidden = hidden.logical_or((at.view({1, 1, time}) < starts.unsqueeze(2)).unsqueeze(1));
  Tensor scores = torch::matmul(q, k.transpose(-2, -1)) * (1.0 / std::sqrt(static_cast<double>(dim)));
  Tensor p = torch::softmax(scores.masked_fill(hidden, -INFINITY), -1, torch::kFloat32).to(v.scalar_type());
  return torch::matmul(p, v).transpose(1, 2).reshape({batch, time, heads * dim});
}

Tensor rope_attention(const Tensor& q, const Tensor& k, const Tensor& v, const RopeAngles& angles,
                      const Tensor& starts, int64_t heads, int64_t kv_heads) {
  if (!q.device().is_cpu() || q.scalar_type() != torch::kFloat32) {
    return rope_attention_reference(q, k, v, angles, starts, heads, kv_heads);
  }
  // A node of autograd takes no undefined tensors.
  return RopeAttention::apply(q, k, v, angles.cosine, angles.sine,
                              starts.defined() ? starts : torch::empty({0}, torch::kInt32), heads, kv_heads);
}

}  // namespace bantam::train
