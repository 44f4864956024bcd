#include <memory>

#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "model/hf_export.h"

namespace bantam::cli {
namespace {

struct ExportVerbOptions {
  std::string model, directory, type;
  model::ExportOptions how;
};

Json as_json(const model::ExportReport& report) {
  return {{"parameters", report.parameters},
          {"tensors", report.tensors},
          {"files", report.files},
          {"bytes", report.bytes},
          {"dtype", report.dtype},
          {"chat_template", report.chat_template},
          {"notes", report.notes}};
}

std::string as_text(const model::ExportReport& report) {
  std::string out =
      fmt::format("{} parameters in {} tensors and {} files, {} of {}, {} chat template\n",
                  with_commas(report.parameters), report.tensors, report.files, human_bytes(report.bytes),
                  report.dtype, report.chat_template ? "with a" : "no");
  for (const auto& note : report.notes) out += "note: " + note + "\n";
  return out;
}

int export_model(ExportVerbOptions& options, const Common& common) {
  if (!options.type.empty()) {
    auto type = formats::ggml_type_from_name(options.type);
    if (!type) return report_misuse("export", type.error().message);
    options.how.type = *type;
  }
  ProgressBar bar(common.quiet);
  options.how.progress = bar.sink();
  auto result = model::export_hf(options.model, options.directory, options.how);
  bar.finish();
  if (!result) return report(result.error());
  return common.json ? print_json(as_json(*result)) : print_text(as_text(*result));
}

}  // namespace

Action add_export(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<ExportVerbOptions>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  verb.add_option("DIRECTORY", options->directory, "Folder to write; it must not exist or be empty")
      ->required();
  verb.add_option("--type", options->type,
                  "f32, f16 or bf16 for all matrices (default: as they are, quantised ones f16)")
      ->type_name("TYPE");
  verb.add_option("--shard-size", options->how.shard_bytes, "Largest safetensors file (default: 5GB)")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 50))
      ->type_name("BYTES");
  add_json(verb, common);
  verb.footer("Example:\n  bantam export smollm2.gguf SmolLM2-135M-Instruct --type bf16");
  return [options, &common] { return export_model(*options, common); };
}

}  // namespace bantam::cli
