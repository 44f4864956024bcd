#pragma once
// What distinguishes one decoder of the Llama family from another. Letters: B batch, T time, C channels
// (dim), V vocabulary.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::model {

/// Which channels of a head rotate together: (2i, 2i+1) as in the paper and in GGUF's "llama", or (i, i +
/// d/2) as in GPT-NeoX and Hugging Face's layout.
enum class RopePairing { kInterleaved, kHalf };

struct Config {
  std::string architecture = "llama";  // prefix of the GGUF keys
  uint32_t vocab_size = 0;             // V
  uint32_t context_length = 0;         // largest T
  uint32_t dim = 0;                    // C
  uint32_t layers = 0;
  uint32_t heads = 0;     // query heads
  uint32_t kv_heads = 0;  // divides heads
  uint32_t head_dim = 0;  // heads * head_dim need not be dim (pruned heads)
  uint32_t ffn_dim = 0;   // hidden channels of SwiGLU
  float rms_eps = 1e-5F;
  float rope_base = 10000.0F;
  RopePairing rope_pairing = RopePairing::kInterleaved;
  bool tied_head = false;  // output.weight is token_embd.weight

  bool operator==(const Config&) const = default;
};

/// Reads and checks the keys of architecture "llama". Errors: kUnsupported naming the architecture; kCorrupt
/// naming file, key, found and expected (heads not a multiple of kv_heads, an odd head_dim, zero sizes, sizes
/// over 2^24, rope scaling, …).
Result<Config> read_config(const formats::GgufFile& file);
/// Checks the invariants above. Errors: kInvalidArgument.
Status check(const Config& config);
/// Writes general.architecture and the keys llama.cpp reads (key_length and value_length included). REQUIRES:
/// interleaved pairing, which is what "llama" means in a GGUF.
void write_config(const Config& config, formats::GgufWriter& file);

/// Weights of all matrices and norms; a tied head counts once.
uint64_t parameter_count(const Config& config);

}  // namespace bantam::model
