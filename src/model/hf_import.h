#pragma once
// A Hugging Face directory as one GGUF file.

#include <string>
#include <vector>

#include "base/result.h"

namespace bantam::model {

struct ImportReport {
  uint64_t parameters = 0;
  size_t tensors = 0, files = 0;  // written; safetensors files read
  uint64_t bytes = 0;             // of the GGUF file
  std::string tokenizer;          // tokenizer.ggml.model
  bool chat_template = false;
  std::vector<std::string> notes;  // what GGUF cannot say and the directory does
};

/// Reads config.json, *.safetensors (all shards), tokenizer.json, tokenizer_config.json,
/// chat_template.jinja and 1_Pooling/config.json of `directory` (the last three may be absent) and writes
/// `out`, atomically. Matrices stay the F32, F16 or BF16 they are, vectors become F32; rows of rotated heads
/// are put into GGUF's order where the family has one. The written vocabulary is compared with the original
/// on probing texts. Errors: those of read_hf_config, HfSource and tokenizer_json_to_gguf, kNotFound naming
/// what is missing; kUnsupported where the two vocabularies give different ids.
Result<ImportReport> import_hf(const std::string& directory, const std::string& out);

}  // namespace bantam::model
