#pragma once
// Names and shapes of a model's tensors at Hugging Face and in a GGUF, in both directions.

#include <string>
#include <vector>

#include "base/result.h"
#include "model/hf_config.h"

namespace bantam::model {

/// How values differ between the two.
enum class HfChange {
  kNone,
  kRotated,  // rows (i, i + d/2) of each head are (2i, 2i + 1) in the GGUF
  kPlusOne,  // the GGUF holds w + 1 (Gemma's norms)
};

struct HfTensor {
  std::string gguf, hf;
  std::vector<uint64_t> shape;  // slowest dimension first, as in safetensors
  HfChange change = HfChange::kNone;
  bool optional = false;
};

/// All tensors of a model of this config, in the order of a GGUF. Not among them are RoPE's factors, which
/// config.json holds. Errors: kUnsupported for an architecture that has no form at Hugging Face here.
Result<std::vector<HfTensor>> hf_tensors(const HfConfig& config);

/// Rows of rotated heads from Hugging Face's order into GGUF's, or back. `data`: rows of `row` bytes each.
std::vector<std::byte> reorder_heads(std::span<const std::byte> data, size_t row, uint64_t head_dim,
                                     bool to_gguf);

/// "llama" of "llama" and "mistral", …; the other direction gives what the values make of it. Errors:
/// kUnsupported listing what is known.
Result<std::string> architecture_of(std::string_view model_type);
std::string model_type_of(const Config& config);
/// Whether the class has a field attention_bias, which is for queries, keys, values and outputs at once.
bool has_attention_bias(std::string_view model_type);
/// "LlamaForCausalLM".
std::string hf_class_of(std::string_view model_type);

}  // namespace bantam::model
