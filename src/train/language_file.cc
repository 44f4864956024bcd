#include "train/language_file.h"

#include <filesystem>
#include <nlohmann/json.hpp>

namespace bantam::train {
namespace {

Result<std::unique_ptr<text::BpeTokenizer>> bpe_of(const formats::GgufFile& file) {
  BANTAM_ASSIGN(auto tokenizer, text::load_tokenizer(file));
  auto* bpe = dynamic_cast<text::BpeTokenizer*>(tokenizer.get());
  if (bpe == nullptr) return fail(Code::kUnsupported, "{}: its tokenizer is not byte-level BPE", file.path());
  tokenizer.release();
  return std::unique_ptr<text::BpeTokenizer>(bpe);
}

}  // namespace

Result<LoadedLanguageModel> load_language_model(const std::string& path) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(path));
  BANTAM_ASSIGN(Decoder decoder, Decoder::load(file));
  BANTAM_ASSIGN(auto tokenizer, bpe_of(file));
  if (tokenizer->vocab_size() > decoder.config().vocab_size) {
    return fail(Code::kCorrupt,
                "{}: found {} tokens and an embedding of {} rows, expected a row for each token", path,
                tokenizer->vocab_size(), decoder.config().vocab_size);
  }
  BANTAM_ASSIGN(std::string chat_template, file.get_string_or("tokenizer.chat_template", ""));
  BANTAM_ASSIGN(std::string provenance, file.get_string_or("bantam.provenance", ""));
  return LoadedLanguageModel{std::move(decoder), std::move(tokenizer), std::move(chat_template),
                             std::move(provenance)};
}

Status write_language_model(const Decoder& model, const text::Tokenizer& tokenizer,
                            const std::string& chat_template, const nlohmann::json& provenance,
                            const std::string& path, bool mean_pooling) {
  formats::GgufWriter file;
  file.set("general.architecture", std::string("llama"));
  if (mean_pooling) file.set("llama.pooling_type", uint32_t{1});
  file.set("general.name", std::filesystem::path(path).stem().string());
  file.set("general.file_type", uint32_t{0});  // all F32
  tokenizer.save(file);
  if (!chat_template.empty()) file.set("tokenizer.chat_template", chat_template);
  file.set("bantam.provenance", provenance.dump());
  BANTAM_TRY(model.save(file));
  return file.write(path);
}

Status write_vocabulary(const text::Tokenizer& tokenizer, const std::string& fingerprint,
                        const std::string& path) {
  formats::GgufWriter file;
  file.set("general.architecture", std::string("llama"));
  file.set("bantam.fingerprint", fingerprint);
  tokenizer.save(file);
  return file.write(path);
}

Result<std::unique_ptr<text::BpeTokenizer>> load_vocabulary(const std::string& path,
                                                            const std::string& fingerprint) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(path));
  if (!fingerprint.empty()) {
    BANTAM_ASSIGN(const std::string found, file.get_string_or("bantam.fingerprint", ""));
    if (found != fingerprint)
      return fail(Code::kInvalidArgument, "{}: learned from other texts or options", path);
  }
  return bpe_of(file);
}

}  // namespace bantam::train
