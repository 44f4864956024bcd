#pragma once
// The tokenizer.ggml.* keys of a GGUF file as Hugging Face's files: the inverse of to_gguf.h.

#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"

namespace bantam::text {

struct HfTokenizer {
  std::string tokenizer;      // tokenizer.json
  std::string config;         // tokenizer_config.json, with the chat template where the file has one
  std::vector<int64_t> ends;  // ids that end an answer, the EOS first
  std::optional<int64_t> bos, padding;
  std::vector<std::string> notes;  // what these files cannot say, one sentence each
};

/// Byte-level BPE ("gpt2"), SentencePiece's BPE ("llama"; its merges follow from the scores), unigram ("t5")
/// and WordPiece ("bert"). The result is read back and compared on probing texts; where ids differ a note
/// says so. `context`: the longest text, for tokenizer_config.json. Errors: those of load_tokenizer;
/// kUnsupported for a vocabulary with two tokens of one text.
Result<HfTokenizer> tokenizer_to_hf(const formats::GgufFile& file, uint64_t context);

}  // namespace bantam::text
