#pragma once
// The differentiable pieces of a decoder whose straightforward LibTorch form is slow or large: each is one
// autograd node with a hand-written backward pass. On the CPU in float32 they run as the loops of rows.h and
// as matrix products on views; elsewhere as LibTorch operations. Private to train/.

#include <torch/torch.h>

namespace bantam::train {

/// RMSNorm (Zhang and Sennrich 2019): x [..., C], weight [C]. Computed in float32, returned in x's type.
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps);

/// silu(gate) * up (Shazeer 2020), both [..., F].
torch::Tensor swiglu(const torch::Tensor& gate, const torch::Tensor& up);

/// Which elements a forward pass drops: with probability p, decided by (seed, call, element) alone, whatever
/// thread computes them.
struct Dropout {
  double p = 0;
  uint64_t seed = 0;
};
/// x / (1 - p) with dropped elements 0 (Srivastava et al. 2014); `call` tells the uses of one pass apart.
/// Where x is not plain floats on the CPU, the device's own generator decides.
torch::Tensor dropout(const torch::Tensor& x, const Dropout& how, uint32_t call);

/// Angles of rotary embeddings (Su et al. 2021, eq. 34): float32 [context, head_dim / 2].
struct RopeAngles {
  torch::Tensor cosine, sine;
  static RopeAngles make(int64_t context, int64_t head_dim, double base);
  RopeAngles to(torch::Device device) const { return {cosine.to(device), sine.to(device)}; }
};

/// Causal grouped-query attention with rotary embeddings on interleaved pairs: q [B, T, heads * D], k and v
/// [B, T, kv_heads * D] as the projections give them; returns [B, T, heads * D]. `starts` is int32 [B, T],
/// for each position the first one it may look at (its document's start; it never falls within a row), or
/// undefined for 0. No [T, T] tensor is kept for the backward pass (Rabe and Staats 2021): it is computed
/// again from the row sums' logarithms.
torch::Tensor rope_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                             const RopeAngles& angles, const torch::Tensor& starts, int64_t heads,
                             int64_t kv_heads);
/// The same by LibTorch's own operations and autograd: the reference, and the path of other devices.
torch::Tensor rope_attention_reference(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                       const RopeAngles& angles, const torch::Tensor& starts, int64_t heads,
                                       int64_t kv_heads);

/// What a student of a language model is to say: the teacher's own distribution, weighed against the text.
struct Teaching {
  torch::Tensor hidden;  // [N, C'] of the teacher, on the student's device
  torch::Tensor weight;  // [V, C'], the teacher's output projection
  double share =
      0;  // 0 to 1: the target is (1 - share) * the text's next token + share * the teacher's softmax
};

/// Sum over the rows of hidden [N, C] of the cross-entropy of logits hidden * weight^T [V, C] against targets
/// int64 [N] (rows with target -1 count nothing), or against the mixture that `teaching` says, plus z_weight
/// * logsumexp^2 (PaLM, Chowdhery et al. 2022). Logits exist for a few hundred rows at a time only. Returns
/// {differentiable sum, sum of the cross-entropy against the text alone}, float32 scalars.
std::pair<torch::Tensor, torch::Tensor> head_loss(const torch::Tensor& hidden, const torch::Tensor& weight,
                                                  const torch::Tensor& targets, double z_weight,
                                                  const Teaching* teaching = nullptr);

}  // namespace bantam::train
