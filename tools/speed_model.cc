// speed_model SHAPE MIX OUT: a decoder of the Llama family with random weights, of any size, for measuring
// speed. SHAPE is "dim,layers,heads/kv_heads,ffn,vocabulary"; MIX a type or mix as `bantam quantize` names
// them ("Q8_0", "Q4_K_M"). Rows are drawn from a stock of blocks that were quantised from normal numbers, so
// that a gigabyte takes seconds. The vocabulary is byte-level BPE with as many
// merges as tokens, as real ones are.

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/rng.h"
#include "compress/mix.h"
#include "formats/gguf.h"
#include "kernels/convert.h"
#include "tensor/dtype.h"

namespace {

using namespace bantam;
using formats::GgmlType;
using formats::GgufWriter;

struct Shape {
  uint32_t dim, layers, heads, kv_heads, ffn, vocabulary;
  uint32_t head_dim() const { return dim / heads; }
};

constexpr size_t kStock = 4096;  // blocks of each type and size of weights

/// Matrices of random blocks.
class Matrices {
 public:
  Matrices(GgufWriter& file, const compress::Mix& mix, const compress::MixModel& model)
      : file_(file), mix_(mix), model_(model) {}

  Status add(const std::string& name, uint64_t rows, uint64_t columns, double deviation) {
    const GgmlType type = compress::mixed_type(mix_, model_, name, columns);
    const size_t unit = tensor::block_elements(type) > 1 ? tensor::block_elements(type) : 32;
    const size_t bytes = tensor::row_bytes(type, unit);
    std::vector<std::byte> stock(kStock * bytes);
    Rng rng(1, ++count_);
    std::vector<float> x(unit);
    for (size_t i = 0; i < kStock; ++i) {
      for (float& value : x) value = static_cast<float>(deviation * rng.normal());
      kernels::quantize_row(type, x.data(), unit, stock.data() + i * bytes);
    }
    const size_t row = tensor::row_bytes(type, columns);
    std::vector<std::byte> data(rows * row);
    for (size_t begin = 0; begin < data.size(); begin += row) {
      for (size_t at = 0; at < row; at += bytes) {
        const size_t n = std::min(bytes, row - at);
        std::memcpy(data.data() + begin + at, stock.data() + rng.below(kStock) * bytes, n);
      }
    }
    return file_.add_tensor(name, type, {columns, rows}, data);
  }

 private:
  GgufWriter& file_;
  const compress::Mix& mix_;
  const compress::MixModel& model_;
  uint64_t count_ = 0;
};

/// The letters that stand for the 256 bytes in GPT-2's vocabulary: printable ones for themselves, the others
/// from U+0100 on.
std::vector<std::string> byte_letters() {
  std::vector<std::string> out;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool plain = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    const uint32_t code = plain ? byte : next++;
    std::string letter;
    if (code < 0x80) {
      letter = static_cast<char>(code);
    } else {
      letter = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
    }
    out.push_back(std::move(letter));
  }
  return out;
}

void vocabulary(GgufWriter& file, uint32_t size) {
  Rng rng(2);
  std::vector<std::string> tokens = byte_letters(), merges;
  std::vector<uint32_t> bytes(tokens.size(), 1);
  std::unordered_set<std::string> known(tokens.begin(), tokens.end());
  while (tokens.size() + 1 < size) {
    const size_t a = rng.below(tokens.size()), b = rng.below(std::min<size_t>(tokens.size(), 2048));
    const std::string joined = tokens[a] + tokens[b];
    if (bytes[a] + bytes[b] > 12 || !known.insert(joined).second) continue;
    merges.push_back(tokens[a] + " " + tokens[b]);
    tokens.push_back(joined);
    bytes.push_back(bytes[a] + bytes[b]);
  }
  tokens.emplace_back("<|end|>");
  std::vector<int32_t> types(tokens.size(), 1);
  types.back() = 3;
  file.set("tokenizer.ggml.model", std::string("gpt2"));
  file.set("tokenizer.ggml.pre", std::string("gpt-2"));
  file.set("tokenizer.ggml.bos_token_id", size - 1);
  file.set("tokenizer.ggml.eos_token_id", size - 1);
  file.set("tokenizer.ggml.add_bos_token", false);
  file.set("tokenizer.ggml.tokens", formats::GgufArray(std::move(tokens)));
  file.set("tokenizer.ggml.token_type", formats::GgufArray(std::move(types)));
  file.set("tokenizer.ggml.merges", formats::GgufArray(std::move(merges)));
}

