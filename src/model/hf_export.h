#pragma once
// A GGUF file as a Hugging Face directory: the inverse of hf_import.h.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::model {

struct ExportOptions {
  /// F32, F16 or BF16 for all matrices; empty: as they are, quantised ones as F16.
  std::optional<formats::GgmlType> type;
  uint64_t shard_bytes =
      5'000'000'000;      // a safetensors file is at most so large, unless one tensor is larger
  ProgressSink progress;  // tensors
};

struct ExportReport {
  uint64_t parameters = 0, bytes = 0;
  size_t tensors = 0, files = 0;  // safetensors files
  std::string dtype;              // of most matrices: "F16"
  bool chat_template = false;
  std::vector<std::string> notes;  // what the directory cannot say and the GGUF does
};

/// Writes config.json, generation_config.json (decoders), model.safetensors (or shards with their index),
/// tokenizer.json, tokenizer_config.json, and where the file has a pooling_type sentence-transformers' files.
/// `directory` must not exist or be empty; it is there whole, read back, or not at all. Vectors (norms, biases)
/// are F32. import_hf gives back the same tensors where matrices keep their type, and the same config; only
/// Gemma's norms, which are stored as w and as w + 1, may differ in the last bit where w + 1 is below 0.5.
/// Errors: those of read_config, map_weights and tokenizer_to_hf; kUnsupported for what config.json has no field for, kInvalidArgument for a directory with
/// files or a value beyond F16, kIo, kNoSpace.
Result<ExportReport> export_hf(const std::string& gguf, const std::string& directory,
                               const ExportOptions& options = {});

}  // namespace bantam::model
