#pragma once
// Decoders with random weights: what tests and benchmarks run when they need a shape, not an answer.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/config.h"
#include "tensor/dtype.h"

namespace bantam::model {

/// The least shape that most tests need: one layer of width 32 over 300 tokens.
Config tiny_config(uint32_t context_length = 256);

/// Writes a GGUF of this shape: matrices normal with deviation 1 / sqrt(columns), stored as `type` (rows that
/// are not whole blocks as F16), norms 1; a byte-level vocabulary with the control tokens "<|end|>" and
/// "<|answer|>" and one token for each label; and, when there are labels, the task of choosing among them
/// after "{input}<|answer|>". `chat_template` (may be empty) becomes the file's. Equal arguments give equal
/// files. Errors: kInvalidArgument when check(config) fails or vocab_size is below 258 + labels; those of
/// GgufWriter::write.
Status write_random_model(const std::string& path, const Config& config, tensor::DType type, uint64_t seed,
                          const std::vector<std::string>& labels = {}, const std::string& chat_template = {});

}  // namespace bantam::model
