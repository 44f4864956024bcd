#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "compress/quantize.h"

#include <memory>

namespace bantam::cli {
namespace {

struct Options {
  std::string in, out, type = "q8_0";
};

Json as_json(const compress::QuantizeReport& report) {
  return {{"tensors", report.tensors},
          {"quantized", report.quantized},
          {"kept", report.kept},
          {"fell_back", report.kept_names},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after},
          {"rmse", report.rmse}};
}

std::string as_text(const compress::QuantizeReport& report) {
  std::string out =
      fmt::format("{} of {} tensors quantized, {} -> {} ({:.1f} %), RMSE {:.3g}\n", report.quantized,
                  report.tensors, human_bytes(report.bytes_before), human_bytes(report.bytes_after),
                  100.0 * static_cast<double>(report.bytes_after) / static_cast<double>(report.bytes_before),
                  report.rmse);
  if (!report.kept_names.empty())
    out += fmt::format("fell back to F16 (rows are not whole blocks): {}\n", report.kept_names);
  return out;
}

int quantize(const Options& options, const Common& common) {
  auto type = formats::ggml_type_from_name(options.type);
  if (!type) return report_misuse("quantize", "--type: " + type.error().message);
  ProgressBar bar(common.quiet);
  auto result = compress::quantize_file(options.in, options.out, *type, bar.sink());
  bar.finish();
  if (!result) return report(result.error());
  return common.json ? print_json(as_json(*result)) : print_text(as_text(*result));
}

}  // namespace

Action add_quantize(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<Options>();
  verb.add_option("IN", options->in, "Model file to read (.gguf)")->required();
  verb.add_option("OUT", options->out, "Model file to write")->required();
  verb.add_option("--type", options->type, "F32, F16, Q8_0 or Q4_0")->capture_default_str();
  add_json(verb, common);
  verb.footer("Example:\n  bantam quantize student-f32.gguf student-q4.gguf --type q4_0");
  return [options, &common] { return quantize(*options, common); };
}

}  // namespace bantam::cli
