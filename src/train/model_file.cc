#include "train/model_file.h"

#include <filesystem>

namespace bantam::train {

Result<LoadedModel> load_model(const std::string& path) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(path));
  BANTAM_ASSIGN(Decoder decoder, Decoder::load(file));
  BANTAM_ASSIGN(auto tokenizer, text::load_tokenizer(file));
  BANTAM_ASSIGN(auto task, model::read_task(file));
  if (!task)
    return fail(Code::kUnsupported,
                "{}: has no task (bantam.task.kind); expected a model made by bantam train", path);
  LoadedModel out{std::move(decoder), std::move(tokenizer), nullptr, std::move(*task)};
  out.bpe = dynamic_cast<const text::BpeTokenizer*>(out.tokenizer.get());
  if (out.bpe == nullptr) return fail(Code::kUnsupported, "{}: its tokenizer is not byte-level BPE", path);
  return out;
}

Status write_model(const Decoder& model, const text::Tokenizer& tokenizer, const model::Task& task,
                   const std::string& path) {
  formats::GgufWriter file;
  file.set("general.architecture", std::string("llama"));
  file.set("general.name", task.name);
  file.set("general.file_type", uint32_t{0});  // all F32
  tokenizer.save(file);
  // What llama.cpp's and our chat endpoints wrap a conversation in: the last message is the task's input.
  file.set("tokenizer.chat_template", std::string("{{ messages[-1]['content'] }}<|answer|>"));
  model::write_task(task, file);
  BANTAM_TRY(model.save(file));
  return file.write(path);
}

}  // namespace bantam::train
