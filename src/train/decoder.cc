#include "train/decoder.h"

#include <fmt/ranges.h>

#include <cmath>

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "model/config.h"

namespace bantam::train {
namespace {

using torch::Tensor;

/// RMSNorm (Zhang and Sennrich 2019) as one autograd node: LibTorch 1.13's elementwise chain costs six passes
/// over x.
class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& weight,
                        double eps) {
    Tensor inverse = torch::rsqrt(x.square().mean(-1, true) + eps);
    Tensor normed = x * inverse;
    context->save_for_backward({normed, inverse, weight});
    return normed * weight;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    auto saved = context->get_saved_variables();
    const Tensor &normed = saved[0], &inverse = saved[1], &weight = saved[2], &grad = grads[0];
    Tensor scaled = grad * weight;
    Tensor grad_x = (scaled - normed * (scaled * normed).mean(-1, true)) * inverse;
    Tensor grad_weight = (grad * normed).reshape({-1, weight.size(0)}).sum(0);
    return {grad_x, grad_weight, Tensor()};
  }
};

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) { return RmsNorm::apply(x, weight, eps); }

std::string block(size_t layer, std::string_view part) {
  return fmt::format("blk.{}.{}.weight", layer, part);
}

struct Spec {
  std::string name;
  std::vector<int64_t> shape;  // rows first
  bool residual_output = false;
};

std::vector<Spec> specs(const model::Config& c) {
  const int64_t dim = c.dim, q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim,
                ffn = c.ffn_dim;
  std::vector<Spec> out{{"token_embd.weight", {c.vocab_size, dim}}};
  for (size_t i = 0; i < c.layers; ++i) {
    out.push_back({block(i, "attn_norm"), {dim}});
    out.push_back({block(i, "attn_q"), {q, dim}});
    out.push_back({block(i, "attn_k"), {kv, dim}});
    out.push_back({block(i, "attn_v"), {kv, dim}});
    out.push_back({block(i, "attn_output"), {dim, q}, true});
    out.push_back({block(i, "ffn_norm"), {dim}});
    out.push_back({block(i, "ffn_gate"), {ffn, dim}});
    out.push_back({block(i, "ffn_up"), {ffn, dim}});
    out.push_back({block(i, "ffn_down"), {dim, ffn}, true});
  }
  out.push_back({"output_norm.weight", {dim}});
  if (!c.tied_head) out.push_back({"output.weight", {c.vocab_size, dim}});
  return out;
}

}  // namespace

Decoder::Decoder(model::Config config, std::vector<std::pair<std::string, Tensor>> weights)
    : config_(std::move(config)), weights_(std::move(weights)) {
  for (size_t i = 0; i < weights_.size(); ++i) index_[weights_[i].first] = i;
  for (size_t i = 0; i < config_.layers; ++i) {
    auto at = [&](std::string_view part) { return weight(block(i, part)); };
    layers_.push_back({at("attn_norm"), at("attn_q"), at("attn_k"), at("attn_v"), at("attn_output"),
                       at("ffn_norm"), at("ffn_gate"), at("ffn_up"), at("ffn_down")});
  }
  const int64_t half = config_.head_dim / 2;
  Tensor theta = torch::pow(double{config_.rope_base},
                            -torch::arange(half, torch::kFloat64) / static_cast<double>(half));
  Tensor angle = torch::outer(torch::arange(int64_t{config_.context_length}, torch::kFloat64), theta);
  frequencies_ = torch::polar(torch::ones_like(angle), angle).to(torch::kComplexFloat);
}

Decoder Decoder::random(const model::Config& config, uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(seed);
  std::vector<std::pair<std::string, Tensor>> weights;
  for (const Spec& spec : specs(config)) {
    Tensor w = torch::ones(spec.shape);
    if (spec.shape.size() == 2) {
      const double scale = spec.residual_output ? 0.02 / std::sqrt(2.0 * config.layers) : 0.02;
      w.normal_(0.0, scale, generator);
    }
    weights.emplace_back(spec.name, w);
  }
  return {config, std::move(weights)};
}

Result<Decoder> Decoder::load(const formats::GgufFile& file) {
  BANTAM_ASSIGN(model::Config config, model::read_config(file));
  if (config.rope_pairing != model::RopePairing::kInterleaved) {
    return fail(Code::kUnsupported, "{}: training takes files with interleaved RoPE pairs only", file.path());
  }
  BANTAM_ASSIGN(const kernels::Table* table, kernels::choose_table());
  std::vector<std::pair<std::string, Tensor>> weights;
  for (const Spec& spec : specs(config)) {
    const formats::GgufTensor* stored = file.find_tensor(spec.name);
    if (stored == nullptr) return fail(Code::kCorrupt, "{}: tensor {} is missing", file.path(), spec.name);
    std::vector<uint64_t> shape(spec.shape.rbegin(), spec.shape.rend());
    if (stored->shape != shape) {
      return fail(Code::kCorrupt, "{}: tensor {} has {} elements, expected [{}]", file.path(), spec.name,
                  stored->elements(), fmt::join(shape, ", "));
    }
    Tensor w = torch::empty(spec.shape);
    const size_t columns = shape[0], row_bytes = stored->bytes / (stored->elements() / columns);
    for (size_t row = 0; row < stored->elements() / columns; ++row) {
      kernels::dequantize_row(*table, stored->type, file.data(*stored).data() + row * row_bytes, columns,
                              w.data_ptr<float>() + row * columns);
    }
    weights.emplace_back(spec.name, w);
  }
  return Decoder(config, std::move(weights));
}