void keys(GgufWriter& file, const Shape& s, const compress::Mix& mix) {
  file.set("general.architecture", std::string("llama"));
  file.set("general.file_type", mix.file_type);
  file.set("general.quantization_version", uint32_t{2});
  const auto key = [&](const char* name, auto value) { file.set(fmt::format("llama.{}", name), value); };
  key("context_length", uint32_t{2048});
  key("embedding_length", s.dim);
  key("block_count", s.layers);
  key("feed_forward_length", s.ffn);
  key("attention.head_count", s.heads);
  key("attention.head_count_kv", s.kv_heads);
  key("attention.layer_norm_rms_epsilon", 1e-5F);
  key("rope.freq_base", 10000.0F);
  key("rope.dimension_count", s.head_dim());
  key("vocab_size", s.vocabulary);
}

Status norm(GgufWriter& file, const std::string& name, uint32_t size) {
  const std::vector<float> ones(size, 1.0F);
  return file.add_tensor(name, GgmlType::kF32, {size}, std::as_bytes(std::span(ones)));
}

Status write(const Shape& s, const compress::Mix& mix, const std::string& out) {
  GgufWriter file;
  keys(file, s, mix);
  vocabulary(file, s.vocabulary);
  const compress::MixModel model{
      .layers = s.layers, .queries_per_key = s.heads / s.kv_heads, .has_output = true};
  Matrices matrices(file, mix, model);
  const auto matrix = [&](const std::string& name, uint32_t rows, uint32_t columns) {
    return matrices.add(name + ".weight", rows, columns, 1 / std::sqrt(static_cast<double>(columns)));
  };
  BANTAM_TRY(matrix("token_embd", s.vocabulary, s.dim));
  for (uint32_t layer = 0; layer < s.layers; ++layer) {
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}", layer, part); };
    const uint32_t kv = s.kv_heads * s.head_dim();
    BANTAM_TRY(norm(file, name("attn_norm.weight"), s.dim));
    BANTAM_TRY(matrix(name("attn_q"), s.dim, s.dim));
    BANTAM_TRY(matrix(name("attn_k"), kv, s.dim));
    BANTAM_TRY(matrix(name("attn_v"), kv, s.dim));
    BANTAM_TRY(matrix(name("attn_output"), s.dim, s.dim));
    BANTAM_TRY(norm(file, name("ffn_norm.weight"), s.dim));
    BANTAM_TRY(matrix(name("ffn_gate"), s.ffn, s.dim));
    BANTAM_TRY(matrix(name("ffn_up"), s.ffn, s.dim));
    BANTAM_TRY(matrix(name("ffn_down"), s.dim, s.ffn));
  }
  BANTAM_TRY(norm(file, "output_norm.weight", s.dim));
  BANTAM_TRY(matrix("output", s.vocabulary, s.dim));
  return file.write(out);
}

}  // namespace

int main(int argc, char** argv) {
  Shape s{};
  const bool good = argc == 4 &&
                    std::sscanf(argv[1], "%u,%u,%u/%u,%u,%u", &s.dim, &s.layers, &s.heads, &s.kv_heads,
                                &s.ffn, &s.vocabulary) == 6 &&
                    s.heads > 0 && s.kv_heads > 0 && s.dim % s.heads == 0 && s.heads % s.kv_heads == 0 &&
                    s.vocabulary > 257 && s.vocabulary < (1U << 20);
  if (!good) {
    fmt::print(stderr, "usage: speed_model DIM,LAYERS,HEADS/KV_HEADS,FFN,VOCABULARY MIX OUT\n");
    return 2;
  }
  auto mix = compress::mix_from_name(argv[2]);
  Status status = mix ? write(s, *mix, argv[3]) : Status(std::unexpected(mix.error()));
  if (status) return 0;
  fmt::print(stderr, "speed_model: {}\n", status.error().message);
  return 1;
}
