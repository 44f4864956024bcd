// greedy_tokens write FILE TYPE: a small random model whose matrices are of the type.
// greedy_tokens run FILE [COUNT]: the ids of COUNT (100) greedy tokens after a fixed prompt, in one line, and in the next the
// least gap in log-probability between the first and the second token of a step.
// The same program for every target: what it prints must be the same everywhere.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "model/random_model.h"
#include "runtime/engine.h"

namespace {

using bantam::Status;

bantam::model::Config shape() {
  bantam::model::Config out = bantam::model::tiny_config();
  out.dim = out.ffn_dim = 256;  // of whole super-blocks
  out.layers = 2;
  out.heads = 4;
  out.kv_heads = 2;
  out.head_dim = 64;
  return out;
}

Status write(const std::string& path, std::string_view type_name) {
  BANTAM_ASSIGN(const auto type, bantam::formats::ggml_type_from_name(type_name));
  return bantam::model::write_random_model(path, shape(), type, 7);
}

Status run(const std::string& path, uint32_t count) {
  BANTAM_ASSIGN(const auto engine, bantam::runtime::Engine::load(path, {.threads = 1}));
  BANTAM_ASSIGN(const auto session, engine->new_session());
  const std::vector<bantam::text::TokenId> prompt{3, 200, 17, 17, 90, 4, 250, 33, 34, 35, 36};
  BANTAM_ASSIGN(const auto found,
                session->generate(prompt, {.max_tokens = count, .ignore_end = true, .top_logprobs = 2}));
  double gap = std::numeric_limits<double>::infinity();
  for (const auto& step : found.logprobs) gap = std::min(gap, step.top[0].second - step.top[1].second);
  fmt::print("{}\n{:.6f}\n", fmt::join(found.tokens, " "), gap);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  Status status;
  if (arguments.size() == 3 && arguments[0] == "write") {
    status = write(arguments[1], arguments[2]);
  } else if ((arguments.size() == 2 || arguments.size() == 3) && arguments[0] == "run") {
    status = run(arguments[1], arguments.size() == 3 ? std::strtoul(arguments[2].c_str(), nullptr, 10) : 100);
  } else {
    fmt::print(stderr, "usage: greedy_tokens write FILE TYPE | greedy_tokens run FILE [COUNT]\n");
    return 2;
  }
  if (status) return 0;
  fmt::print(stderr, "greedy_tokens: {}\n", status.error().message);
  return 1;
}
