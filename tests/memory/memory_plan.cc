// memory_plan MODEL KV CONTEXT: loads the model, fills a session's context, and prints the plan beside what
// this process grew by, in bytes, as JSON. A tiny model does all that first, so that the program's own pages,
// which no plan of a model is about, are there already. KV is F16, F32 or Q8_0. memory_plan OUT TYPE DIM
// LAYERS HEADS KV_HEADS FFN VOCABULARY WORDS: writes a decoder of random weights whose last WORDS tokens are
// words.

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "base/usage.h"
#include "formats/gguf.h"
#include "model/random_model.h"
#include "runtime/engine.h"

namespace {

using bantam::Result;
using namespace bantam::runtime;

/// VmRSS of this process.
uint64_t resident() {
  std::ifstream file("/proc/self/statm");
  uint64_t all = 0, pages = 0;
  file >> all >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Loads and fills a session's context; both live as long as what is returned.
Result<std::pair<std::shared_ptr<const Engine>, std::unique_ptr<Session>>> run(const std::string& path,
                                                                               const std::string& kv,
                                                                               uint32_t context) {
  BANTAM_ASSIGN(const auto type, bantam::formats::ggml_type_from_name(kv));
  BANTAM_ASSIGN(auto engine, Engine::load(path, {.threads = 2, .context_length = context, .kv_cache = type}));
  BANTAM_ASSIGN(auto session, engine->new_session());
  const auto vocabulary = engine->config().vocab_size;
  std::vector<TokenId> prompt(context - 8);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(i * 7919 % (vocabulary - 1));
  GenerateOptions options{.max_tokens = 9, .ignore_end = true};
  options.sampling.temperature = 1;
  BANTAM_TRY(session->generate(prompt, options));
  return std::pair(std::move(engine), std::move(session));
}

Result<std::string> measure(const std::string& path, const std::string& kv, uint32_t context) {
  const std::string first = path + ".first";
  for (const auto type : {bantam::tensor::DType::kF16, bantam::tensor::DType::kQ8_0}) {
    BANTAM_TRY(bantam::model::write_random_model(first, bantam::model::tiny_config(), type, 1));
    BANTAM_TRY(run(first, kv, 32));
  }
  // What an allocator keeps of the first models would be used for the next one, and its growth look smaller.
  bantam::give_back_free_memory();
  const uint64_t before = resident();
  BANTAM_ASSIGN(const auto running, run(path, kv, context));
  const uint64_t after = resident();
  const MemoryPlan plan = running.first->memory();
  return fmt::format(R"({{"weights":{},"text":{},"kv_cache":{},"buffers":{},"plan":{},"grew":{}}})",
                     plan.weights, plan.text, plan.kv_cache, plan.buffers, plan.total(), after - before);
}

bantam::Status write(const std::string& path, const std::string& type, const std::vector<uint32_t>& sizes) {
  BANTAM_ASSIGN(const auto number, bantam::formats::ggml_type_from_name(type));
  bantam::model::Config config;
  config.context_length = 4096;
  config.dim = sizes[0];
  config.layers = sizes[1];
  config.heads = sizes[2];
  config.kv_heads = sizes[3];
  config.head_dim = config.dim / config.heads;
  config.ffn_dim = sizes[4];
  config.vocab_size = sizes[5];
  config.tied_head = true;
  std::vector<std::string> words;
  for (uint32_t i = 0; i < sizes[6]; ++i) words.push_back(fmt::format("word number {}", i));
  return bantam::model::write_random_model(path, config, number, 1, words);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 10) {
    std::vector<uint32_t> sizes;
    for (int i = 3; i < argc; ++i) sizes.push_back(static_cast<uint32_t>(std::stoul(argv[i])));
    const auto written = write(argv[1], argv[2], sizes);
    if (!written) fmt::print(stderr, "memory_plan: {}\n", written.error().message);
    return written ? 0 : 1;
  }
  if (argc != 4) {
    std::fputs("usage: memory_plan MODEL KV CONTEXT; memory_plan OUT TYPE SIZE…\n", stderr);
    return 2;
  }
  const auto line = measure(argv[1], argv[2], static_cast<uint32_t>(std::stoul(argv[3])));
  if (!line) {
    fmt::print(stderr, "memory_plan: {}\n", line.error().message);
    return line.error().code == bantam::Code::kInvalidArgument ? 77
                                                               : 1;  // a kind of cache that this build lacks
  }
  fmt::print("{}\n", *line);
  return 0;
}
