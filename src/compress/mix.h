#pragma once
// Which matrix of a model gets which type: the named mixes of llama.cpp (llama_tensor_get_type), so that
// "Q4_K_M" means the same in both programs.

#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::compress {

/// A type for most matrices, and rules that give more bits to those that need them.
struct Mix {
  enum class Rules {
    kPure,  // every matrix is `base`
    kQ2_K,
    kQ2_K_S,
    kQ3_K_S,
    kQ3_K_M,
    kQ3_K_L,
    kQ4_K_S,
    kQ4_K_M,
    kQ5_K_S,
    kQ5_K_M,
    kQ6_K,
    kIQ4,     // IQ4_NL and IQ4_XS
    kTernary  // TQ1_0 and TQ2_0
  };
  std::string name;  // "Q4_K_M"
  formats::GgmlType base;
  Rules rules;
  uint32_t file_type;  // general.file_type
};

/// Every matrix as `type`.
Mix pure_mix(formats::GgmlType type);
/// The mix of that name (any case). F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1 are pure; so is any other
/// type's name with `pure`. Errors: kInvalidArgument listing the names.
Result<Mix> mix_from_name(std::string_view name, bool pure = false);
/// "F32, F16, …", for help and messages.
std::string mix_names();

/// What a mix needs to know of the whole model.
struct MixModel {
  uint32_t layers = 0;
  uint32_t queries_per_key = 1;  // heads / kv_heads
  bool has_output = false;       // a matrix output.weight: the embedding is not the head too
};

/// The type of matrix `name` with rows of `columns`: F32 for a table that is added to, not multiplied; else
/// what the mix says, or where rows are not whole blocks of that, the next larger type whose blocks fit, F16
/// at the last.
formats::GgmlType mixed_type(const Mix& mix, const MixModel& model, std::string_view name, uint64_t columns);

/// What mixed_type would be were all rows whole blocks.
formats::GgmlType wanted_type(const Mix& mix, const MixModel& model, std::string_view name);

}  // namespace bantam::compress
