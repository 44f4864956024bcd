// greedy --prompt 1,2,3 --count N MODEL…: the greedy tokens of each model after these ids, and their log-probabilities, as
// JSON [{"tokens":[…],"logprobs":[…]}]; with --embed the vector of the prompt instead; --lora FILE:SCALE adds an adapter. Keys and values in F32, one thread: as
// llama.mjs asks llama.cpp for.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/engine.h"

namespace {

using bantam::Result;
using nlohmann::json;
using namespace bantam::runtime;

Result<json> answer(const std::string& path, const std::vector<bantam::text::TokenId>& prompt, uint32_t count, bool embed,
                    const std::vector<std::string>& adapters) {
  EngineOptions engine_options{.threads = 1, .kv_cache = bantam::tensor::DType::kF32};
  for (const auto& text : adapters) {
    BANTAM_ASSIGN(auto adapter, parse_adapter(text));
    engine_options.adapters.push_back(std::move(adapter));
  }
  BANTAM_ASSIGN(auto engine, Engine::load(path, engine_options));
  BANTAM_ASSIGN(auto session, engine->new_session());
  if (embed) {
    BANTAM_ASSIGN(auto vector, session->embed(prompt));
    return json{{"vector", vector}};
  }
  GenerateOptions options{.max_tokens = count, .ignore_end = true, .top_logprobs = 1};
  options.sampling.temperature = 0;
  BANTAM_ASSIGN(auto made, session->generate(prompt, options));
  std::vector<double> logprobs;
  for (const auto& token : made.logprobs) logprobs.push_back(token.logprob);
  return json{{"tokens", made.tokens}, {"logprobs", logprobs}};
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> models, adapters;
  std::vector<bantam::text::TokenId> prompt;
  uint32_t count = 64;
  bool embed = false;
  CLI::App app("Greedy tokens of models.");
  app.add_option("--prompt", prompt)->delimiter(',')->required();
  app.add_option("--count", count);
  app.add_flag("--embed", embed);
  app.add_option("--lora", adapters);
  app.add_option("MODEL", models)->required();
  CLI11_PARSE(app, argc, argv);
  json out = json::array();
  for (const auto& model : models) {
    auto made = answer(model, prompt, count, embed, adapters);
    if (!made) {
      fmt::print(stderr, "greedy: {}\n", made.error().message);
      return 1;
    }
    out.push_back(*made);
  }
  fmt::print("{}\n", out.dump());
  return 0;
}
