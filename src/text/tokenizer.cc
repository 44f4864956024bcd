#include "text/tokenizer.h"

#include "text/byte_level_bpe.h"
#include "text/pipeline/pipeline.h"
#include "text/score_bpe.h"

namespace bantam::text {

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const formats::GgufFile& file) {
  BANTAM_ASSIGN(std::string model, file.get_string("tokenizer.ggml.model"));
  if (model == "gpt2") return ByteLevelBpe::load(file);
  if (model == "llama") return ScoreBpe::load(file);
  if (model == "bert") return word_piece_from_gguf(file);
  if (model == "t5") return unigram_from_gguf(file);
  return fail(Code::kUnsupported, "{}: tokenizer.ggml.model: found \"{}\", expected gpt2, llama, bert or t5",
              file.path(), model);
}

}  // namespace bantam::text
