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

/// Reads config.json, *.safetensors (all shards), tokenizer.json, tokenizer_config.json, generation_config.json,
/// chat_template.jinja, modules.json and the pooling it names of `directory` (the last five may be absent, but
/// not broken) and writes `out`, which is read back before it takes that name. Matrices stay the F32, F16 or
/// BF16 they are, vectors become F32; rows of rotated heads are put into GGUF's order where the family has one.
/// The written vocabulary is compared with the original on probing texts. Errors, after which an earlier `out` is as it was: those of read_hf_config, HfSource,
/// tokenizer_json_to_gguf, read_config and map_weights or map_encoder, kNotFound naming what is missing;
/// kUnsupported for a pooling or a step of sentence-transformers that a GGUF cannot say, and where the two
/// vocabularies give different ids.
Result<ImportReport> import_hf(const std::string& directory, const std::string& out);

}  // namespace bantam::model
