#include "model/transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "kernels/convert.h"
#include "model/steps.h"

namespace bantam::model {
namespace {

using tensor::DType;

size_t widest(const Config& config) {
  return std::max({size_t{config.dim}, query_width(config), size_t{config.ffn_dim}});
}

void scale(float* x, size_t n, float by) {
  for (size_t i = 0; i < n; ++i) x[i] *= by;
}

}  // namespace

uint64_t KvCache::page_bytes(const Config& config, DType type) {
  const uint64_t layers = config.encoder ? 1 : config.layers;  // an encoder's are read once and not again
  return 2 * layers * config.kv_heads * kPageTokens * position_bytes(config, type);
}

uint64_t Workspace::bytes(const Config& config, uint32_t batch, const Adapters* adapters) {
  const uint64_t row = 2 * uint64_t{config.dim} + 2 * query_width(config) + 2 * kv_width(config) +
                       2 * uint64_t{config.ffn_dim};
  return batch * (row * sizeof(float) + 2 * sizeof(uint32_t) + sizeof(const KvCache*)) +
         kernels::Activations::bytes(batch, widest(config)) +
         (adapters != nullptr ? AdapterBuffers::bytes(*adapters, batch) + batch * sizeof(AdapterScales) : 0);
}

Result<Workspace> Workspace::create(const Config& config, uint32_t batch, const Adapters* adapters) {
  Workspace out;
  out.batch_ = batch;
  const size_t dim = size_t{batch} * config.dim, q = batch * query_width(config),
               kv = batch * kv_width(config), ffn = size_t{batch} * config.ffn_dim;
  BANTAM_ASSIGN(out.storage_,
                tensor::Storage::allocate((2 * dim + 2 * q + 2 * kv + 2 * ffn) * sizeof(float)));
  auto rest = out.storage_.as<float>();
  const auto take = [&rest](std::span<float>& part, size_t size) {
    part = rest.first(size);
    rest = rest.subspan(size);
  };
  take(out.x_, dim);
  take(out.norm_, dim);
  take(out.q_, q);
  take(out.attention_, q);
  take(out.k_, kv);
  take(out.v_, kv);
  take(out.gate_, ffn);
  take(out.up_, ffn);
  out.positions_.resize(batch);
  out.caches_.resize(batch);
  out.outputs_.reserve(batch);
  BANTAM_ASSIGN(out.activations_, kernels::Activations::create(batch, widest(config)));
  if (adapters != nullptr) {
    out.scales_.resize(batch);
    BANTAM_ASSIGN(out.adapter_buffers_, AdapterBuffers::create(*adapters, batch));
  }
  return out;
}

Transformer::Transformer(const Config& config, const Weights& weights, const kernels::Table& table,
                         ThreadPool& pool, uint32_t positions, const Adapters* adapters)
    : config_(config),
      weights_(weights),
      table_(table),
      pool_(pool),
      adapters_(adapters != nullptr && !adapters->empty() ? adapters : nullptr),
      rotations_(rotations(config, weights, positions)),
      window_rotations_(window_rotations(config, positions)) {}

uint64_t Transformer::rope_bytes(const Config& config, uint32_t positions) {
  const uint64_t tables = config.sliding_window > 0 && config.window_rope_base > 0 ? 2 : 1;
  return tables * positions * rotated_channels(config) * sizeof(float);
}

void Transformer::forward(const Batch& batch, const KvCache& cache, Workspace& ws, float* hidden,
                          AdapterScales scales) const {
  const Segment segment{batch, &cache, scales};
  forward({&segment, 1}, ws, hidden);
}

/// Lays the segments' tokens out as rows. Returns how many.
size_t Transformer::gather(std::span<const Segment> segments, Workspace& ws) const {
  size_t n = 0;
  ws.outputs_.clear();
  for (const Segment& segment : segments) {
    const Batch& batch = segment.batch;
    for (uint32_t output : batch.outputs) ws.outputs_.push_back(static_cast<uint32_t>(n) + output);
    embed(segment, ws, ws.x_.data() + n * config_.dim);
    for (size_t t = 0; t < batch.tokens.size(); ++t, ++n) {
      if (adapters_ != nullptr) ws.scales_[n] = segment.scales;
      ws.positions_[n] = batch.position + static_cast<uint32_t>(t);
      ws.caches_[n] = segment.cache;
    }
  }
  return n;
}

/// Leaves only the rows that are wanted. Returns how many.
size_t Transformer::keep_outputs(Workspace& ws) const {
  const size_t bytes = config_.dim * sizeof(float);
  for (size_t i = 0; i < ws.outputs_.size(); ++i) {
    const size_t from = ws.outputs_[i];
    std::memmove(ws.x_.data() + i * config_.dim, ws.x_.data() + from * config_.dim, bytes);
    std::memmove(ws.norm_.data() + i * config_.dim, ws.norm_.data() + from * config_.dim, bytes);
    ws.positions_[i] = ws.positions_[from];
    ws.caches_[i] = ws.caches_[from];
    if (adapters_ != nullptr) ws.scales_[i] = ws.scales_[from];
  }
  return ws.outputs_.size();
}

void Transformer::forward(std::span<const Segment> segments, Workspace& ws, float* hidden) const {
  size_t n = gather(segments, ws);
  if (n == 0) return;
  for (uint32_t layer = 0; layer < config_.layers; ++layer) {
    const LayerWeights& weights = weights_.layers[layer];
    norm(ws.x_.data(), weights.attention_norm, n, ws.norm_.data());
    // Of the last layer nothing reads the other tokens: they need keys and values only.
    const bool last = layer + 1 == config_.layers && ws.outputs_.size() < n;
    keys_and_values(layer, n, !last, ws);
    if (last) {
      n = keep_outputs(ws);
      if (n == 0) return;
      ws.activations_.set(ws.norm_.data(), config_.dim, n, config_.dim);
      product(weights.q, ws, ws.q_.data());
    }
    attention(layer, n, ws);
    norm(ws.x_.data(), weights.ffn_norm, n, ws.norm_.data());
    feed_forward(weights, n, ws);
  }
  norm(ws.x_.data(), weights_.output_norm, n, hidden);
}

void Transformer::logits(const float* hidden, size_t n, std::span<const int32_t> rows, Workspace& ws,
                         float* logits, AdapterScales scales) const {
  ws.activations_.set(hidden, config_.dim, n, config_.dim);
  const size_t width = rows.empty() ? config_.vocab_size : rows.size();
  kernels::matmul(table_, pool_, weights_.output, ws.activations_, logits, width, rows);
  if (adapters_ != nullptr) {
    adapters_->add_product(weights_.output, hidden, config_.dim, n, scales,
                           {table_, pool_, ws.adapter_buffers_}, logits, width, rows);
  }
  if (config_.logit_scale != 1) scale(logits, n * width, 1 / config_.logit_scale);
  if (const float cap = config_.logit_softcap; cap > 0) {
    for (size_t i = 0; i < n * width; ++i) logits[i] = cap * std::tanh(logits[i] / cap);
  }
}

void Transformer::embed(const Segment& segment, Workspace& ws, float* x) const {
  const std::span<const int32_t> tokens = segment.batch.tokens;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const auto& matrix = weights_.token_embedding;
    kernels::dequantize_row(table_, matrix.type, matrix.row(tokens[t]), config_.dim, x + t * config_.dim);
  }
  if (adapters_ != nullptr)
    adapters_->add_embeddings(tokens, segment.scales, {table_, pool_, ws.adapter_buffers_}, x, config_.dim);
  if (config_.embedding_scale != 1) scale(x, tokens.size() * config_.dim, config_.embedding_scale);
}

