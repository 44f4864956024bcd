#include "model/encoder.h"

#include <cmath>

#include "kernels/convert.h"
#include "model/steps.h"

namespace bantam::model {

namespace {

/// Queries of one head that one thread takes at a time.
constexpr size_t kQueryChunk = 16;

void add_bias(const kernels::Table& table, std::span<const float> bias, size_t n, float* y) {
  for (size_t t = 0; t < n && !bias.empty(); ++t) table.add(y + t * bias.size(), bias.data(), bias.size());
}

}  // namespace

std::vector<MatrixView*> EncoderWeights::products() {
  std::vector<MatrixView*> out;
  for (auto& layer : layers)
    out.insert(out.end(), {&layer.q, &layer.k, &layer.v, &layer.output, &layer.gate, &layer.up, &layer.down});
  return out;
}

Encoder::Encoder(const Config& config, EncoderWeights weights, const kernels::Table& table, ThreadPool& pool,
                 uint32_t positions)
    : config_(config), weights_(std::move(weights)), table_(table), pool_(pool), ones_(config.ffn_dim, 1.0F) {
  if (weights_.positions.empty()) rotations_ = rotations(config, Weights{}, positions);
}

void Encoder::embed(std::span<const int32_t> tokens, float* x) const {
  const size_t dim = config_.dim;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const MatrixView& matrix = weights_.token_embedding;
    float* row = x + t * dim;
    kernels::dequantize_row(table_, matrix.type, matrix.row(tokens[t]), dim, row);
    if (!weights_.token_type.empty()) table_.add(row, weights_.token_type.data(), dim);
    if (!weights_.positions.empty()) table_.add(row, weights_.positions.data() + t * dim, dim);
  }
}

void Encoder::norm(float* x, const LayerNormWeights& weights, size_t n) const {
  const size_t dim = config_.dim;
  for_each(pool_, n, dim * 8, [&](size_t t) {
    float* row = x + t * dim;
    double sum = 0, squares = 0;
    for (size_t c = 0; c < dim; ++c) sum += row[c];
    const double mean = sum / static_cast<double>(dim);
    for (size_t c = 0; c < dim; ++c) squares += (row[c] - mean) * (row[c] - mean);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + config_.rms_eps);
    for (size_t c = 0; c < dim; ++c) {
      row[c] = static_cast<float>((row[c] - mean) * scale) * weights.weight[c] + weights.bias[c];
    }
  });
}

/// y = W (what the activations hold) + bias, for n rows.
void Encoder::linear(const MatrixView& weights, std::span<const float> bias, size_t n, Workspace& ws,
                     float* y) const {
  kernels::matmul(table_, pool_, weights, ws.activations_, y, weights.rows);
  add_bias(table_, bias, n, y);
}

void Encoder::rotate(float* x, uint32_t position) const {
  if (rotations_.cos.empty()) return;
  const uint32_t channels = rotated_channels(config_);
  const size_t at = size_t{position} * (channels / 2);
  const auto rope =
      config_.rope_pairing == RopePairing::kInterleaved ? table_.rope_interleaved : table_.rope_half;
  for (size_t head = 0; head < config_.heads; ++head)
    rope(x + head * config_.head_dim, rotations_.cos.data() + at, rotations_.sin.data() + at, channels);
}

/// Of the rows begin .. begin + n - 1, into the cache.
void Encoder::keys_and_values(const EncoderLayer& layer, size_t begin, size_t n, const KvCache& cache,
                              Workspace& ws, const float* x) const {
  const size_t width = kv_width(config_);
  ws.activations_.set(x + begin * config_.dim, config_.dim, n, config_.dim);
  linear(layer.k, layer.k_bias, n, ws, ws.k_.data());
  linear(layer.v, layer.v_bias, n, ws, ws.v_.data());
  for_each(pool_, n, width * 16, [&](size_t t) {
    float *k = ws.k_.data() + t * width, *v = ws.v_.data() + t * width;
    rotate(k, static_cast<uint32_t>(begin + t));
    for (size_t head = 0; head < config_.kv_heads; ++head) {
      store_head(table_, config_, cache, 0, head, begin + t, k + head * config_.head_dim, v + head * config_.head_dim);
    }
  });
}

