#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/rng.h"
#include "base/usage.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"
#include "eval/metrics.h"

namespace bantam::cli {
namespace {

struct Options {
  std::string model, rival;
  uint32_t prompt = 512, gen = 128, repetitions = 5;
  runtime::EngineOptions engine;
};

/// Tokens per second of each repetition, and what is measured once (the rival's: in each of its runs).
struct Series {
  std::vector<double> prefill, decode, load_seconds, peak_bytes;
};

/// The same tokens in every run: ordinary ones, drawn evenly. Their values do not matter to the speed, but a
/// control token might end a generation.
Result<std::vector<text::TokenId>> random_tokens(const text::Tokenizer& tokenizer, uint32_t count) {
  std::vector<text::TokenId> ordinary, out;
  for (size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.piece(static_cast<text::TokenId>(id)).empty())
      ordinary.push_back(static_cast<text::TokenId>(id));
  }
  if (ordinary.empty())
    return fail(Code::kInvalidArgument, "the vocabulary has no token that stands for text");
  Rng rng(1);
  while (out.size() < count) out.push_back(ordinary[rng.below(ordinary.size())]);
  return out;
}

Status measure(const runtime::Engine& engine, const std::vector<text::TokenId>& prompt, uint32_t gen,
               Series& out) {
  BANTAM_ASSIGN(auto session, engine.new_session());
  runtime::GenerateOptions options;
  options.ignore_end = true;
  options.max_tokens = 1;
  BANTAM_ASSIGN(auto prefill, session->generate(prompt, options));
  out.prefill.push_back(static_cast<double>(prompt.size()) / prefill.prefill_seconds);
  options.max_tokens = gen + 1;  // the first token comes from the prompt's own pass
  BANTAM_ASSIGN(auto decode, session->generate(std::span(prompt).first(1), options));
  if (decode.tokens.size() < 2) {
    return fail(Code::kLimit, "--gen: the context of {} tokens leaves no room", engine.context_length());
  }
  out.decode.push_back(static_cast<double>(decode.tokens.size() - 1) / decode.decode_seconds);
  return {};
}

/// The last line of the command's output that begins with '{'.
Result<Json> run_rival(const Options& options) {
  std::string command = fmt::format(
      "BANTAM_BENCH_MODEL='{}' BANTAM_BENCH_PROMPT={} BANTAM_BENCH_GEN={} BANTAM_BENCH_THREADS={} {}",
      options.model, options.prompt, options.gen, options.engine.threads, options.rival);
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return fail_errno("--vs", errno);
  std::string output, line, last;
  char buffer[4096];
  for (size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, got);
  int status = ::pclose(pipe);
  if (status != 0) return fail(Code::kUnavailable, "--vs: the command ended with status {}", status);
  for (size_t start = 0; start < output.size();) {
    size_t end = std::min(output.find('\n', start), output.size());
    line = output.substr(start, end - start);
    if (line.starts_with('{')) last = line;
    start = end + 1;
  }
  Json json = Json::parse(last, nullptr, false);
  if (json.is_discarded()) {
    return fail(Code::kUnavailable,
                "--vs: expected a line of JSON with \"prefill\" and \"decode\", found {} bytes of output",
                output.size());
  }
  return json;
}

Status add_rival(const Json& json, Series& out) {
  auto take = [&](const char* key, std::vector<double>& to, bool needed) -> Status {
    auto found = json.find(key);
    if (found != json.end() && found->is_number()) {
      to.push_back(found->get<double>());
    } else if (needed) {
      return fail(Code::kUnavailable, "--vs: expected a number \"{}\" in the command's JSON", key);
    }
    return {};
  };
  BANTAM_TRY(take("prefill", out.prefill, true));
  BANTAM_TRY(take("decode", out.decode, true));
  BANTAM_TRY(take("load_seconds", out.load_seconds, false));
  return take("peak_bytes", out.peak_bytes, false);
}

Json as_json(const Series& series) {
  Json out = {{"prefill", eval::quantile(series.prefill, 0.5)},
              {"decode", eval::quantile(series.decode, 0.5)}};
  if (!series.load_seconds.empty()) out["load_seconds"] = eval::quantile(series.load_seconds, 0.5);
  if (!series.peak_bytes.empty()) out["peak_bytes"] = eval::quantile(series.peak_bytes, 0.5);
  out["prefill_runs"] = series.prefill;
  out["decode_runs"] = series.decode;
  return out;
}

std::string as_text(const Json& json) {
  std::vector<std::vector<std::string>> rows = {
      {"median", "prefill tokens/s", "decode tokens/s", "load", "peak memory"}};
  auto add = [&](const std::string& name, const Json& one) {
    bool load = one.contains("load_seconds"), peak = one.contains("peak_bytes");
    rows.push_back({name, fmt::format("{:.1f}", one["prefill"].get<double>()),
                    fmt::format("{:.1f}", one["decode"].get<double>()),
                    load ? fmt::format("{:.1f} ms", 1000 * one["load_seconds"].get<double>()) : "-",
                    peak ? human_bytes(static_cast<uint64_t>(one["peak_bytes"].get<double>())) : "-"});
  };
  add("bantam", json["bantam"]);
  if (!json.contains("rival")) return text_table(rows);
  add("the other", json["rival"]);
  std::string out = text_table(rows);
  return out + fmt::format("bantam / the other: prefill {:.2f}, decode {:.2f}\n",
                           json["prefill_ratio"].get<double>(), json["decode_ratio"].get<double>());
}

Result<Json> bench(const Options& options, const Common& common) {
  Series ours, rival;
  double start = wall_seconds();
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(options.model, options.engine));
  ours.load_seconds.push_back(wall_seconds() - start);
  BANTAM_ASSIGN(auto prompt, random_tokens(engine->tokenizer(), options.prompt));
  Series warm_up;
  BANTAM_TRY(measure(*engine, prompt, std::min(options.gen, 8U), warm_up));
  ProgressBar bar(common.quiet);
  auto progress = bar.sink();
  // Taking turns: a machine that slows down meets both alike.
  for (uint32_t i = 0; i < options.repetitions; ++i) {
    BANTAM_TRY(measure(*engine, prompt, options.gen, ours));
    if (!options.rival.empty()) {
      BANTAM_ASSIGN(Json result, run_rival(options));
      BANTAM_TRY(add_rival(result, rival));
    }
    if (progress)
      progress({"bench", i + 1, options.repetitions, fmt::format("{:.0f} tokens/s", ours.decode.back())});
  }
  ours.peak_bytes.push_back(static_cast<double>(peak_rss_bytes()));
  Json out = {{"model", options.model},
              {"threads", options.engine.threads},
              {"prompt", options.prompt},
              {"gen", options.gen},
              {"bantam", as_json(ours)}};
  if (!options.rival.empty()) {
    out["rival"] = as_json(rival);
    for (const char* key : {"prefill", "decode"}) {
      out[std::string(key) + "_ratio"] = out["bantam"][key].get<double>() / out["rival"][key].get<double>();
    }
  }
  return out;
}

}  // namespace

Action add_bench(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<Options>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  verb.add_option("--prompt", options->prompt, "Tokens of the prompt")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb.add_option("--gen", options->gen, "Tokens to generate")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb.add_option("--reps", options->repetitions, "Repetitions; medians are printed")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  verb.add_option("--vs", options->rival,
                  "Shell command of another engine, run once after each of our repetitions")
      ->type_name("COMMAND");
  add_engine_options(verb, options->engine);
  add_json(verb, common);
  verb.footer(
      "The command of --vs reads BANTAM_BENCH_MODEL, _PROMPT, _GEN and _THREADS and prints a line of JSON: "
      "\"prefill\" and\n"
      "\"decode\" in tokens/s, and if it likes \"load_seconds\" and \"peak_bytes\".\n"
      "Examples:\n"
      "  bantam bench model.gguf --threads 2\n"
      "  bantam bench model.gguf --threads 1 --vs 'node tests/llamacpp/bench.mjs'");
  return [options, &common] {
    auto result = bench(*options, common);
    if (!result) return report(result.error());
    return common.json ? print_json(*result) : print_text(as_text(*result));
  };
}

}  // namespace bantam::cli
