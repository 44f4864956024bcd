#include <unistd.h>

#include <memory>

#include "base/file.h"
#include "cli/verbs.h"
#include "formats/gguf.h"
#include "text/tokenizer.h"

namespace bantam::cli {
namespace {

struct TokenizeVerbOptions {
  std::string model, text, file;
  CLI::Option* text_given = nullptr;
  bool no_special = false, parse_special = false, task = false;
};

Result<std::string> read_text(const TokenizeVerbOptions& options) {
  if (!options.file.empty()) return read_file(options.file);
  if (options.text_given->count() > 0) return options.text;
  return read_file("/dev/stdin");
}

std::string as_text(const text::Tokenizer& tokenizer, const std::vector<text::TokenId>& ids) {
  std::string out;
  for (text::TokenId id : ids) {
    // A piece may be a part of a character; as JSON it is escaped and readable, broken bytes shown as U+FFFD.
    Json piece = tokenizer.piece(id, true);
    out += fmt::format("{}\t{}\n", id, piece.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return out;
}

std::string as_json(const std::vector<text::TokenId>& ids) { return Json{{"ids", ids}}.dump() + "\n"; }

Result<std::string> task_tokens(const TokenizeVerbOptions& options, bool json) {
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(options.model));
  BANTAM_ASSIGN(std::string text, read_text(options));
  BANTAM_ASSIGN(auto ids, engine->task_prompt(text));
  if (!json) return as_text(engine->tokenizer(), ids);
  Json choices = Json::array();
  for (const auto& choice : engine->task_choices()) choices.push_back(choice);
  return Json{{"ids", ids}, {"choices", choices}}.dump() + "\n";
}

Result<std::string> tokens(const TokenizeVerbOptions& options, bool json) {
  if (options.task) return task_tokens(options, json);
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(options.model));
  BANTAM_ASSIGN(auto tokenizer, text::load_tokenizer(file));
  BANTAM_ASSIGN(std::string text, read_text(options));
  text::EncodeOptions encode{.add_special = !options.no_special, .parse_special = options.parse_special};
  BANTAM_ASSIGN(auto ids, tokenizer->encode(text, encode));
  return json ? as_json(ids) : as_text(*tokenizer, ids);
}

}  // namespace

Action add_tokenize(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<TokenizeVerbOptions>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  options->text_given = verb.add_option("TEXT", options->text, "The text (default: standard input)");
  verb.add_option("--file", options->file, "Read the text from a file")
      ->type_name("FILE")
      ->excludes(options->text_given);
  verb.add_flag("--no-special", options->no_special,
                "Without the BOS and EOS that the model's metadata asks for");
  verb.add_flag("--parse-special", options->parse_special,
                "Text such as <|endoftext|> becomes its control token");
  verb.add_flag(
      "--task", options->task,
      "The whole prompt of the model's task with TEXT as its input; in JSON also the ids of each choice");
  add_json(verb, common);
  verb.footer(
      "Examples:\n  bantam tokenize model.gguf 'Where is my card?' --json\n"
      "  bantam tokenize model.gguf --file text.txt --no-special");
  return [options, &common] {
    auto text = tokens(*options, common.json);
    return text ? print_text(*text) : report(text.error());
  };
}

}  // namespace bantam::cli
