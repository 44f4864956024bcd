#include <memory>

#include "cli/bench_run.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "eval/metrics.h"

namespace bantam::cli {
namespace {

struct BenchVerbOptions {
  std::vector<std::string> models;
  std::vector<unsigned> threads = {0};
  std::vector<uint32_t> batches = {runtime::EngineOptions{}.batch};
  bool no_roofline = false;
  BenchOptions one;
};

/// "412.3 ±1.2 %": the median, and half the distance of the extremes.
std::string spread(const Json& runs) {
  const auto values = runs.get<std::vector<double>>();
  const double middle = eval::quantile(values, 0.5);
  return fmt::format("{:.1f} \u00b1{:.1f} %", middle,
                     50 * (eval::quantile(values, 1) - eval::quantile(values, 0)) / middle);
}

std::string milliseconds(const Json& one, const char* key) {
  return one.contains(key) ? fmt::format("{:.1f} ms", 1000 * one[key].get<double>()) : "-";
}

std::vector<std::string> row(const std::string& name, const Json& one) {
  return {
      name,
      spread(one["prefill_runs"]),
      spread(one["decode_runs"]),
      milliseconds(one, "first_seconds"),
      milliseconds(one, "load_seconds"),
      one.contains("peak_bytes") ? human_bytes(static_cast<uint64_t>(one["peak_bytes"].get<double>())) : "-"};
}

std::string bench_text(const Json& json) {
  std::vector<std::vector<std::string>> rows = {
      {"median", "prefill tokens/s", "decode tokens/s", "first token", "load", "peak memory"}};
  rows.push_back(row("bantam", json["bantam"]));
  if (json.contains("rival")) rows.push_back(row("the other", json["rival"]));
  std::string out =
      fmt::format("{}, {} threads\n", json["model"].get<std::string>(), json["threads"].get<int>());
  out += text_table(rows);
  if (json.contains("rival")) {
    out += fmt::format("bantam / the other: prefill {:.2f}, decode {:.2f}\n",
                       json["prefill_ratio"].get<double>(), json["decode_ratio"].get<double>());
  }
  if (const auto found = json.find("roofline"); found != json.end()) {
    const Json& line = *found;
    out += fmt::format("of the machine: decoding reads {:.1f} GB/s of {:.1f} ({:.0f} %)",
                       line["decode_bytes_per_second"].get<double>() / 1e9,
                       line["bytes_per_second"].get<double>() / 1e9, 100 * line.value("decode_share", 0.0));
    if (line.contains("prefill_share")) {
      out += fmt::format(", a prompt has {:.0f} of {:.0f} int8 operations/ns ({:.0f} %)",
                         2 * line["prefill_multiply_adds_per_second"].get<double>() / 1e9,
                         2 * line["multiply_adds_per_second"].get<double>() / 1e9,
                         100 * line["prefill_share"].get<double>());
    }
    out += "\n";
  }
  return out;
}

/// Every model at every number of threads and batch.
Result<std::vector<Json>> bench_all(const BenchVerbOptions& options, const Common& common) {
  ProgressBar bar(common.quiet);
  std::vector<Json> out;
  const bool alone = options.models.size() * options.threads.size() * options.batches.size() == 1;
  for (const auto& model : options.models) {
    for (unsigned threads : options.threads) {
      for (uint32_t batch : options.batches) {
        BenchOptions one = options.one;
        one.model = model;
        one.engine.threads = threads;
        one.engine.batch = batch;
        one.roofline = !options.no_roofline;
        BANTAM_ASSIGN(Json json, alone ? bench(one, bar.sink()) : bench_apart(one, bar.sink()));
        out.push_back(std::move(json));
      }
    }
  }
  return out;
}

void add_options(CLI::App& verb, BenchVerbOptions& options) {
  verb.add_option("MODEL", options.models, "Models: files (.gguf) or names of the store")->required();
  verb.add_option("-t,--threads", options.threads,
                  "Threads of the engine (0: one per hardware thread), one or several numbers")
      ->delimiter(',')
      ->type_name("N,…");
  verb.add_option("--batch", options.batches, "Tokens of a prompt per forward pass, one or several numbers")
      ->delimiter(',')
      ->capture_default_str()
      ->type_name("N,…");
  verb.add_option("--context", options.one.engine.context_length,
                  "Context length in tokens (0: the model's own, at most 8,192)")
      ->capture_default_str()
      ->type_name("N");
  verb.add_option("--prompt", options.one.prompt, "Tokens of the prompt")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb.add_option("--gen", options.one.gen, "Tokens to generate")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb.add_option("--reps", options.one.repetitions, "Repetitions; medians are printed")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb.add_flag("--no-roofline", options.no_roofline, "Do not measure what the machine could do");
  verb.add_option("--vs", options.one.rival,
                  "Shell command of another engine, run once after each of our repetitions")
      ->type_name("COMMAND");
}

}  // namespace

Action add_bench(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<BenchVerbOptions>();
  add_options(verb, *options);
  takes_models(verb, common, options->models);
  add_json(verb, common);
  verb.footer(
      "The command of --vs reads BANTAM_BENCH_MODEL, _PROMPT, _GEN and _THREADS and prints a line of JSON: "
      "\"prefill\" and\n"
      "\"decode\" in tokens/s, and if it likes \"load_seconds\", \"load_to_first_seconds\" and "
      "\"peak_bytes\".\n"
      "Examples:\n"
      "  bantam bench model.gguf --threads 1,2\n"
      "  bantam bench model.gguf --threads 1 --vs 'node tests/llamacpp/bench.mjs'");
  return [options, &common] {
    auto result = bench_all(*options, common);
    if (!result) return report(result.error());
    if (common.json) return print_json(result->size() == 1 ? result->front() : Json(*result));
    std::string text;
    for (const Json& one : *result) text += (text.empty() ? "" : "\n") + bench_text(one);
    return print_text(text);
  };
}

}  // namespace bantam::cli
