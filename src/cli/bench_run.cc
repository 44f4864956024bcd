#include "cli/bench_run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/rng.h"
#include "base/usage.h"
#include "eval/metrics.h"

namespace bantam::cli {
namespace {

/// Of each repetition: tokens per second, and seconds from a short prompt to its first token; and what is
/// measured once (the rival's: in each of its runs).
struct Series {
  std::vector<double> prefill, decode, first_seconds, load_seconds, load_to_first_seconds, peak_bytes;
};

constexpr uint32_t kShortPrompt = 32;

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

/// Seconds until the first token after a prompt that nothing is known of.
Result<double> time_to_first(const runtime::Engine& engine, std::span<const text::TokenId> prompt) {
  BANTAM_ASSIGN(auto session, engine.new_session());
  runtime::GenerateOptions options;
  options.ignore_end = true;
  options.max_tokens = 1;
  BANTAM_ASSIGN(auto generation, session->generate(prompt, options));
  return generation.prefill_seconds;
}

Status measure_once(const runtime::Engine& engine, std::span<const text::TokenId> prompt, uint32_t gen,
                    Series& out) {
  BANTAM_ASSIGN(const double short_seconds,
                time_to_first(engine, prompt.first(std::min<size_t>(prompt.size(), kShortPrompt))));
  out.first_seconds.push_back(short_seconds);
  BANTAM_ASSIGN(const double seconds, time_to_first(engine, prompt));
  out.prefill.push_back(static_cast<double>(prompt.size()) / seconds);
  BANTAM_ASSIGN(auto session, engine.new_session());
  runtime::GenerateOptions options;
  options.ignore_end = true;
  options.max_tokens = gen + 1;  // the first token comes from the prompt's own pass
  BANTAM_ASSIGN(auto decode, session->generate(prompt.first(1), options));
  if (decode.tokens.size() < 2) {
    return fail(Code::kLimit, "--gen: the context of {} tokens leaves no room", engine.context_length());
  }
  out.decode.push_back(static_cast<double>(decode.tokens.size() - 1) / decode.decode_seconds);
  return {};
}

/// The last line of the command's output that begins with '{'.
Result<Json> run_rival(const BenchOptions& options) {
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
  BANTAM_TRY(take("load_to_first_seconds", out.load_to_first_seconds, false));
  return take("peak_bytes", out.peak_bytes, false);
}

Json as_json(const Series& series) {
  Json out = {{"prefill", eval::quantile(series.prefill, 0.5)},
              {"decode", eval::quantile(series.decode, 0.5)}};
  const std::pair<const char*, const std::vector<double>*> others[] = {
      {"first_seconds", &series.first_seconds},
      {"load_seconds", &series.load_seconds},
      {"load_to_first_seconds", &series.load_to_first_seconds},
      {"peak_bytes", &series.peak_bytes}};
  for (const auto& [key, values] : others) {
    if (!values->empty()) out[key] = eval::quantile(*values, 0.5);
  }
  out["prefill_runs"] = series.prefill;
  out["decode_runs"] = series.decode;
  return out;
}

/// What of the machine the speeds are.
Json roofline_of(const runtime::Engine& engine, const Json& ours, uint32_t prompt) {
  const kernels::Roofline best = engine.roofline();
  const runtime::TokenWork work = engine.token_work();
  const double read = ours["decode"].get<double>() * static_cast<double>(work.bytes);
  const double per_token =
      static_cast<double>(work.layer_multiply_adds) + static_cast<double>(work.head_multiply_adds) / prompt;
  const double done = ours["prefill"].get<double>() * per_token;
  Json out = {{"bytes_per_second", best.bytes_per_second}, {"decode_bytes_per_second", read}};
  if (best.bytes_per_second > 0) out["decode_share"] = read / best.bytes_per_second;
  if (best.multiply_adds_per_second > 0) {
    out["multiply_adds_per_second"] = best.multiply_adds_per_second;
    out["prefill_multiply_adds_per_second"] = done;
    out["prefill_share"] = done / best.multiply_adds_per_second;
  }
  return out;
}

}  // namespace

Result<Json> bench(const BenchOptions& options, const ProgressSink& progress) {
  Series ours, rival;
  double start = wall_seconds();
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(options.model, options.engine));
  BANTAM_TRY(engine->prepare());
  ours.load_seconds.push_back(wall_seconds() - start);
  BANTAM_ASSIGN(auto prompt, random_tokens(engine->tokenizer(), options.prompt));
  BANTAM_ASSIGN(const double first,
                time_to_first(*engine, std::span(prompt).first(std::min(options.prompt, kShortPrompt))));
  ours.load_to_first_seconds.push_back(ours.load_seconds.back() + first);
  Series warm_up;
  BANTAM_TRY(measure_once(*engine, prompt, std::min(options.gen, 8U), warm_up));
  // Taking turns: a machine that slows down meets both alike.
  for (uint32_t i = 0; i < options.repetitions; ++i) {
    BANTAM_TRY(measure_once(*engine, prompt, options.gen, ours));
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
              {"batch", options.engine.batch},
              {"prompt", options.prompt},
              {"gen", options.gen},
              {"bantam", as_json(ours)}};
  if (!options.rival.empty()) {
    out["rival"] = as_json(rival);
    for (const char* key : {"prefill", "decode"}) {
      out[std::string(key) + "_ratio"] = out["bantam"][key].get<double>() / out["rival"][key].get<double>();
    }
  }
  if (options.roofline) out["roofline"] = roofline_of(*engine, out["bantam"], options.prompt);
  return out;
}

Result<Json> bench_apart(const BenchOptions& options, const ProgressSink& progress) {
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno("bench", errno);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("bench", errno);
  if (child == 0) {
    ::close(ends[0]);
    const auto result = bench(options, progress);
    const std::string text =
        result ? result->dump()
               : Json{{"error", result.error().message}}.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::FILE* out = ::fdopen(ends[1], "w");
    const bool written = out != nullptr && std::fwrite(text.data(), 1, text.size(), out) == text.size() &&
                         std::fclose(out) == 0;
    ::_exit(written ? 0 : 1);  // what this process shares with the other stays as it is
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) break;
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return fail(Code::kInternal, "{}: the measuring process ended with status {}", options.model, status);
  if (json.contains("error")) return fail(Code::kUnavailable, "{}", json["error"].get<std::string>());
  return json;
}

}  // namespace bantam::cli
