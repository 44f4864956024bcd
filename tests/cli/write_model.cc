// write_model OUT [--labels a,b] [--type q8_0] [--seed N] [--context N] [--template FILE]: a small decoder with random
// weights, for tests that need a model file. FILE holds its chat template.

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "base/file.h"
#include "formats/gguf.h"
#include "model/random_model.h"

int main(int argc, char** argv) {
  std::string out, type = "f32", chat_template;
  std::vector<std::string> labels;
  uint64_t seed = 1;
  bantam::model::Config config;
  config.vocab_size = 300;
  config.context_length = 256;
  config.dim = config.ffn_dim = 64;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  CLI::App app("Writes a small decoder with random weights.");
  app.add_option("OUT", out)->required();
  app.add_option("--labels", labels)->delimiter(',');
  app.add_option("--type", type);
  app.add_option("--seed", seed);
  app.add_option("--context", config.context_length);
  app.add_option("--template", chat_template);
  CLI11_PARSE(app, argc, argv);
  if (!chat_template.empty()) {
    auto text = bantam::read_file(chat_template);
    if (!text) {
      fmt::print(stderr, "write_model: {}\n", text.error().message);
      return 1;
    }
    chat_template = *text;
  }
  auto number = bantam::formats::ggml_type_from_name(type);
  if (!number) {
    fmt::print(stderr, "write_model: {}\n", number.error().message);
    return 2;
  }
  auto status = bantam::model::write_random_model(out, config, *number, seed, labels, chat_template);
  if (status) return 0;
  fmt::print(stderr, "write_model: {}\n", status.error().message);
  return 1;
}
