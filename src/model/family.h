#pragma once
// The families of decoders as tables: how general.architecture's name decides about names of tensors and
// about values that no key states. Nothing else knows these names.

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/config.h"

namespace bantam::model {

struct Family {
  std::string_view architecture;  // general.architecture, and the prefix of the keys
  RopePairing rope_pairing = RopePairing::kHalf;
  Activation activation = Activation::kSilu;
  bool qk_norm = false, post_norms = false;
  bool fused = false;             // attn_qkv for queries, keys and values, ffn_up for gate and up
  uint32_t window_pattern = 1;    // unless a key says so
  float window_rope_base = 0;     // unless a key says so
  bool scaled_embedding = false;  // by sqrt(C)
  bool encoder = false;
  /// The depth at which this family's largest model scales scores by 1 / sqrt(C / heads) instead of 1 /
  /// sqrt(head_dim), which no key says; 0: none.
  uint32_t scaled_by_width_at = 0;
};

/// All families, in the order of the documentation.
std::span<const Family> families();
/// Errors: kUnsupported listing what is known.
Result<const Family*> find_family(std::string_view architecture);

/// For what handles plain decoders only (training): nothing that a family adds may be passed over in silence.
/// Errors: kUnsupported for another architecture than llama, a value beyond the plain ones, or tensors beside
/// theirs.
Status check_plain(const formats::GgufFile& file, const Config& config);

}  // namespace bantam::model
