#pragma once
// A tokenizer.json as the tokenizer.ggml.* keys of a GGUF file.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "text/tokenizer.h"

namespace bantam::text {

/// Writes the keys of model "gpt2" (byte-level BPE; tokenizer.ggml.pre is the known splitter that cuts
/// probing texts alike), "llama" (BPE over characters with byte fallback), "t5" (unigram) or "bert"
/// (WordPiece). `config` is tokenizer_config.json's text or empty: its bos_token, eos_token, pad_token,
/// unk_token, add_bos_token and add_eos_token; the vocabulary is padded to `vocab_size`, the model's rows.
/// Returns what the keys cannot say and the file does, one sentence each. Errors: those of
/// tokenizer_from_json; kUnsupported for a vocabulary that GGUF has no form for.
Result<std::vector<std::string>> tokenizer_json_to_gguf(std::string_view json, std::string_view config,
                                                        const std::string& name, size_t vocab_size,
                                                        formats::GgufWriter& file);

/// The first probing text that the two encode differently (as it is, without special tokens), if there is
/// one.
std::optional<std::string> first_difference(const Tokenizer& a, const Tokenizer& b);

}  // namespace bantam::text
