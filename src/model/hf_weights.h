#pragma once
// Llama-family weights as Hugging Face publishes them: a config.json and safetensors files.

#include <span>
#include <string_view>

#include "base/result.h"
#include "formats/safetensors.h"
#include "model/config.h"
#include "model/weights.h"

namespace bantam::model {

/// A decoder whose weights are not in one GGUF.
struct LoadedModel {
  Config config;
  Weights weights;
};

/// Reads config.json's text and the tensors "model.embed_tokens.weight",
/// "model.layers.N.self_attn.q_proj.weight", …, wherever in `files` each is. F32 and F16 matrices are used in
/// place, BF16 ones widened to F32 (owned by the result). Rotated channels are paired (i, i + d/2):
/// RopePairing::kHalf. The files must outlive the result. Errors: kCorrupt for JSON that is broken, a field
/// of another type, a tensor missing, mis-shaped, of another type or twice (name, found, expected);
/// kUnsupported for another model_type, a bias, RoPE scaling, an activation other than SiLU, or a tensor that
/// is not used.
Result<LoadedModel> load_hf_weights(std::string_view config_json,
                                    std::span<const formats::SafeTensorsFile> files);

}  // namespace bantam::model
