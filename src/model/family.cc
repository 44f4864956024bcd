#include "model/family.h"

#include <algorithm>
#include <array>

namespace bantam::model {
namespace {

constexpr RopePairing kInterleaved = RopePairing::kInterleaved;
constexpr Activation kGelu = Activation::kGelu;

constexpr std::array<Family, 10> kFamilies = {
    {{.architecture = "llama", .rope_pairing = kInterleaved},  // Llama 1 to 3.2, Mistral, SmolLM
     {.architecture = "qwen2"},
     {.architecture = "qwen3", .qk_norm = true},
     {.architecture = "phi3", .fused = true},
     {.architecture = "gemma", .activation = kGelu, .scaled_embedding = true},
     {.architecture = "gemma2",
      .activation = kGelu,
      .post_norms = true,
      .window_pattern = 2,
      .scaled_embedding = true,
      .scaled_by_width_at = 46},
     {.architecture = "gemma3",
      .activation = kGelu,
      .qk_norm = true,
      .post_norms = true,
      .window_pattern = 6,
      .window_rope_base = 10000,
      .scaled_embedding = true,
      .scaled_by_width_at = 62},
     {.architecture = "granite", .rope_pairing = kInterleaved},
     {.architecture = "bert", .activation = kGelu, .encoder = true},
     {.architecture = "nomic-bert", .encoder = true}}};

}  // namespace

std::span<const Family> families() { return kFamilies; }

Result<const Family*> find_family(std::string_view architecture) {
  const auto found = std::ranges::find(kFamilies, architecture, &Family::architecture);
  if (found != kFamilies.end()) return &*found;
  std::string names;
  for (const Family& family : kFamilies) {
    names += names.empty() ? "" : ", ";
    names += family.architecture;
  }
  return fail(Code::kUnsupported, "found \"{}\", expected one of {}", architecture, names);
}

Status check_plain(const formats::GgufFile& file, const Config& config) {
  Config plain;
  plain.vocab_size = config.vocab_size;
  plain.context_length = config.context_length;
  plain.dim = config.dim;
  plain.layers = config.layers;
  plain.heads = config.heads;
  plain.kv_heads = config.kv_heads;
  plain.head_dim = config.head_dim;
  plain.ffn_dim = config.ffn_dim;
  plain.rms_eps = config.rms_eps;
  plain.rope_base = config.rope_base;
  plain.tied_head = config.tied_head;
  plain.rope_scaling.original_context = config.rope_scaling.original_context;  // means nothing by itself
  if (config != plain) {
    return fail(Code::kUnsupported,
                "{}: found architecture {} with more than a plain decoder has (scaled RoPE, a window, "
                "multipliers, norms), expected a plain one of architecture llama",
                file.path(), config.architecture);
  }
  constexpr size_t kInLayer = 9;
  const size_t expected = 2 + kInLayer * config.layers + (config.tied_head ? 0 : 1);
  if (file.tensors().size() != expected) {
    return fail(Code::kUnsupported,
                "{}: found {} tensors, expected the {} of a plain decoder (biases, RoPE factors?)",
                file.path(), file.tensors().size(), expected);
  }
  return {};
}

}  // namespace bantam::model