/// x = norm(x + W_o attention(x)) for the rows begin .. begin + n - 1 of `total`.
void Encoder::attention(const EncoderLayer& layer, size_t begin, size_t n, size_t total, const KvCache& cache,
                        Workspace& ws, float* x) const {
  const size_t width = query_width(config_), chunks = (n + kQueryChunk - 1) / kQueryChunk;
  float* rows = x + begin * config_.dim;
  ws.activations_.set(rows, config_.dim, n, config_.dim);
  linear(layer.q, layer.q_bias, n, ws, ws.q_.data());
  for (size_t t = 0; t < n; ++t) {
    rotate(ws.q_.data() + t * width, static_cast<uint32_t>(begin + t));
    ws.positions_[t] = static_cast<uint32_t>(total - 1);  // sees all
  }
  for_each(pool_, config_.heads * chunks, kQueryChunk * total * config_.head_dim * 4, [&](size_t part) {
    const size_t head = part / chunks, first = part % chunks * kQueryChunk;
    const size_t kv = head_offset(config_, cache.type, 0, head), at = first * width + head * config_.head_dim;
    kernels::attend(table_, cache.type, {.q = ws.q_.data() + at,
            .q_stride = width,
            .positions = ws.positions_.data() + first,
            .queries = std::min(kQueryChunk, n - first),
            .pages = cache.pages.data(),
            .keys = kv,
            .values = kv + values_offset(config_, cache.type),
            .kv_stride = stride_of(config_, cache.type),
            .head_dim = config_.head_dim,
            .scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
            .out = ws.attention_.data() + at,
            .out_stride = width});
  });
  ws.activations_.set(ws.attention_.data(), width, n, width);
  linear(layer.output, layer.output_bias, n, ws, ws.norm_.data());
  table_.add(rows, ws.norm_.data(), n * config_.dim);
  norm(rows, layer.attention_norm, n);
}

/// x = norm(x + W_down act(W_up x)), or with silu(W_gate x) * W_up x between, for n rows.
void Encoder::feed_forward(const EncoderLayer& layer, size_t n, Workspace& ws, float* x) const {
  const size_t width = config_.ffn_dim;
  ws.activations_.set(x, config_.dim, n, config_.dim);
  const bool gated = layer.gate.data != nullptr;
  linear(layer.up, layer.up_bias, n, ws, ws.up_.data());
  if (gated) linear(layer.gate, {}, n, ws, ws.gate_.data());
  float* inner = gated ? ws.gate_.data() : ws.up_.data();
  const auto glu = config_.activation == Activation::kGelu ? table_.geglu : table_.swiglu;
  for_each(pool_, n, width * 16, [&](size_t t) {
    glu(inner + t * width, gated ? ws.up_.data() + t * width : ones_.data(), width);
  });
  ws.activations_.set(inner, width, n, width);
  linear(layer.down, layer.down_bias, n, ws, ws.norm_.data());
  table_.add(x, ws.norm_.data(), n * config_.dim);
  norm(x, layer.ffn_norm, n);
}

void Encoder::forward(std::span<const int32_t> tokens, const KvCache& cache, Workspace& ws, float* x) const {
  const size_t total = tokens.size(), batch = ws.batch_;
  embed(tokens, x);
  norm(x, weights_.embedding_norm, total);
  for (const EncoderLayer& layer : weights_.layers) {
    for (size_t begin = 0; begin < total; begin += batch)
      keys_and_values(layer, begin, std::min(batch, total - begin), cache, ws, x);
    for (size_t begin = 0; begin < total; begin += batch) {
      const size_t n = std::min(batch, total - begin);
      attention(layer, begin, n, total, cache, ws, x);
      feed_forward(layer, n, ws, x + begin * config_.dim);
    }
  }
}

}  // namespace bantam::model
