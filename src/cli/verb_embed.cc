#include <memory>

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/verbs.h"

namespace bantam::cli {
namespace {

struct EmbedVerbOptions {
  std::string model, text, file;
  CLI::Option* text_given = nullptr;
  runtime::EngineOptions engine;
};

/// The texts: the argument, or the lines of a file or pipe that are not empty.
Result<std::vector<std::string>> read_texts(const EmbedVerbOptions& options) {
  if (options.text_given->count() > 0) return std::vector{options.text};
  BANTAM_ASSIGN(std::string all, read_file(options.file.empty() ? "/dev/stdin" : options.file));
  std::vector<std::string> out;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    std::string line = all.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) out.push_back(std::move(line));
    begin = end + 1;
  }
  return out;
}

Status embed(const EmbedVerbOptions& options) {
  BANTAM_ASSIGN(auto texts, read_texts(options));
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(options.model, options.engine));
  BANTAM_ASSIGN(auto session, engine->new_session());
  for (size_t i = 0; i < texts.size(); ++i) {
    BANTAM_ASSIGN(auto tokens, engine->tokenizer().encode(texts[i]));
    auto vector = session->embed(tokens, Interrupt::token());
    if (!vector) return std::unexpected(std::move(vector).error().in(fmt::format("text {}", i + 1)));
    std::string line = "{\"embedding\":[";
    for (size_t c = 0; c < vector->size(); ++c) line += fmt::format("{}{}", c == 0 ? "" : ",", (*vector)[c]);
    line += fmt::format("],\"tokens\":{}}}\n", tokens.size());
    if (print_text(line) != kDone) return fail(Code::kIo, "standard output: the write failed");
  }
  return {};
}

}  // namespace

Action add_embed(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<EmbedVerbOptions>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  options->text_given = verb.add_option("TEXT", options->text, "The text (default: lines of standard input)");
  verb.add_option("--file", options->file, "Each line of this file that is not empty is a text")
      ->type_name("FILE")
      ->excludes(options->text_given);
  add_engine_options(verb, options->engine);
  verb.footer(
      "Prints a JSON object for each text: \"embedding\", the mean of the last hidden states (or the first "
      "or last "
      "one, as the\nfile's pooling_type says) scaled to length 1, and \"tokens\".\n"
      "Examples:\n  bantam embed model.gguf 'Where is my card?'\n"
      "  bantam embed model.gguf --file questions.txt > vectors.jsonl");
  return [options] {
    Interrupt interrupt;
    auto status = embed(*options);
    return status ? static_cast<int>(kDone) : report(status.error());
  };
}

}  // namespace bantam::cli