void Transformer::norm(const float* x, std::span<const float> weight, size_t n, float* out) const {
  for_each(pool_, n, config_.dim * 8, [&](size_t t) {
    table_.rms_norm(x + t * config_.dim, weight.data(), config_.rms_eps, config_.dim, out + t * config_.dim);
  });
}

void Transformer::product(const MatrixView& weights, Workspace& ws, float* y) const {
  const kernels::MatmulPart part{&weights, y, weights.rows};
  products({&part, 1}, ws);
}

/// Products that share what the activations hold, and what adapters add to them.
void Transformer::products(std::span<const kernels::MatmulPart> parts, Workspace& ws) const {
  kernels::matmul(table_, pool_, parts, ws.activations_);
  if (adapters_ == nullptr) return;
  for (const kernels::MatmulPart& part : parts) {
    adapters_->add_products(*part.weights, ws.activations_, ws.scales_, {table_, pool_, ws.adapter_buffers_},
                            part.y, part.y_stride);
  }
}

void Transformer::rotate(float* x, size_t heads, uint32_t layer, uint32_t position) const {
  const Rotations& turns =
      window_rotations_.cos.empty() || !config_.has_window(layer) ? rotations_ : window_rotations_;
  const uint32_t channels = rotated_channels(config_);
  const size_t at = size_t{position} * (channels / 2);
  const auto rope =
      config_.rope_pairing == RopePairing::kInterleaved ? table_.rope_interleaved : table_.rope_half;
  for (size_t head = 0; head < heads; ++head)
    rope(x + head * config_.head_dim, turns.cos.data() + at, turns.sin.data() + at, channels);
}

