#pragma once
// Adapters for tests: random values, right in all but what a test changes.

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/adapter_file.h"
#include "model/random_model.h"

namespace bantam::model {

/// A name for a file of this test alone.
inline std::string adapter_scratch(const char* name) {
  static std::atomic<int> count{0};
  return (std::filesystem::temp_directory_path() /
          fmt::format("bantam-{}-{}-{}.gguf", name, ::getpid(), ++count))
      .string();
}

/// A tiny model that adapters are made for. Its file is gone; the map stays.
inline formats::GgufFile adapted_model() {
  const std::string path = adapter_scratch("adapted");
  EXPECT_TRUE(write_random_model(path, tiny_config(), tensor::DType::kF32, 1));
  auto file = formats::GgufFile::open(path);
  std::filesystem::remove(path);
  EXPECT_TRUE(file);
  return std::move(*file);
}

struct AdapterDraft {
  explicit AdapterDraft(uint64_t seed = 3) : rng(seed) {
    file.set("general.type", std::string("adapter"));
    file.set("general.architecture", std::string("llama"));
    file.set("adapter.type", std::string("lora"));
    file.set("adapter.lora.alpha", 4.0F);
  }
  void matrix(const std::string& name, uint64_t columns, uint64_t rows) {
    std::vector<float> x(columns * rows);
    for (float& value : x) value = static_cast<float>(0.2 * rng.normal());
    EXPECT_TRUE(file.add_tensor(name, tensor::DType::kF32, {columns, rows}, std::as_bytes(std::span(x))));
  }
  void pair(const std::string& name, uint64_t columns, uint64_t rows, uint64_t rank) {
    matrix(name + ".lora_a", columns, rank);
    matrix(name + ".lora_b", rank, rows);
  }
  /// One for every matrix of the model, the table of embeddings too.
  void all(const formats::GgufFile& model, uint64_t rank) {
    for (const auto& tensor : model.tensors()) {
      if (tensor.shape.size() != 2) continue;
      if (tensor.name == "token_embd.weight") {
        matrix(tensor.name + ".lora_a", rank, tensor.shape[1]);
        matrix(tensor.name + ".lora_b", rank, tensor.shape[0]);
      } else {
        pair(tensor.name, tensor.shape[0], tensor.shape[1], rank);
      }
    }
  }
  Result<AdapterFile> read(const formats::GgufFile& base) {
    const std::string path = adapter_scratch("draft");
    EXPECT_TRUE(file.write(path));
    auto out = AdapterFile::open(path, base);
    std::filesystem::remove(path);
    return out;
  }

  formats::GgufWriter file;
  Rng rng;
};

}  // namespace bantam::model
