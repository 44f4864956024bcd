// random_family NAME OUT [--seed N]: a small model of random weights of the family NAME as its GGUF files
// are, for comparing our reading of them with other programs'. `random_family list` prints the names. Keys
// and tensor names are written out here once more, not taken from src/model: what reads them is tested so.

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "formats/gguf.h"
#include "text/bpe.h"

namespace {

using bantam::Result;
using bantam::Rng;
using bantam::Status;
using bantam::formats::GgmlType;
using bantam::formats::GgufWriter;

struct Shape {
  uint32_t vocabulary = 400,  // at most: the text may run out before
      context = 512, dim = 128, layers = 4, heads = 4, kv_heads = 2, head_dim = 32, ffn = 256;
};

/// Writes one model: common keys and tensors by themselves, a family's own by `key` and `vector`.
class Model {
 public:
  Model(std::string architecture, const Shape& shape, uint64_t seed)
      : shape_(shape), architecture_(std::move(architecture)), rng_(seed) {
    file_.set("general.architecture", architecture_);
  }

  template <class T>
  void key(const std::string& name, T value) {
    file_.set(architecture_ + "." + name, value);
  }
  Status matrix(const std::string& name, uint64_t rows, uint64_t columns) {
    return tensor(name + ".weight", {columns, rows}, 0, 1 / std::sqrt(static_cast<double>(columns)));
  }
  /// With a head of its own the stream may carry more of the token than of what the layers add: as in trained
  /// models, small errors then stay small. Where the table is the head too, that would repeat the token for
  /// ever.
  Status embedding(bool tied, double multiplier) {
    return tensor("token_embd.weight", {shape_.dim, shape_.vocabulary}, 0, (tied ? 0.5 : 1.5) / multiplier);
  }
  Status norm(const std::string& name) { return norm(name, shape_.dim); }
  Status norm(const std::string& name, uint64_t size) { return tensor(name + ".weight", {size}, 1, 0.2); }
  Status bias(const std::string& name, uint64_t size) { return tensor(name + ".bias", {size}, 0, 0.2); }
  Status values(const std::string& name, const std::vector<float>& x) {
    return file_.add_tensor(name, GgmlType::kF32, {x.size()}, std::as_bytes(std::span(x)));
  }

  void common_keys() {
    key("context_length", shape_.context);
    key("embedding_length", shape_.dim);
    key("block_count", shape_.layers);
    key("feed_forward_length", shape_.ffn);
    key("attention.head_count", shape_.heads);
    key("attention.head_count_kv", shape_.kv_heads);
    key("attention.layer_norm_rms_epsilon", 1e-6F);
    key("rope.freq_base", 10000.0F);
    key("rope.dimension_count", shape_.head_dim);
    key("attention.key_length", shape_.head_dim);
    key("attention.value_length", shape_.head_dim);
  }

  Status vocabulary() {
    const std::vector<std::string> texts{"the quick brown fox jumps over the lazy dog"};
    BANTAM_ASSIGN(auto tokenizer, bantam::text::train_bpe(texts, {.vocab_size = shape_.vocabulary,
                                                                  .control = {"<|end|>"},
                                                                  .whole = {},
                                                                  .min_frequency = 2}));
    tokenizer->save(file_);
    shape_.vocabulary =
        static_cast<uint32_t>(tokenizer->vocab_size());  // llama.cpp takes no row without a token
    return {};
  }

  /// WordPiece, as encoders have it; words begin with U+2581 in a GGUF.
  Status encoder_vocabulary() {
    std::vector<std::string> tokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    for (char c = 'a'; c <= 'z'; ++c) {
      tokens.push_back(std::string("\xe2\x96\x81") + c);
      tokens.emplace_back(1, c);
    }
    std::vector<int32_t> types(tokens.size(), 1);
    std::fill_n(types.begin(), 5, 3);
    shape_.vocabulary = static_cast<uint32_t>(tokens.size());
    file_.set("tokenizer.ggml.model", std::string("bert"));
    file_.set("tokenizer.ggml.pre", std::string("default"));
    file_.set("tokenizer.ggml.tokens", bantam::formats::GgufArray(tokens));
    file_.set("tokenizer.ggml.token_type", bantam::formats::GgufArray(types));
    file_.set("tokenizer.ggml.token_type_count", uint32_t{2});
    const std::pair<const char*, uint32_t> ids[] = {
        {"unknown", 1}, {"cls", 2}, {"bos", 2}, {"seperator", 3}, {"eos", 3}, {"padding", 0}, {"mask", 4}};
    for (const auto& [name, id] : ids) file_.set(fmt::format("tokenizer.ggml.{}_token_id", name), id);
    return {};
  }

  const Shape& shape() const { return shape_; }
  uint64_t queries() const { return uint64_t{shape_.heads} * shape_.head_dim; }
  uint64_t keys() const { return uint64_t{shape_.kv_heads} * shape_.head_dim; }
  Status write(const std::string& path) const { return file_.write(path); }

