#include "train/decoder.h"

#include <fmt/ranges.h>

#include <cmath>

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "model/config.h"
#include "model/family.h"

namespace bantam::train {
namespace {

using torch::Tensor;

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
  bind_layers();
  angles_ = RopeAngles::make(config_.context_length, config_.head_dim, config_.rope_base);
}

void Decoder::bind_layers() {
  layers_.clear();
  for (size_t i = 0; i < config_.layers; ++i) {
    auto at = [&](std::string_view part) { return weight(block(i, part)); };
    layers_.push_back({at("attn_norm"), at("attn_q"), at("attn_k"), at("attn_v"), at("attn_output"),
                       at("ffn_norm"), at("ffn_gate"), at("ffn_up"), at("ffn_down")});
  }
}

void Decoder::to(torch::Device device, torch::Dtype compute) {
  compute_ = compute;
  for (auto& [name, w] : weights_) w = w.detach().to(device);
  angles_ = angles_.to(device);
  bind_layers();
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
  BANTAM_TRY(model::check_plain(file, config));
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

Tensor Decoder::forward(const Tensor& tokens, const Dropout& dropout, Activations* observe,
                        const Tensor& starts) const {
  const double eps = config_.rms_eps;
  uint32_t call = 0;
  auto drop = [&](const Tensor& x) { return train::dropout(x, dropout, call++); };
  auto mean_over_tokens = [](const Tensor& x) { return x.mean(torch::IntArrayRef({0, 1})); };
  auto linear = [&](const Tensor& in, const Tensor& w) { return torch::linear(in, w.to(compute_)); };
  Tensor x = drop(torch::embedding(weight("token_embd.weight"), tokens).to(compute_));
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    Tensor entered = x;
    Tensor normed = rms_norm(x, layer.attn_norm, eps);
    Tensor mixed = rope_attention(linear(normed, layer.q), linear(normed, layer.k), linear(normed, layer.v),
                                  angles_, starts, config_.heads, config_.kv_heads);
    x = x + drop(linear(mixed, layer.o));
    Tensor ffn_normed = rms_norm(x, layer.ffn_norm, eps);
    Tensor hidden = swiglu(linear(ffn_normed, layer.gate), linear(ffn_normed, layer.up));
    x = x + drop(linear(hidden, layer.down));
    if (observe == nullptr) continue;
    observe->channels += mean_over_tokens(normed.abs()) + mean_over_tokens(ffn_normed.abs());
    observe->heads[i] +=
        mean_over_tokens(mixed.view({x.size(0), x.size(1), config_.heads, config_.head_dim}).norm(2, -1));
    observe->ffn[i] += mean_over_tokens(hidden.abs());
    observe->layer_influence[i] += 1.0 - torch::cosine_similarity(entered, x, -1).mean().item<double>();
  }
  if (observe != nullptr) ++observe->batches;
  return rms_norm(x, weight("output_norm.weight"), eps);
}

Tensor Decoder::logits(const Tensor& hidden) const {
  return torch::linear(hidden, head().to(hidden.scalar_type()));
}

Tensor Decoder::logits_of(const Tensor& hidden, const Tensor& ids) const {
  return torch::linear(hidden, head().index_select(0, ids).to(hidden.scalar_type()));
}

}  // namespace bantam::train
