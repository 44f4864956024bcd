#pragma once
// Language models without a task as GGUF files. Private to train/.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "text/bpe.h"
#include "train/decoder.h"

namespace bantam::train {

struct LoadedLanguageModel {
  Decoder decoder;
  std::unique_ptr<text::BpeTokenizer> tokenizer;
  std::string chat_template, provenance;  // as the file has them, or empty
};
/// Errors: those of the file; kUnsupported for another tokenizer than byte-level BPE.
Result<LoadedLanguageModel> load_language_model(const std::string& path);
/// F32 GGUF, atomically; `provenance` stands under bantam.provenance, `chat_template` under
/// tokenizer.chat_template unless it is empty. `mean_pooling` says what its sentence vectors are.
Status write_language_model(const Decoder& model, const text::Tokenizer& tokenizer,
                            const std::string& chat_template, const nlohmann::json& provenance,
                            const std::string& path, bool mean_pooling = false);

/// A GGUF with a tokenizer and no tensors; `fingerprint` says what it was learned from.
Status write_vocabulary(const text::Tokenizer& tokenizer, const std::string& fingerprint,
                        const std::string& path);
/// The tokenizer of any GGUF; kInvalidArgument when a fingerprint is given and the file has another.
Result<std::unique_ptr<text::BpeTokenizer>> load_vocabulary(const std::string& path,
                                                            const std::string& fingerprint = "");

}  // namespace bantam::train
