#pragma once
// config.json of a Hugging Face directory, read and written. https://huggingface.co/docs/transformers

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"

namespace bantam::model {

/// Which of a decoder's projections have biases, in all layers: none, those of queries, keys and values, or
/// these and the output's.
enum class HfBiases { kNone, kQkv, kAll };

/// What config.json says of a model. RoPE's factors, which a GGUF has as tensors, are [rotated channels / 2]
/// each, or empty.
struct HfConfig {
  Config config;  // its pairing is GGUF's
  std::vector<float> rope_factors, rope_short, rope_long;
  uint64_t token_types = 0;  // of an encoder
  HfBiases biases = HfBiases::kNone;
  std::vector<uint32_t> ends;  // eos_token_id
};

/// Errors: kCorrupt for JSON that is broken or a field of another type (field, found, expected); kUnsupported
/// for another model_type, or a value that would change the result and is not known.
Result<HfConfig> read_hf_config(std::string_view json);

/// Ids that config.json and generation_config.json name.
struct HfTokenIds {
  std::optional<int64_t> bos, padding;
  std::vector<int64_t> ends;  // eos_token_id, the EOS first
};
/// `dtype`: "float32", "float16" or "bfloat16", of the matrices. Errors: kUnsupported for what config.json
/// cannot say.
Result<std::string> write_hf_config(const HfConfig& config, std::string_view dtype, const HfTokenIds& ids);
/// generation_config.json, of a decoder.
std::string write_hf_generation(const HfTokenIds& ids);

/// By which LongRoPE multiplies rotated queries and keys where no field says so (Ding et al. 2024): contexts
/// of the model as it is and as it was trained.
double longrope_magnitude(uint32_t context, uint32_t original);

/// Llama 3's factors of the pairs' angles (transformers, modeling_rope_utils.py), for `pairs` of them.
struct Llama3Scaling {
  double factor = 8, low = 1, high = 4;
  uint32_t original_context = 8192;
};
std::vector<float> llama3_factors(const Llama3Scaling& scaling, double base, size_t pairs);
/// The scaling that gives these factors; nullopt where none does.
std::optional<Llama3Scaling> fit_llama3(const std::vector<float>& factors, double base);

}  // namespace bantam::model
