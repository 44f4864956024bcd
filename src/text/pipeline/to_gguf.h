#pragma once
// A tokenizer.json as the tokenizer.ggml.* keys of a GGUF file.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "text/pipeline/pipeline.h"

namespace bantam::text {

struct GgufVocabulary {
  std::unique_ptr<PipelineTokenizer> original;  // the tokenizer.json as it is
  std::vector<std::string> notes;               // what the keys cannot say and the file does, one sentence each
};

/// Writes the keys of model "gpt2" (byte-level BPE; tokenizer.ggml.pre is the known splitter that cuts
/// probing texts alike), "llama" (BPE over characters with byte fallback), "t5" (unigram) or "bert"
/// (WordPiece). `config` is tokenizer_config.json, an object: its bos_token, eos_token, pad_token, unk_token,
/// add_bos_token and add_eos_token; the vocabulary is padded to `vocab_size`, the model's rows. Errors: those
/// of tokenizer_from_json; kUnsupported for a vocabulary that GGUF has no form for.
Result<GgufVocabulary> tokenizer_json_to_gguf(std::string_view json, const nlohmann::json& config,
                                              const std::string& name, size_t vocab_size,
                                              formats::GgufWriter& file);

/// The first probing text that the two encode differently (as it is, without special tokens), if there is
/// one.
std::optional<std::string> first_difference(const Tokenizer& a, const Tokenizer& b);

}  // namespace bantam::text
