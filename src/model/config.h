#pragma once
// What distinguishes one decoder from another: values, never a model's name. Letters: B batch, T time, C
// channels (dim), V vocabulary. How a family names its keys and tensors is in family.h.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::model {

/// Which channels of a head rotate together: (2i, 2i+1) as in the paper and in GGUF's "llama", or (i, i +
/// d/2) as in GPT-NeoX and Hugging Face's layout.
enum class RopePairing { kInterleaved, kHalf };

/// The gate of the feed-forward layers: silu(x) (Shazeer 2020) or gelu(x) in its tanh form (Hendrycks and
/// Gimpel 2016).
enum class Activation { kSilu, kGelu };

/// How a model that was trained on shorter texts turns the rotations of longer ones.
struct RopeScaling {
  enum class Type { kNone, kLinear, kYarn };  // kLinear: Chen et al. 2023; kYarn: Peng et al. 2023
  Type type = Type::kNone;
  float factor = 1;               // positions count 1 / factor each
  uint32_t original_context = 0;  // that the model was trained for, where it differs
  float magnitude = 1;            // by which rotated queries and keys are multiplied
  float beta_fast = 32, beta_slow = 1;

  bool operator==(const RopeScaling&) const = default;
};

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
  uint32_t rope_dims = 0;  // channels of a head that rotate, the first ones; 0: all
  RopeScaling rope_scaling = {};
  Activation activation = Activation::kSilu;
  bool qk_norm = false;     // queries and keys pass an RMS norm, head by head, before they rotate
  bool post_norms = false;  // what attention and feed-forward layers say passes a norm before it is added
  /// Layers of which each sees the last `sliding_window` tokens only (0: none): all of them where
  /// window_pattern is 0 or 1, else all but every window_pattern-th.
  uint32_t sliding_window = 0, window_pattern = 0;
  float window_rope_base = 0;  // of layers with a window, without scaling; 0: as the others
  float embedding_scale = 1;   // what comes out of the table of embeddings is multiplied by
  float residual_scale = 1;    // what is added to the stream is
  float logit_scale = 1;       // logits are divided by
  float attention_scale = 0;   // scores are multiplied by; 0: 1 / sqrt(head_dim)
  /// Every token sees all others, norms are LayerNorms behind the layers, and what comes out is a vector a
  /// token (encoder.h; Devlin et al. 2019): no decoder.
  bool encoder = false;
  float attention_softcap = 0;  // x = cap * tanh(x / cap), of scores; 0: none
  float logit_softcap = 0;      // of logits
  bool has_window(uint32_t layer) const {
    return sliding_window > 0 && (window_pattern < 2 || (layer + 1) % window_pattern != 0);
  }

  bool operator==(const Config&) const = default;
};

/// Reads and checks the keys of a decoder's architecture (family.h). Errors: kUnsupported naming the
/// architecture, or a key whose value would change the mathematics and is not implemented; kCorrupt naming
/// file, key, found and expected (heads not a multiple of kv_heads, an odd head_dim, zero sizes, sizes over
/// 2^24, …).
Result<Config> read_config(const formats::GgufFile& file);
/// Checks the invariants above. Errors: kInvalidArgument.
Status check(const Config& config);
/// Writes general.architecture and the keys llama.cpp reads (key_length and value_length included), those of
/// what a family adds only where they say something. REQUIRES: the pairing, activation and norms of the
/// architecture, which no key says.
void write_config(const Config& config, formats::GgufWriter& file);

/// Weights of all matrices and norms; a tied head counts once.
uint64_t parameter_count(const Config& config);

}  // namespace bantam::model