const Tensor& Decoder::weight(const std::string& name) const { return weights_.at(index_.at(name)).second; }

void Decoder::set_requires_grad(bool on) {
  for (auto& [name, w] : weights_) w.requires_grad_(on);
}

Status Decoder::save(formats::GgufWriter& file) const {
  model::write_config(config_, file);
  for (const auto& [name, w] : weights_) {
    Tensor plain = w.detach().contiguous();
    std::vector<uint64_t> shape;
    for (auto size : plain.sizes()) shape.insert(shape.begin(), static_cast<uint64_t>(size));
    BANTAM_TRY(file.add_tensor(
        name, formats::GgmlType::kF32, shape,
        std::as_bytes(std::span(plain.data_ptr<float>(), static_cast<size_t>(plain.numel())))));
  }
  return {};
}

/// x: [B, T, heads * D] to [B, heads, T, D], each pair (2i, 2i+1) turned by its angle (RoFormer, Su et al.
/// 2021, eq. 34).
Tensor Decoder::rope(const Tensor& x, int64_t heads) const {
  const int64_t batch = x.size(0), time = x.size(1), pairs = config_.head_dim / 2;
  Tensor turns = frequencies_.slice(0, 0, time).view({1, time, 1, pairs});
  Tensor turned = torch::view_as_real(torch::view_as_complex(x.view({batch, time, heads, pairs, 2})) * turns);
  return turned.view({batch, time, heads, 2 * pairs}).transpose(1, 2);
}

Tensor Decoder::attention(const Layer& layer, const Tensor& x, size_t index, Activations* observe) const {
  const int64_t batch = x.size(0), time = x.size(1), heads = config_.heads, kv = config_.kv_heads,
                d = config_.head_dim;
  Tensor q = rope(torch::linear(x, layer.q), heads);
  Tensor k = rope(torch::linear(x, layer.k), kv);
  Tensor v = torch::linear(x, layer.v).view({batch, time, kv, d}).transpose(1, 2);
  if (kv != heads) {
    k = k.repeat_interleave(heads / kv, 1);
    v = v.repeat_interleave(heads / kv, 1);
  }
  Tensor mask = torch::full({time, time}, -INFINITY).triu(1);
  Tensor scores = torch::matmul(q, k.transpose(-2, -1)) * (1.0 / std::sqrt(static_cast<double>(d))) + mask;
  Tensor mixed = torch::matmul(torch::softmax(scores, -1), v).transpose(1, 2);  // [B, T, heads, D]
  if (observe != nullptr) observe->heads[index] += mixed.norm(2, -1).mean(torch::IntArrayRef({0, 1}));
  return torch::linear(mixed.reshape({batch, time, heads * d}), layer.o);
}

Tensor Decoder::forward(const Tensor& tokens, double dropout, Activations* observe) const {
  const double eps = config_.rms_eps;
  auto drop = [&](const Tensor& x) { return dropout > 0 ? torch::dropout(x, dropout, true) : x; };
  Tensor x = drop(torch::embedding(weight("token_embd.weight"), tokens));
  auto watch_channels = [&](const Tensor& normed) {
    if (observe != nullptr) observe->channels += normed.abs().mean(torch::IntArrayRef({0, 1}));
  };
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    Tensor entered = x;
    Tensor normed = rms_norm(x, layer.attn_norm, eps);
    watch_channels(normed);
    x = x + drop(attention(layer, normed, i, observe));
    normed = rms_norm(x, layer.ffn_norm, eps);
    watch_channels(normed);
    Tensor hidden = torch::silu(torch::linear(normed, layer.gate)) *
                    torch::linear(normed, layer.up);  // SwiGLU (Shazeer 2020)
    if (observe != nullptr) observe->ffn[i] += hidden.abs().mean(torch::IntArrayRef({0, 1}));
    x = x + drop(torch::linear(hidden, layer.down));
    if (observe != nullptr) {
      observe->layer_influence[i] += 1.0 - torch::cosine_similarity(entered, x, -1).mean().item<double>();
    }
  }
  if (observe != nullptr) ++observe->batches;
  return rms_norm(x, weight("output_norm.weight"), eps);
}

Tensor Decoder::logits(const Tensor& hidden) const {
  return torch::linear(hidden, weight(config_.tied_head ? "token_embd.weight" : "output.weight"));
}

Tensor Decoder::logits_of(const Tensor& hidden, const Tensor& ids) const {
  return torch::linear(
      hidden, weight(config_.tied_head ? "token_embd.weight" : "output.weight").index_select(0, ids));
}

}  // namespace bantam::train
