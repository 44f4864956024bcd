#pragma once
// What tests that need an engine share: one over random weights, whose file is gone once it is loaded and
// mapped.

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/ngram_part.h"
#include "model/random_model.h"
#include "runtime/engine.h"

namespace bantam::runtime {

struct RandomEngine {
  model::Config config = model::tiny_config();
  tensor::DType type = tensor::DType::kF32;
  uint64_t seed = 1;
  std::vector<std::string> labels = {};
  std::string chat_template = {};
  std::optional<model::NgramWeights> ngrams = {};
  EngineOptions options = {.threads = 1};
};

/// Null after a failed expectation.
inline std::shared_ptr<const Engine> random_engine(const RandomEngine& wanted = {}) {
  static std::atomic<int> count{0};
  const auto path = fmt::format("{}/bantam-random-{}-{}.gguf",
                                std::filesystem::temp_directory_path().string(), ::getpid(), ++count);
  const auto written = model::write_random_model(path, wanted.config, wanted.type, wanted.seed, wanted.labels,
                                                 wanted.chat_template);
  EXPECT_TRUE(written) << written.error().message;
  if (wanted.ngrams) {
    const auto file = formats::GgufFile::open(path);
    formats::GgufWriter writer;
    writer.copy_metadata(*file);
    model::write_ngrams(*wanted.ngrams, wanted.labels.size(), writer);
    for (const auto& tensor : file->tensors())
      EXPECT_TRUE(writer.borrow_tensor(tensor.name, tensor.type, tensor.shape, file->data(tensor)));
    EXPECT_TRUE(writer.write(path));
  }
  auto engine = Engine::load(path, wanted.options);
  std::filesystem::remove(path);  // the map stays
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? *engine : nullptr;
}

}  // namespace bantam::runtime
