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

/// Reads config.json, *.safetensors (all shards), tokenizer.json, tokenizer_config.json and
/// chat_template.jinja of `directory` (the last two may be absent) and writes `out`, atomically. F32 and F16
/// matrices stay what they are, BF16 becomes F32 (exact); rows of queries and keys are put into GGUF's order
/// of rotated channels. The written vocabulary is compared with the original on probing texts. Errors: those
/// of load_hf_weights and tokenizer_json_to_gguf, kNotFound naming what is missing; kUnsupported where the
/// two vocabularies give different ids.
Result<ImportReport> import_hf(const std::string& directory, const std::string& out);

}  // namespace bantam::model
