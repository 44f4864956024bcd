// The hand-written forward and backward passes against LibTorch's own operations and autograd.
#include "train/ops.h"

#include <gtest/gtest.h>

#include "train/rows.h"

namespace bantam::train {
namespace {

using torch::Tensor;

Tensor leaf(torch::IntArrayRef shape) { return torch::randn(shape).requires_grad_(true); }

/// Largest difference over the largest magnitude.
double apart(const Tensor& a, const Tensor& b) {
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-6)).item<double>();
}

struct AttentionCase {
  int64_t batch, time, heads, kv_heads, dim;
  std::vector<int64_t> documents;  // first positions beside 0
};

TEST(Ops, AttentionEqualsTheReference) {
  torch::manual_seed(1);
  const AttentionCase cases[] = {{1, 1, 1, 1, 2, {}},          {2, 5, 2, 2, 4, {}},
                                 {3, 64, 4, 2, 16, {}},        {2, 65, 4, 1, 32, {1, 64}},
                                 {2, 200, 3, 3, 8, {63, 130}}, {1, 129, 2, 1, 64, {128}}};
  for (const auto& c : cases) {
    Tensor q = leaf({c.batch, c.time, c.heads * c.dim}), k = leaf({c.batch, c.time, c.kv_heads * c.dim}),
           v = leaf({c.batch, c.time, c.kv_heads * c.dim});
    const auto angles = RopeAngles::make(256, c.dim, 10000);
    Tensor starts;
    if (!c.documents.empty()) {
      starts = torch::zeros({c.batch, c.time}, torch::kInt32);
      for (int64_t at : c.documents) starts.narrow(1, at, c.time - at).fill_(at);
      starts[0].fill_(0);  // rows differ
    }
    Tensor expected = rope_attention_reference(q, k, v, angles, starts, c.heads, c.kv_heads);
    Tensor direction = torch::randn_like(expected);
    auto wanted = torch::autograd::grad({(expected * direction).sum()}, {q, k, v});
    Tensor found = rope_attention(q, k, v, angles, starts, c.heads, c.kv_heads);
    auto got = torch::autograd::grad({(found * direction).sum()}, {q, k, v});
    EXPECT_LT(apart(found, expected), 1e-5) << c.time;
    for (size_t i = 0; i < 3; ++i) EXPECT_LT(apart(got[i], wanted[i]), 2e-5) << c.time << " gradient " << i;
  }
}

TEST(Ops, NormAndSwiGlu) {
  torch::manual_seed(2);
  for (int64_t columns : {1, 7, 64, 100}) {
    Tensor x = leaf({3, 11, columns}), weight = leaf({columns});
    Tensor expected = x * torch::rsqrt(x.square().mean(-1, true) + 1e-5) * weight;
    Tensor direction = torch::randn_like(expected);
    auto wanted = torch::autograd::grad({(expected * direction).sum()}, {x, weight});
    Tensor found = rms_norm(x, weight, 1e-5);
    auto got = torch::autograd::grad({(found * direction).sum()}, {x, weight});
    EXPECT_LT(apart(found, expected), 1e-5);
    for (size_t i = 0; i < 2; ++i) EXPECT_LT(apart(got[i], wanted[i]), 5e-5) << columns << " gradient " << i;

    Tensor gate = leaf({5, columns}), up = leaf({5, columns});
    Tensor both = torch::silu(gate * 10) * up;
    auto both_wanted = torch::autograd::grad({both.sum()}, {gate, up});
    Tensor mine = swiglu(gate * 10, up);
    auto both_got = torch::autograd::grad({mine.sum()}, {gate, up});
    EXPECT_LT(apart(mine, both), 1e-5);
    for (size_t i = 0; i < 2; ++i) EXPECT_LT(apart(both_got[i], both_wanted[i]), 1e-5);
  }
}

TEST(Ops, HeadLoss) {
  torch::manual_seed(3);
  for (int64_t vocabulary : {3, 50, 40000}) {  // 40,000: two chunks
    const int64_t count = vocabulary == 40000 ? 130 : 20;
    Tensor hidden = leaf({count, 8}), weight = leaf({vocabulary, 8});
    Tensor targets = torch::randint(vocabulary, {count}, torch::kInt64);
    targets[1] = -1;
    for (double z : {0.0, 0.01}) {
      Tensor logits = torch::mm(hidden, weight.t());
      Tensor plain = torch::cross_entropy_loss(logits, targets, {}, at::Reduction::Sum, -1);
      Tensor keep = (targets >= 0).to(torch::kFloat32);
      Tensor expected = (plain + z * (torch::logsumexp(logits, 1).square() * keep).sum()) * 0.5;
      auto wanted = torch::autograd::grad({expected}, {hidden, weight});
      auto [sum, cross] = head_loss(hidden, weight, targets, z);
      auto got = torch::autograd::grad({sum * 0.5}, {hidden, weight});
      EXPECT_NEAR(cross.item<double>() / plain.item<double>(), 1, 1e-5);
      EXPECT_NEAR(sum.item<double>() * 0.5 / expected.item<double>(), 1, 1e-5);
      for (size_t i = 0; i < 2; ++i) EXPECT_LT(apart(got[i], wanted[i]), 1e-4) << vocabulary;
    }
  }
}

TEST(Ops, HeadLossOfAMixture) {
  torch::manual_seed(4);
  const int64_t count = 30, vocabulary = 70;
  Tensor hidden = leaf({count, 8}), weight = leaf({vocabulary, 8});
  const Teaching teaching{torch::randn({count, 5}), torch::randn({vocabulary, 5}), 0.7};
  Tensor targets = torch::randint(vocabulary, {count}, torch::kInt64);
  targets[0] = -1;
  Tensor keep = (targets >= 0).to(torch::kFloat32),
         log_p = torch::log_softmax(torch::mm(hidden, weight.t()), -1);
  Tensor p = torch::softmax(torch::mm(teaching.hidden, teaching.weight.t()), -1);
  Tensor plain = -log_p.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
  Tensor expected = ((0.3 * plain - 0.7 * (p * log_p).sum(1)) * keep).sum();
  auto wanted = torch::autograd::grad({expected}, {hidden, weight});
  auto [sum, cross] = head_loss(hidden, weight, targets, 0, &teaching);
  auto got = torch::autograd::grad({sum}, {hidden, weight});
  EXPECT_NEAR(cross.item<double>() / (plain * keep).sum().item<double>(), 1, 1e-5);
  EXPECT_NEAR(sum.item<double>() / expected.item<double>(), 1, 1e-5);
  for (size_t i = 0; i < 2; ++i) EXPECT_LT(apart(got[i], wanted[i]), 1e-4);
}

TEST(Ops, ExponentialAndItsLimits) {
  for (float shift : {0.0F, 3.5F}) {
    std::vector<float> x;
    for (float at = -120; at <= 60; at += 0.37F) x.push_back(at + shift);
    std::vector<float> y = x;
    rows::exp_minus(y.data(), shift, static_cast<int64_t>(y.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i] - shift));
      EXPECT_NEAR(y[i], exact, exact * 1e-6 + 1.3e-38) << x[i];
    }
  }
}

}  // namespace
}  // namespace bantam::train
