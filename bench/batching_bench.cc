// Eight requests at once against one at a time, and what a long prompt does to another stream, on random weights of a
// 135M shape (30 layers of 576, vocabulary 49,152). Speculative decoding beside plain decoding on the same file.
//
//   batching_bench [--threads N] [--type q8_0|q4_0] [--runs N]

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/rng.h"
#include "base/usage.h"
#include "model/random_model.h"
#include "runtime/drafter.h"
#include "runtime/scheduler.h"

namespace bantam::runtime {
namespace {

struct Options {
  unsigned threads = 0;
  std::string type = "q8_0";
  size_t runs = 3, together = 8;
  uint32_t layers = 30;
};

Result<std::shared_ptr<const Engine>> load(const Options& o, uint32_t layers, uint32_t dim, uint64_t seed) {
  model::Config config;
  config.vocab_size = 49152;
  config.context_length = 4096;
  config.dim = dim;
  config.layers = layers;
  config.heads = dim / 64;
  config.kv_heads = dim / 64 / 3 > 0 ? dim / 64 / 3 : 1;
  config.head_dim = 64;
  config.ffn_dim = dim * 8 / 3 / 32 * 32;
  config.tied_head = true;
  const auto path = fmt::format("{}/bantam-batching-{}.gguf", std::filesystem::temp_directory_path().string(), ::getpid());
  BANTAM_TRY(model::write_random_model(path, config, o.type == "q4_0" ? tensor::DType::kQ4_0 : tensor::DType::kQ8_0, seed));
  auto engine = Engine::load(path, {.threads = o.threads});
  std::filesystem::remove(path);  // stays mapped
  return engine;
}

std::vector<TokenId> prompt_of(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<TokenId> out(n);
  for (auto& token : out) token = static_cast<TokenId>(2 + rng.below(40000));
  return out;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Tokens per second of `n` requests of mixed lengths that arrive together.
double tokens_per_second(const std::shared_ptr<const Engine>& engine, size_t n) {
  Scheduler scheduler(engine, {.sequences = 8});
  std::atomic<size_t> tokens{0}, ended{0};
  const double start = wall_seconds();
  for (size_t i = 0; i < n; ++i) {
    GenerateOptions options{.max_tokens = 96 + static_cast<uint32_t>(i % 4) * 16, .ignore_end = true};
    const auto done = [&](Result<Generation> found) {
      if (found) tokens += found->tokens.size();
      ++ended;
    };
    if (!scheduler.generate(prompt_of(16 + 8 * (i % 5), i), options, done)) return 0;
  }
  while (ended.load() < n) std::this_thread::sleep_for(std::chrono::microseconds(200));
  return static_cast<double>(tokens.load()) / (wall_seconds() - start);
}

/// The longest wait for a token of one stream, without and while a prompt of `length` tokens is read, in seconds.
std::pair<double, double> longest_gap(const std::shared_ptr<const Engine>& engine, size_t length) {
  Scheduler scheduler(engine, {.sequences = 8});
  std::mutex mutex;
  std::vector<double> times;
  std::atomic<size_t> count{0}, ended{0};
  GenerateOptions options{.max_tokens = 4000, .ignore_end = true};
  std::stop_source stop;
  options.cancel = stop.get_token();
  options.top_logprobs = 0;
  options.on_logprobs = [&](const TokenLogprobs&) {
    std::lock_guard lock(mutex);
    times.push_back(wall_seconds());
    ++count;
  };
  const auto done = [&](const Result<Generation>&) { ++ended; };
  if (!scheduler.generate(prompt_of(16, 1), options, done)) return {};
  while (count.load() < 60) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double begin = wall_seconds();
  if (!scheduler.generate(prompt_of(length, 2), {.max_tokens = 1, .ignore_end = true}, done)) return {};
  while (ended.load() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop.request_stop();
  while (ended.load() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  double before = 0, beside = 0;
  for (size_t i = 1; i < times.size(); ++i) {
    (times[i] <= begin ? before : beside) = std::max(times[i] <= begin ? before : beside, times[i] - times[i - 1]);
  }
  return {before, beside};
}

/// Tokens per second of one generation, and the share of proposals that were right.
std::pair<double, double> generation(const Engine& engine, const std::vector<TokenId>& prompt,
                                     const std::shared_ptr<Drafter>& drafter) {
  auto session = engine.new_session();
  if (!session) return {};
  GenerateOptions options{.max_tokens = 128, .ignore_end = true};
  options.drafter = drafter;
  const auto found = (*session)->generate(prompt, options);
  if (!found) return {};
  return {static_cast<double>(found->tokens.size()) / found->decode_seconds,
          found->drafted == 0 ? 0 : static_cast<double>(found->kept) / found->drafted};
}

/// Proposes what is known to come, with so many errors: what a drafter of that quality and no cost would give.
class Known final : public Drafter {
 public:
  Known(std::vector<TokenId> truth, double right) : truth_(std::move(truth)), right_(right), rng_(1) {}
  void propose(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) override {
    out.clear();
    for (size_t i = tokens.size(); i < truth_.size() && out.size() < most; ++i) {
      out.push_back(rng_.chance(right_) ? truth_[i] : 5);
    }
  }

 private:
  std::vector<TokenId> truth_;
  double right_;
  Rng rng_;
};

int run(const Options& o) {
  const auto engine = load(o, o.layers, 576, 1);
  if (!engine) {
    fmt::print(stderr, "{}\n", engine.error().message);
    return 1;
  }
  fmt::print("135M shape, {}, {} threads; medians of {} interleaved runs\n", o.type,
             o.threads == 0 ? std::thread::hardware_concurrency() : o.threads, o.runs);
  std::vector<double> one, many, ratio, quiet, beside;
  for (size_t i = 0; i < o.runs; ++i) {
    one.push_back(tokens_per_second(*engine, 1));
    many.push_back(tokens_per_second(*engine, o.together));
    ratio.push_back(many.back() / one.back());
    const auto [before, gap] = longest_gap(*engine, 2000);
    quiet.push_back(before);
    beside.push_back(gap);
  }
  fmt::print("tokens/s             one {:.1f}, {} together {:.1f}, ratio {:.2f} ({:.2f} to {:.2f})\n", median(one),
             o.together, median(many), median(ratio), *std::ranges::min_element(ratio), *std::ranges::max_element(ratio));
  fmt::print("longest wait, ms     alone {:.0f}, while a prompt of 2,000 tokens is read {:.0f} (largest {:.0f})\n",
             1e3 * median(quiet), 1e3 * median(beside), 1e3 * *std::ranges::max_element(beside));
  const auto prompt = prompt_of(32, 9);
  auto truth = prompt;
  const auto plain = (*(*engine)->new_session())->generate(prompt, {.max_tokens = 128, .ignore_end = true});
  if (!plain) return 1;
  truth.insert(truth.end(), plain->tokens.begin(), plain->tokens.end());
  for (double right : {0.0, 0.5, 0.7, 0.9}) {
    std::vector<double> without, with, gain, kept;
    for (size_t i = 0; i < o.runs; ++i) {
      without.push_back(generation(**engine, prompt, nullptr).first);
      const auto [speed, share] = generation(**engine, prompt, std::make_shared<Known>(truth, right));
      with.push_back(speed);
      kept.push_back(share);
      gain.push_back(speed / without.back());
    }
    fmt::print("speculative          proposals right {:.0f} % (kept {:.0f} %): {:.1f} tokens/s, plain {:.1f}, ratio {:.2f}\n",
               100 * right, 100 * median(kept), median(with), median(without), median(gain));
  }
  return 0;
}

}  // namespace
}  // namespace bantam::runtime

int main(int argc, char** argv) {
  CLI::App app("Continuous batching and speculative decoding on a 135M shape");
  bantam::runtime::Options options;
  app.add_option("--threads", options.threads, "Threads (0: all)");
  app.add_option("--type", options.type, "q8_0 or q4_0")->check(CLI::IsMember({"q8_0", "q4_0"}));
  app.add_option("--runs", options.runs, "Runs of each")->check(CLI::Range(1, 100));
  app.add_option("--together", options.together, "Requests at once")->check(CLI::Range(1, 8));
  app.add_option("--layers", options.layers, "Layers")->check(CLI::Range(1, 100));
  CLI11_PARSE(app, argc, argv);
  return bantam::runtime::run(options);
}
