// Tokens per second of a pretraining step, beside the same decoder written the straightforward way in
// LibTorch (bmm attention with a [T, T] mask, whole logits, torch::optim::AdamW), in turns in one run.
//   pretrain_bench [--dim 256 --layers 5 --heads 4 --kv-heads 2 --ffn-dim 768 --vocab 8192] [--rounds 5]
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/rng.h"
#include "base/usage.h"
#include "train/decoder.h"
#include "train/trainer.h"

namespace {

using namespace bantam;
using torch::Tensor;

struct Options {
  int64_t batch = 16, context = 512;
  unsigned threads = 0, steps = 3, rounds = 5;
  bool muon = false;
};

/// Random rows: what they say does not change the time.
Tensor random_tokens(const model::Config& c, const Options& o, uint64_t seed) {
  Rng rng(seed);
  Tensor out = torch::empty({o.batch, o.context + 1}, torch::kInt64);
  for (int64_t i = 0; i < out.numel(); ++i)
    out.data_ptr<int64_t>()[i] = static_cast<int64_t>(rng.below(c.vocab_size));
  return out;
}

/// The decoder as one would write it from the papers with the library's operations.
struct PlainImpl : torch::nn::Module {
  PlainImpl(const model::Config& config, int64_t context) : c(config) {
    const auto dim = int64_t{c.dim}, q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim;
    embedding = register_parameter("embedding", 0.02 * torch::randn({int64_t{c.vocab_size}, dim}));
    for (uint32_t i = 0; i < c.layers; ++i) {
      auto add = [&](const char* name, torch::IntArrayRef shape) {
        Tensor w = shape.size() == 1 ? torch::ones(shape) : 0.02 * torch::randn(shape);
        weights.push_back(register_parameter(fmt::format("{}{}", name, i), w));
      };
      add("norm1_", {dim}), add("q_", {q, dim}), add("k_", {kv, dim}), add("v_", {kv, dim}),
          add("o_", {dim, q});
      add("norm2_", {dim}), add("gate_", {int64_t{c.ffn_dim}, dim}), add("up_", {int64_t{c.ffn_dim}, dim});
      add("down_", {dim, int64_t{c.ffn_dim}});
    }
    last = register_parameter("last", torch::ones({dim}));
    mask = torch::full({context, context}, -std::numeric_limits<float>::infinity()).triu(1);
    Tensor rate =
        torch::pow(double{c.rope_base}, -torch::arange(0, int64_t{c.head_dim}, 2).to(torch::kFloat32) /
                                            static_cast<double>(c.head_dim));
    Tensor angle = torch::outer(torch::arange(context).to(torch::kFloat32), rate);
    cosine = angle.cos(), sine = angle.sin();
  }
  static Tensor norm(const Tensor& x, const Tensor& w) {
    return x * torch::rsqrt(x.pow(2).mean(-1, true) + 1e-5) * w;
  }
  Tensor rope(const Tensor& x) const {  // [B, H, T, D]
    Tensor pair = x.reshape({x.size(0), x.size(1), x.size(2), -1, 2});
    Tensor a = pair.select(-1, 0), b = pair.select(-1, 1);
    return torch::stack({a * cosine - b * sine, a * sine + b * cosine}, -1).flatten(-2);
  }
  Tensor forward(const Tensor& tokens) {
    const auto B = tokens.size(0), T = tokens.size(1), D = int64_t{c.head_dim};
    Tensor x = torch::embedding(embedding, tokens);
    for (uint32_t i = 0; i < c.layers; ++i) {
      const Tensor* w = &weights[i * 9];
      Tensor h = norm(x, w[0]);
      auto heads = [&](const Tensor& m, int64_t n) {
        return torch::linear(h, m).view({B, T, n, D}).transpose(1, 2);
      };
      const int64_t repeat = c.heads / c.kv_heads;
      Tensor q = rope(heads(w[1], c.heads));
      Tensor k = rope(heads(w[2], c.kv_heads)).repeat_interleave(repeat, 1);
      Tensor v = heads(w[3], c.kv_heads).repeat_interleave(repeat, 1);
      Tensor scores = torch::matmul(q, k.transpose(-2, -1)) / std::sqrt(static_cast<double>(D)) + mask;
      Tensor mixed = torch::matmul(torch::softmax(scores, -1), v).transpose(1, 2).reshape({B, T, -1});
      x = x + torch::linear(mixed, w[4]);
      h = norm(x, w[5]);
      x = x + torch::linear(torch::silu(torch::linear(h, w[6])) * torch::linear(h, w[7]), w[8]);
    }
    return torch::linear(norm(x, last), embedding);
  }
  model::Config c;
  Tensor embedding, last, mask, cosine, sine;
  std::vector<Tensor> weights;
};

/// Both give tokens per second of `steps` steps.
double plain(const model::Config& c, const Options& o) {
  torch::manual_seed(1);
  PlainImpl model(c, o.context);
  torch::optim::AdamW optimiser(model.parameters(), torch::optim::AdamWOptions(1e-3));
  double begin = 0;
  for (unsigned step = 0; step < o.steps + 1; ++step) {
    if (step == 1) begin = wall_seconds();  // the first one takes memory
    Tensor rows = random_tokens(c, o, step);
    optimiser.zero_grad();
    Tensor logits = model.forward(rows.slice(1, 0, o.context));
    torch::cross_entropy_loss(logits.reshape({-1, logits.size(2)}), rows.slice(1, 1).reshape({-1}))
        .backward();
    torch::nn::utils::clip_grad_norm_(model.parameters(), 1.0);
    optimiser.step();
  }
  return static_cast<double>(o.steps * o.batch * o.context) / (wall_seconds() - begin);
}

Result<double> ours(const model::Config& c, const Options& o) {
  train::Decoder model = train::Decoder::random(c, 1);
  train::Descent descent;
  descent.muon = o.muon;
  double begin = 0;
  const train::Hooks hooks{.restored = {}, .after_step = [&](const train::StepReport& s) -> Status {
                             if (s.step == 0) begin = wall_seconds();
                             return {};
                           }};
  const train::JobOptions job{.out = "pretrain_bench", .checkpoint_seconds = 1e9, .threads = o.threads};
  auto step = [&](const train::Share& share) -> Result<train::StepLoss> {
    const Tensor rows = random_tokens(c, o, share.step);
    const Tensor own = rows.slice(0, share.shard, rows.size(0), share.shards).contiguous();
    Tensor hidden = model.forward(own.slice(1, 0, o.context).contiguous());
    auto [loss, cross] = train::head_loss(hidden.reshape({-1, hidden.size(2)}), model.head(),
                                          own.slice(1, 1).reshape({-1}).contiguous(), 1e-4);
    return train::StepLoss{loss / static_cast<double>(o.batch * o.context), own.size(0) * o.context};
  };
  BANTAM_ASSIGN(auto report, run_steps(model, descent, job, "bench", "bench", o.steps + 1, step, hooks));
  const double seconds = wall_seconds() - begin;
  train::remove_checkpoint(job);
  return static_cast<double>(report.tokens) * o.steps / (o.steps + 1) / seconds;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  model::Config c;
  c.dim = 256, c.layers = 5, c.heads = 4, c.kv_heads = 2, c.head_dim = 64, c.ffn_dim = 768;
  c.vocab_size = 8192, c.context_length = 512, c.tied_head = true;
  CLI::App app{"Pretraining speed beside straightforward LibTorch"};
  app.add_option("--dim", c.dim)->capture_default_str();
  app.add_option("--layers", c.layers)->capture_default_str();
  app.add_option("--heads", c.heads)->capture_default_str();
  app.add_option("--kv-heads", c.kv_heads)->capture_default_str();
  app.add_option("--head-dim", c.head_dim)->capture_default_str();
  app.add_option("--ffn-dim", c.ffn_dim)->capture_default_str();
  app.add_option("--vocab", c.vocab_size)->capture_default_str();
  app.add_option("--batch", o.batch)->capture_default_str();
  app.add_option("--context", o.context)->capture_default_str();
  app.add_option("--threads", o.threads, "0: all")->capture_default_str();
  app.add_option("--steps", o.steps, "Measured in a round, after one that is not")->capture_default_str();
  app.add_option("--rounds", o.rounds)->capture_default_str();
  app.add_flag("--muon", o.muon, "Ours with Muon; the plain one has AdamW");
  CLI11_PARSE(app, argc, argv);
  c.context_length = static_cast<uint32_t>(o.context);
  train::configure_torch(o.threads);
  std::vector<double> a, b, ratios;
  for (unsigned round = 0; round < o.rounds; ++round) {
    auto fast = ours(c, o);
    if (!fast) {
      fmt::print(stderr, "pretrain_bench: {}\n", fast.error().message);
      return 1;
    }
    a.push_back(*fast);
    b.push_back(plain(c, o));
    ratios.push_back(a.back() / b.back());
    fmt::print("round {}: Bantam {:.0f} tokens/s, plain LibTorch {:.0f}, {:.2f} times\n", round + 1, a.back(),
               b.back(), ratios.back());
  }
  fmt::print(
      "{} parameters, {} x {} tokens, medians of {}: Bantam {:.0f} tokens/s, plain LibTorch {:.0f}, {:.2f} "
      "times\n",
      model::parameter_count(c), o.batch, o.context, o.rounds, median(a), median(b), median(ratios));
  return 0;
}