/// Each head's channels through an RMS norm, where there is one.
void Transformer::norm_heads(float* x, size_t heads, std::span<const float> weight) const {
  if (weight.empty()) return;
  for (size_t head = 0; head < heads; ++head) {
    float* channels = x + head * config_.head_dim;
    table_.rms_norm(channels, weight.data(), config_.rms_eps, config_.head_dim, channels);
  }
}

/// x += residual_scale * post_norm(what norm_ holds), for n rows.
void Transformer::add_to_stream(std::span<const float> post_norm, size_t n, Workspace& ws) const {
  if (!post_norm.empty()) norm(ws.norm_.data(), post_norm, n, ws.norm_.data());
  if (config_.residual_scale != 1) scale(ws.norm_.data(), n * config_.dim, config_.residual_scale);
  table_.add(ws.x_.data(), ws.norm_.data(), n * config_.dim);
}

/// k = rope(W_k norm), v = W_v norm into the cache, and W_q norm, if wanted, into q_.
void Transformer::keys_and_values(uint32_t layer, size_t n, bool queries, Workspace& ws) const {
  const size_t width = kv_width(config_);
  const LayerWeights& weights = weights_.layers[layer];
  ws.activations_.set(ws.norm_.data(), config_.dim, n, config_.dim);
  const kernels::MatmulPart parts[] = {{&weights.k, ws.k_.data(), weights.k.rows},
                                       {&weights.v, ws.v_.data(), weights.v.rows},
                                       {&weights.q, ws.q_.data(), weights.q.rows}};
  products(std::span(parts).first(queries ? 3 : 2), ws);
  for_each(pool_, n, width * 16, [&](size_t t) {
    const KvCache& cache = *ws.caches_[t];
    float *k = ws.k_.data() + t * width, *v = ws.v_.data() + t * width;
    table_.add(k, weights.k_bias.data(), weights.k_bias.size());
    table_.add(v, weights.v_bias.data(), weights.v_bias.size());
    norm_heads(k, config_.kv_heads, weights.k_norm);
    rotate(k, config_.kv_heads, layer, ws.positions_[t]);
    for (size_t head = 0; head < config_.kv_heads; ++head) {
      store_head(table_, config_, cache, layer, head, ws.positions_[t], k + head * config_.head_dim,
                 v + head * config_.head_dim);
    }
  });
}