 private:
  Status tensor(const std::string& name, std::vector<uint64_t> shape, double mean, double deviation) {
    uint64_t size = 1;
    for (uint64_t side : shape) size *= side;
    std::vector<float> x(size);
    for (float& value : x) value = static_cast<float>(mean + deviation * rng_.normal());
    return file_.add_tensor(name, GgmlType::kF32, std::move(shape), std::as_bytes(std::span(x)));
  }

  Shape shape_;
  std::string architecture_;
  Rng rng_;
  GgufWriter file_;
};

/// What decoders have in a layer beside the plain ones.
struct Parts {
  bool fused = false, biases = false, qk_norms = false, post_norms = false, head = true;
  double embedding_multiplier = 3;  // that the architecture has, or more
};

Status decoder_layer(Model& model, const Parts& parts, uint32_t index) {
  const Shape& s = model.shape();
  const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", index, part); };
  BANTAM_TRY(model.norm(name("attn_norm")));
  if (parts.fused) {
    BANTAM_TRY(model.matrix(name("attn_qkv"), model.queries() + 2 * model.keys(), s.dim));
  } else {
    const std::pair<const char*, uint64_t> three[] = {
        {"attn_q", model.queries()}, {"attn_k", model.keys()}, {"attn_v", model.keys()}};
    for (const auto& [part, width] : three) {
      BANTAM_TRY(model.matrix(name(part), width, s.dim));
      if (parts.biases) BANTAM_TRY(model.bias(name(part), width));
    }
  }
  if (parts.qk_norms) {
    BANTAM_TRY(model.norm(name("attn_q_norm"), s.head_dim));
    BANTAM_TRY(model.norm(name("attn_k_norm"), s.head_dim));
  }
  BANTAM_TRY(model.matrix(name("attn_output"), s.dim, model.queries()));
  BANTAM_TRY(model.norm(name("ffn_norm")));
  if (!parts.fused) BANTAM_TRY(model.matrix(name("ffn_gate"), s.ffn, s.dim));
  BANTAM_TRY(model.matrix(name("ffn_up"), s.ffn * (parts.fused ? 2 : 1), s.dim));
  BANTAM_TRY(model.matrix(name("ffn_down"), s.dim, s.ffn));
  if (parts.post_norms) {
    BANTAM_TRY(model.norm(name("post_attention_norm")));
    BANTAM_TRY(model.norm(name("post_ffw_norm")));
  }
  return {};
}

Status decoder(Model& model, const Parts& parts) {
  model.common_keys();
  BANTAM_TRY(model.vocabulary());
  const Shape& s = model.shape();
  BANTAM_TRY(model.embedding(!parts.head, parts.embedding_multiplier));
  for (uint32_t layer = 0; layer < s.layers; ++layer) BANTAM_TRY(decoder_layer(model, parts, layer));
  BANTAM_TRY(model.norm("output_norm"));
  return parts.head ? model.matrix("output", s.vocabulary, s.dim) : Status{};
}

/// BERT where `gated` is false, else Nomic's.
Status encoder(Model& model, bool gated) {
  model.common_keys();
  model.key("attention.layer_norm_epsilon", 1e-12F);
  model.key("attention.causal", false);
  model.key("pooling_type", uint32_t{gated ? 1U : 2U});  // the mean, or the first token
  BANTAM_TRY(model.encoder_vocabulary());
  const Shape& s = model.shape();
  const auto norm = [&](const std::string& name) -> Status {
    BANTAM_TRY(model.norm(name));
    return model.bias(name, s.dim);
  };
  const auto linear = [&](const std::string& name, uint64_t rows, uint64_t columns) -> Status {
    BANTAM_TRY(model.matrix(name, rows, columns));
    return gated ? Status{} : model.bias(name, rows);
  };
  BANTAM_TRY(model.embedding(false, 3));
  BANTAM_TRY(model.matrix("token_types", 2, s.dim));
  if (!gated) BANTAM_TRY(model.matrix("position_embd", s.context, s.dim));
  BANTAM_TRY(norm("token_embd_norm"));
  for (uint32_t layer = 0; layer < s.layers; ++layer) {
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", layer, part); };
    if (gated) {
      BANTAM_TRY(linear(name("attn_qkv"), 3 * s.dim, s.dim));
      BANTAM_TRY(linear(name("ffn_gate"), s.ffn, s.dim));
    } else {
      for (const char* part : {"attn_q", "attn_k", "attn_v"}) BANTAM_TRY(linear(name(part), s.dim, s.dim));
    }
    BANTAM_TRY(linear(name("attn_output"), s.dim, s.dim));
    BANTAM_TRY(norm(name("attn_output_norm")));
    BANTAM_TRY(linear(name("ffn_up"), s.ffn, s.dim));
    BANTAM_TRY(linear(name("ffn_down"), s.dim, s.ffn));
    BANTAM_TRY(norm(name("layer_output_norm")));
  }
  return {};
}

/// Growing from 1 to `most`, one for each pair of channels.
std::vector<float> factors(const Shape& shape, double most) {
  std::vector<float> out(shape.head_dim / 2);
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(std::pow(most, static_cast<double>(i) / static_cast<double>(out.size() - 1)));
  return out;
}

struct Family {
  std::string name, architecture;
  Shape shape;
  Parts parts;
  std::function<Status(Model&)> more = [](Model&) { return Status{}; };
  bool encodes = false;
};

Status linear_scaling(Model& model) {
  model.key("rope.scaling.type", std::string("linear"));
  model.key("rope.scaling.factor", 4.0F);
  return {};
}

Status yarn(Model& model) {
  model.key("rope.scaling.type", std::string("yarn"));
  model.key("rope.scaling.factor", 4.0F);
  model.key("rope.scaling.original_context_length", uint32_t{128});
  return {};
}

Status phi3(Model& model, uint32_t original_context) {
  model.key("rope.scaling.original_context_length", original_context);
  model.key("rope.scaling.attn_factor", 1.19F);
  BANTAM_TRY(model.values("rope_factors_short.weight", factors(model.shape(), 3)));
  return model.values("rope_factors_long.weight", factors(model.shape(), 40));
}

Status soft_capped(Model& model) {
  model.key("attn_logit_softcapping", 5.0F);
  model.key("final_logit_softcapping", 3.0F);
  model.key("attention.sliding_window", uint32_t{16});
  return {};
}

Status windowed(Model& model) {
  model.key("attention.sliding_window", uint32_t{16});
  return {};
}

Status multiplied(Model& model) {
  model.key("embedding_scale", 12.0F);
  model.key("residual_scale", 0.22F);
  model.key("attention.scale", 0.0078125F);
  model.key("logit_scale", 8.0F);
  return {};
}

std::vector<Family> families() {
  const Parts plain, tied{.head = false}, multiplied_tied{.head = false, .embedding_multiplier = 12};
  Shape wide_heads, deep;
  wide_heads.head_dim = 48;
  deep.layers = 7;
  deep.head_dim = 48;
  Shape all_heads;
  all_heads.kv_heads = all_heads.heads;
  Shape blocks;  // rows of whole super-blocks
  blocks.dim = 256;
  blocks.ffn = 768;
  blocks.head_dim = 64;
  return {{"llama", "llama", {}, plain},
          {"llama-256", "llama", blocks, plain},
          {"llama3",
           "llama",
           {},
           tied,
           [](Model& m) { return m.values("rope_freqs.weight", factors(m.shape(), 8)); }},
          {"llama-linear", "llama", {}, plain, linear_scaling},
          {"llama-yarn", "llama", {}, plain, yarn},
          {"qwen2", "qwen2", {}, {.biases = true}},
          {"qwen2-yarn", "qwen2", {}, {.biases = true}, yarn},
          {"qwen3", "qwen3", wide_heads, {.qk_norms = true, .head = false}},
          {"phi3", "phi3", {}, {.fused = true}, [](Model& m) { return phi3(m, 512); }},
          {"phi3-long", "phi3", {}, {.fused = true}, [](Model& m) { return phi3(m, 64); }},
          {"gemma", "gemma", wide_heads, multiplied_tied},
          {"gemma2",
           "gemma2",
           wide_heads,
           {.post_norms = true, .head = false, .embedding_multiplier = 12},
           soft_capped},
          {"gemma3",
           "gemma3",
           deep,
           {.qk_norms = true, .post_norms = true, .head = false, .embedding_multiplier = 12},
           windowed},
          {"granite", "granite", {}, {.embedding_multiplier = 12}, multiplied},
          {"bert", "bert", all_heads, {}, [](Model& m) { return encoder(m, false); }, true},
          {"nomic-bert", "nomic-bert", all_heads, {}, [](Model& m) { return encoder(m, true); }, true}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> args(argv, static_cast<size_t>(argc));
  for (const Family& family : families()) {
    if (argc == 2 && std::string_view(args[1]) == "list") fmt::print("{}\n", family.name);
    if (argc < 3 || family.name != args[1]) continue;
    Model model(family.architecture, family.shape, argc > 4 ? std::stoull(args[4]) : 1);
    Status status;
    if (!family.encodes) status = decoder(model, family.parts);
    if (status) status = family.more(model);
    if (status) status = model.write(args[2]);
    if (status) return 0;
    fmt::print(stderr, "random_family: {}\n", status.error().message);
    return 1;
  }
  if (argc == 2) return 0;
  fmt::print(stderr, "usage: random_family NAME OUT [--seed N]; random_family list\n");
  return 2;
}
