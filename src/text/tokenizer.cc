#include "text/tokenizer.h"

#include "text/byte_level_bpe.h"
#include "text/score_bpe.h"

namespace bantam::text {

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const formats::GgufFile& file) {
  BANTAM_ASSIGN(std::string model, file.get_string("tokenizer.ggml.model"));
  if (model == "gpt2") return ByteLevelBpe::load(file);
  if (model == "llama") return ScoreBpe::load(file);
  return fail(Code::kUnsupported, "{}: tokenizer.ggml.model: found \"{}\", expected gpt2 or llama",
              file.path(), model);
}

}  // namespace bantam::text
