#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "compress/quantize.h"

#include <memory>

namespace bantam::cli {
namespace {

struct QuantizeVerbOptions {
  std::string in, out, type = "q8_0";
  bool pure = false;
  unsigned threads = 0;
  runtime::EngineOptions engine;  // of which the adapters only
};

Json as_json(const compress::QuantizeReport& report) {
  return {{"tensors", report.tensors},
          {"quantized", report.quantized},
          {"kept", report.kept},
          {"fell_back", report.kept_names},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after},
          {"rmse", report.rmse},
          {"relative_rmse", report.relative_rmse}};
}

std::string as_text(const compress::QuantizeReport& report) {
  std::string out = fmt::format(
      "{} of {} tensors quantized, {} -> {} ({:.1f} %), RMSE {:.3g} ({:.2f} % of the weights)\n",
      report.quantized, report.tensors, human_bytes(report.bytes_before), human_bytes(report.bytes_after),
      100.0 * static_cast<double>(report.bytes_after) / static_cast<double>(report.bytes_before), report.rmse,
      100 * report.relative_rmse);
  if (!report.kept_names.empty())
    out += fmt::format("fell back (rows are not whole blocks): {}\n", report.kept_names);
  return out;
}

int quantize(const QuantizeVerbOptions& options, const Common& common) {
  auto mix = compress::mix_from_name(options.type, options.pure);
  if (!mix) return report_misuse("quantize", "--type: " + mix.error().message);
  ProgressBar bar(common.quiet);
  auto result = compress::quantize_file(options.in, options.out, *mix, bar.sink(), options.threads,
                                        options.engine.adapters);
  bar.finish();
  if (!result) return report(result.error());
  return common.json ? print_json(as_json(*result)) : print_text(as_text(*result));
}

}  // namespace

Action add_quantize(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<QuantizeVerbOptions>();
  verb.add_option("IN", options->in, "Model to read: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->in);
  verb.add_option("OUT", options->out, "Model file to write")->required();
  verb.add_option("--type", options->type, compress::mix_names())->capture_default_str();
  verb.add_flag("--pure", options->pure, "Every matrix as that type; --type then takes tensor types (Q4_K)");
  verb.add_option("--threads", options->threads, "0: one per hardware thread")->capture_default_str();
  add_lora(verb, options->engine)->description("Merge this adapter into the weights (may be repeated)");
  add_json(verb, common);
  verb.footer(
      "Example:\n  bantam quantize student-f32.gguf student-q4.gguf --type q4_k_m\n"
      "  bantam quantize base.gguf tuned.gguf --type f16 --lora adapter.gguf:0.8");
  return [options, &common] { return quantize(*options, common); };
}

}  // namespace bantam::cli
