// online_score MODEL.gguf TEXT: bits per byte of a text that the model learns from while it reads it, as an
// adaptive compressor does (train/online.h). One line of JSON. --out names the checkpoint and the log of a
// run, which goes on when it was stopped.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/training_environment.h"
#include "train/online.h"

int main(int argc, char** argv) {
  using namespace bantam;
  if (cli::set_training_environment())
    ::execv("/proc/self/exe", argv);  // LibTorch is here already: from the start
  CLI::App app("Bits per byte of a text that the model learns from while it reads it");
  std::string model, text, out;
  train::OnlineOptions options;
  unsigned threads = 0;
  bool quiet = false;
  app.add_option("MODEL", model, "A GGUF of a byte-level vocabulary")->required();
  app.add_option("TEXT", text, "A text file")->required();
  app.add_option("--out", out, "Checkpoint and log begin with this name")->required();
  app.add_option("--window", options.window, "Tokens seen at once")->capture_default_str();
  app.add_option("--stride", options.stride, "Tokens scored at a time, before a step learns from them")
      ->capture_default_str();
  app.add_option("--replay", options.replay, "Windows of the past that a step learns from too")
      ->capture_default_str();
  app.add_option("--learning-rate", options.learning_rate, "Of each step; 0: nothing is learned")
      ->capture_default_str();
  app.add_option("--threads", threads, "0: all")->capture_default_str();
  app.add_flag("--quiet", quiet, "No progress");
  CLI11_PARSE(app, argc, argv);
  cli::Interrupt interrupt;
  train::configure_torch(threads);
  auto run = [&]() -> Status {
    BANTAM_ASSIGN(const std::string bytes, read_file(text));
    cli::ProgressBar bar(quiet);
    BANTAM_ASSIGN(
        const auto score,
        train::score_online(
            model, bytes, options,
            {.out = out, .threads = threads, .progress = bar.sink(), .cancel = cli::Interrupt::token()}));
    bar.finish();
    fmt::print("{{\"bits_per_byte\":{:.6f},\"tokens\":{},\"bytes\":{},\"cpu_seconds\":{:.1f}}}\n",
               score.bits_per_byte(), score.tokens, score.bytes, score.job.cpu_seconds);
    return {};
  };
  const auto done = run();
  return done ? 0 : cli::report(done.error());
}