/// x += W_o attention(rope(q_), keys, values) for n rows.
void Transformer::attention(uint32_t layer, size_t n, Workspace& ws) const {
  const LayerWeights& weights = weights_.layers[layer];
  const size_t width = query_width(config_), group = config_.heads / config_.kv_heads;
  for_each(pool_, n, width * 8, [&](size_t t) {
    float* q = ws.q_.data() + t * width;
    table_.add(q, weights.q_bias.data(), weights.q_bias.size());
    norm_heads(q, config_.heads, weights.q_norm);
    rotate(q, config_.heads, layer, ws.positions_[t]);
  });
  const size_t at_once = std::max<size_t>(1, kernels::kQueryRows / group);
  std::vector<std::pair<size_t, size_t>> chunks;  // rows of one sequence
  size_t work = 0;
  for (size_t begin = 0, end = 0; begin < n; begin = end) {
    while (end < n && end - begin < at_once && ws.caches_[end] == ws.caches_[begin]) ++end;
    chunks.emplace_back(begin, end);
    work =
        std::max(work, (end - begin) * (ws.positions_[end - 1] + size_t{1}) * config_.head_dim * 4 * group);
  }
  // Keys and values are best read once for the whole group, but no thread should be without a share.
  size_t shares = 1;
  while (shares < group && (group % shares != 0 || config_.kv_heads * chunks.size() * shares < pool_.size()))
    ++shares;
  const size_t together = group / shares;
  for_each(pool_, config_.heads / together * chunks.size(), work / shares, [&](size_t part) {
    const size_t head = part / chunks.size() * together;
    const auto [begin, end] = chunks[part % chunks.size()];
    const KvCache& cache = *ws.caches_[begin];
    const size_t kv = head_offset(config_, cache.type, layer, head / group),
                 at = begin * width + head * config_.head_dim;
    kernels::attend(table_, cache.type, {.q = ws.q_.data() + at,
            .q_stride = width,
            .positions = ws.positions_.data() + begin,
            .queries = end - begin,
            .pages = cache.pages.data(),
            .keys = kv,
            .values = kv + values_offset(config_, cache.type),
            .kv_stride = stride_of(config_, cache.type),
            .head_dim = config_.head_dim,
            .scale = config_.attention_scale > 0 ? config_.attention_scale
                                                 : 1.0F / std::sqrt(static_cast<float>(config_.head_dim)),
            .out = ws.attention_.data() + at,
            .out_stride = width,
            .window = config_.has_window(layer) ? config_.sliding_window : 0,
            .softcap = config_.attention_softcap,
            .group = together});
  });
  ws.activations_.set(ws.attention_.data(), width, n, width);
  product(weights.attention_output, ws, ws.norm_.data());
  if (!weights.output_bias.empty()) {
    for (size_t t = 0; t < n; ++t)
      table_.add(ws.norm_.data() + t * config_.dim, weights.output_bias.data(), config_.dim);
  }
  add_to_stream(weights.attention_post_norm, n, ws);
}

/// x += W_down (act(W_gate norm) * W_up norm).
void Transformer::feed_forward(const LayerWeights& weights, size_t n, Workspace& ws) const {
  const size_t width = config_.ffn_dim;
  ws.activations_.set(ws.norm_.data(), config_.dim, n, config_.dim);
  const kernels::MatmulPart parts[] = {{&weights.gate, ws.gate_.data(), width},
                                       {&weights.up, ws.up_.data(), width}};
  products(parts, ws);
  const auto glu = config_.activation == Activation::kGelu ? table_.geglu : table_.swiglu;
  for_each(pool_, n, width * 16,
           [&](size_t t) { glu(ws.gate_.data() + t * width, ws.up_.data() + t * width, width); });
  ws.activations_.set(ws.gate_.data(), width, n, width);
  product(weights.down, ws, ws.norm_.data());
  add_to_stream(weights.ffn_post_norm, n, ws);
}

}  // namespace bantam::model
