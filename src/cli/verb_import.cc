#include "cli/output.h"
#include "cli/verbs.h"
#include "model/hf_import.h"

#include <memory>

namespace bantam::cli {
namespace {

struct ImportVerbOptions {
  std::string directory, out;
};

Json as_json(const model::ImportReport& report) {
  return {{"parameters", report.parameters},
          {"tensors", report.tensors},
          {"files", report.files},
          {"bytes", report.bytes},
          {"tokenizer", report.tokenizer},
          {"chat_template", report.chat_template},
          {"notes", report.notes}};
}

std::string as_text(const model::ImportReport& report) {
  std::string out =
      fmt::format("{} parameters in {} tensors from {} files, {}; tokenizer {}, {} chat template\n",
                  report.parameters, report.tensors, report.files, human_bytes(report.bytes),
                  report.tokenizer, report.chat_template ? "with a" : "no");
  for (const auto& note : report.notes) out += "note: " + note + "\n";
  return out;
}

int import(const ImportVerbOptions& options, const Common& common) {
  auto result = model::import_hf(options.directory, options.out);
  if (!result) return report(result.error());
  return common.json ? print_json(as_json(*result)) : print_text(as_text(*result));
}

}  // namespace

Action add_import(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<ImportVerbOptions>();
  verb.add_option("DIRECTORY", options->directory,
                  "Hugging Face directory: config.json, *.safetensors, tokenizer.json")
      ->required();
  verb.add_option("OUT", options->out, "Model file to write (.gguf)")->required();
  add_json(verb, common);
  verb.footer("Example:\n  bantam import SmolLM2-135M-Instruct smollm2.gguf");
  return [options, &common] { return import(*options, common); };
}

}  // namespace bantam::cli
