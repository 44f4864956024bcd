#include "model/adapters.h"

#include <algorithm>

#include "kernels/convert.h"
#include "model/family.h"
#include "model/tensor_reader.h"

namespace bantam::model {
namespace {

/// Floats of products that are made before they are added.
constexpr size_t kOuter = size_t{1} << 16;

/// A matrix of the model and which rows of the tensor it is.
struct Target {
  const MatrixView* view;
  uint64_t first_row;
};

/// The matrices that the tensor of this name became.
std::vector<Target> targets(const std::string& name, const Weights& weights, const Config& config) {
  if (name == "output.weight") return {{&weights.output, 0}};
  const auto family = find_family(config.architecture);
  const bool fused = family && (*family)->fused;
  for (uint32_t i = 0; i < config.layers; ++i) {
    const std::string prefix = fmt::format("blk.{}.", i);
    if (!name.starts_with(prefix)) continue;
    const LayerWeights& layer = weights.layers[i];
    const std::string part = name.substr(prefix.size());
    if (fused && part == "attn_qkv.weight")
      return {{&layer.q, 0}, {&layer.k, layer.q.rows}, {&layer.v, layer.q.rows + layer.k.rows}};
    if (fused && part == "ffn_up.weight") return {{&layer.gate, 0}, {&layer.up, layer.gate.rows}};
    const std::pair<std::string_view, const MatrixView*> names[] = {
        {"attn_q.weight", &layer.q},      {"attn_k.weight", &layer.k},
        {"attn_v.weight", &layer.v},      {"attn_output.weight", &layer.attention_output},
        {"ffn_gate.weight", &layer.gate}, {"ffn_up.weight", &layer.up},
        {"ffn_down.weight", &layer.down}};
    for (const auto& [known, view] : names) {
      if (part == known) return {{view, 0}};
    }
  }
  return {};
}

std::vector<float> transposed(const MatrixView& matrix) {
  std::vector<float> out(matrix.rows * matrix.columns), row(matrix.columns);
  for (size_t i = 0; i < matrix.rows; ++i) {
    kernels::dequantize_row(kernels::ref::table(), matrix.type, matrix.row(i), matrix.columns, row.data());
    for (size_t j = 0; j < matrix.columns; ++j) out[j * matrix.rows + i] = row[j];
  }
  return out;
}

bool same(AdapterScales a, AdapterScales b) { return a.data() == b.data() && a.size() == b.size(); }

}  // namespace

Result<AdapterBuffers> AdapterBuffers::create(const Adapters& adapters, size_t batch) {
  AdapterBuffers out;
  BANTAM_ASSIGN(out.activations_,
                kernels::Activations::create(batch, std::max(adapters.columns_, adapters.rank_)));
  out.inner_.resize(batch * adapters.rank_);
  out.outer_.resize(std::max(kOuter, adapters.width_));
  return out;
}

uint64_t AdapterBuffers::bytes(const Adapters& adapters, size_t batch) {
  if (adapters.empty()) return 0;
  return kernels::Activations::bytes(batch, std::max(adapters.columns_, adapters.rank_)) +
         (batch * adapters.rank_ + std::max(kOuter, adapters.width_)) * sizeof(float);
}

uint64_t Adapters::bytes() const {
  uint64_t out = 0;
  for (const auto& file : files_) out += file->bytes();
  for (const auto& matrix : own_) out += matrix.size() * sizeof(float);
  return out;
}

void Adapters::add_part(const MatrixView& weights, Part part) {
  rank_ = std::max(rank_, part.b.columns);
  columns_ = std::max(columns_, part.a.columns);
  width_ = std::max(width_, part.b.rows);
  matrices_[&weights].push_back(part);
}

void Adapters::add(AdapterFile file, const Weights& weights, const Config& config) {
  const size_t index = files_.size();
  files_.push_back(std::make_unique<AdapterFile>(std::move(file)));
  for (const LowRank& low : files_.back()->parts()) {
    if (low.table) {
      table_.push_back({index, low.factor, low.a, low.b});
      rank_ = std::max(rank_, low.b.columns);
      width_ = std::max(width_, low.b.rows);
      if (config.tied_head) {  // the same matrix, met the other way round: logits += A (B^T x)
        own_.push_back(transposed(low.b));
        const MatrixView inner{tensor::DType::kF32, low.b.columns, low.b.rows,
                               reinterpret_cast<const std::byte*>(own_.back().data())};
        add_part(weights.output, {index, low.factor, inner, low.a});
      }
      continue;
    }
    for (const auto& [view, first_row] : targets(low.tensor, weights, config))
      add_part(*view, {index, low.factor, low.a, rows_of(low.b, first_row, view->rows)});
  }
}

/// y += B z for the rows of z in buffers.inner_, times `scale`, as many tokens and `rows` at a time as there is room for.
void Adapters::add_low_rank(const Part& part, float scale, size_t tokens, const Place& place, float* y,
                            size_t y_stride, std::span<const int32_t> rows) const {
  AdapterBuffers& buffers = place.buffers;
  const size_t rank = part.b.columns, room = buffers.outer_.size();
  for (size_t i = 0; i < tokens * rank; ++i) buffers.inner_[i] *= scale;
  for (; rows.size() > room; rows = rows.subspan(room), y += room) add_rows(part, tokens, place, y, y_stride, rows.first(room));
  add_rows(part, tokens, place, y, y_stride, rows);
}

void Adapters::add_rows(const Part& part, size_t tokens, const Place& place, float* y, size_t y_stride,
                        std::span<const int32_t> rows) const {
  AdapterBuffers& buffers = place.buffers;
  const size_t rank = part.b.columns, width = rows.empty() ? part.b.rows : rows.size();
  const size_t at_once = std::max<size_t>(1, buffers.outer_.size() / std::max<size_t>(width, 1));
  for (size_t begin = 0; begin < tokens; begin += at_once) {
    const size_t n = std::min(at_once, tokens - begin);
    buffers.activations_.set(buffers.inner_.data() + begin * rank, rank, n, rank);
    kernels::matmul(place.table, place.pool, part.b, buffers.activations_, buffers.outer_.data(), width,
                    rows);
    for (size_t t = 0; t < n; ++t)
      place.table.add(y + (begin + t) * y_stride, buffers.outer_.data() + t * width, width);
  }
}

void Adapters::add_product(const MatrixView& weights, const float* x, size_t stride, size_t tokens,
                           AdapterScales scales, const Place& place, float* y, size_t y_stride,
                           std::span<const int32_t> rows) const {
  if (scales.empty() || tokens == 0) return;
  const auto found = matrices_.find(&weights);
  if (found == matrices_.end()) return;
  for (const Part& part : found->second) {
    const float scale = scales[part.adapter] * part.factor;
    if (scale == 0) continue;
    AdapterBuffers& buffers = place.buffers;
    buffers.activations_.set(x, stride, tokens, part.a.columns);
    kernels::matmul(place.table, place.pool, part.a, buffers.activations_, buffers.inner_.data(),
                    part.a.rows);
    add_low_rank(part, scale, tokens, place, y, y_stride, rows);
  }
}

void Adapters::add_products(const MatrixView& weights, const kernels::Activations& x,
                            std::span<const AdapterScales> scales, const Place& place, float* y,
                            size_t y_stride) const {
  if (!changes(weights)) return;
  for (size_t begin = 0, end = 0; begin < x.tokens(); begin = end) {
    while (end < x.tokens() && same(scales[end], scales[begin])) ++end;
    add_product(weights, x.data() + begin * x.stride(), x.stride(), end - begin, scales[begin], place,
                y + begin * y_stride, y_stride);
  }
}

void Adapters::add_embeddings(std::span<const int32_t> tokens, AdapterScales scales, const Place& place,
                              float* x, size_t dim) const {
  if (scales.empty()) return;
  for (const Part& part : table_) {
    const float scale = scales[part.adapter] * part.factor;
    if (scale == 0) continue;
    const size_t rank = part.a.columns;
    for (size_t t = 0; t < tokens.size(); ++t)
      kernels::dequantize_row(place.table, part.a.type, part.a.row(static_cast<size_t>(tokens[t])), rank,
                              place.buffers.inner_.data() + t * rank);
    add_low_rank(part, scale, tokens.size(), place, x, dim, {});
  }
}

}  // namespace bantam::model
