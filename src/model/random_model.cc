#include "model/random_model.h"

#include <cmath>
#include <span>

#include "base/rng.h"
#include "kernels/convert.h"
#include "model/task.h"
#include "text/bpe.h"

namespace bantam::model {
namespace {

using tensor::DType;

/// Adds tensors of random values under GGUF's names.
class TensorWriter {
 public:
  TensorWriter(formats::GgufWriter& file, DType type, uint64_t seed) : file_(file), type_(type), rng_(seed) {}

  Status matrix(const std::string& name, uint64_t rows, uint64_t columns) {
    const DType type = columns % tensor::block_elements(type_) == 0 ? type_ : DType::kF16;
    const size_t row_bytes = tensor::row_bytes(type, columns);
    std::vector<std::byte> data(rows * row_bytes);
    std::vector<float> row(columns);
    const double deviation = 1 / std::sqrt(static_cast<double>(columns));
    for (uint64_t i = 0; i < rows; ++i) {
      for (float& x : row) x = static_cast<float>(deviation * rng_.normal());
      kernels::quantize_row(type, row.data(), columns, data.data() + i * row_bytes);
    }
    return file_.add_tensor(name, type, {columns, rows}, data);
  }

  Status ones(const std::string& name, uint64_t size) {
    const std::vector<float> values(size, 1.0F);
    return file_.add_tensor(name, DType::kF32, {size}, std::as_bytes(std::span(values)));
  }

 private:
  formats::GgufWriter& file_;
  DType type_;
  Rng rng_;
};

Status add_layer(TensorWriter& out, const Config& config, uint32_t layer) {
  const uint64_t c = config.dim, q = uint64_t{config.heads} * config.head_dim,
                 kv = uint64_t{config.kv_heads} * config.head_dim, f = config.ffn_dim;
  const auto name = [layer](std::string_view part) { return fmt::format("blk.{}.{}.weight", layer, part); };
  BANTAM_TRY(out.ones(name("attn_norm"), c));
  BANTAM_TRY(out.matrix(name("attn_q"), q, c));
  BANTAM_TRY(out.matrix(name("attn_k"), kv, c));
  BANTAM_TRY(out.matrix(name("attn_v"), kv, c));
  BANTAM_TRY(out.matrix(name("attn_output"), c, q));
  BANTAM_TRY(out.ones(name("ffn_norm"), c));
  BANTAM_TRY(out.matrix(name("ffn_gate"), f, c));
  BANTAM_TRY(out.matrix(name("ffn_up"), f, c));
  return out.matrix(name("ffn_down"), c, f);
}

}  // namespace

Config tiny_config(uint32_t context_length) {
  Config out;
  out.vocab_size = 300;
  out.context_length = context_length;
  out.dim = out.ffn_dim = 32;
  out.layers = 1;
  out.heads = out.kv_heads = 2;
  out.head_dim = 16;
  out.tied_head = true;
  return out;
}

Status write_random_model(const std::string& path, const Config& config, DType type, uint64_t seed,
                          const std::vector<std::string>& labels, const std::string& chat_template) {
  BANTAM_TRY(check(config));
  formats::GgufWriter file;
  write_config(config, file);
  const std::vector<std::string> texts{"the quick brown fox jumps over the lazy dog"};
  BANTAM_ASSIGN(auto tokenizer, text::train_bpe(texts, {.vocab_size = config.vocab_size,
                                                        .control = {"<|end|>", "<|answer|>"},
                                                        .whole = labels,
                                                        .min_frequency = 2}));
  tokenizer->save(file);
  if (!chat_template.empty()) file.set("tokenizer.chat_template", chat_template);
  if (!labels.empty()) {
    Task task;
    task.name = "random";
    task.labels = task.choices = labels;
    task.prompt = "{input}<|answer|>";
    write_task(task, file);
  }
  TensorWriter out(file, type, seed);
  BANTAM_TRY(out.matrix("token_embd.weight", config.vocab_size, config.dim));
  for (uint32_t layer = 0; layer < config.layers; ++layer) BANTAM_TRY(add_layer(out, config, layer));
  BANTAM_TRY(out.ones("output_norm.weight", config.dim));
  if (!config.tied_head) BANTAM_TRY(out.matrix("output.weight", config.vocab_size, config.dim));
  return file.write(path);
}

}  // namespace bantam::model
