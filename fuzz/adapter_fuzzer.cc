// A low-rank adapter from bytes, for a small model: what is accepted has the model's shapes and can be read.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/gguf.h"
#include "model/adapter_file.h"

namespace {

using bantam::formats::GgufFile;

/// A model of two matrices, whose bytes stay.
const GgufFile& base() {
  static std::string bytes;
  static const GgufFile file = [] {
    bantam::formats::GgufWriter out;
    out.set("general.architecture", std::string("llama"));
    const std::vector<float> values(8, 1.0F);
    for (const char* name : {"token_embd.weight", "blk.0.attn_q.weight"}) {
      if (!out.add_tensor(name, bantam::formats::GgmlType::kF32, {2, 4}, std::as_bytes(std::span(values))))
        std::abort();
    }
    const auto path = std::filesystem::temp_directory_path() / ("bantam-base-" + std::to_string(::getpid()));
    if (!out.write(path)) std::abort();
    bytes = *bantam::read_file(path);
    std::filesystem::remove(path);
    auto parsed = GgufFile::parse(std::as_bytes(std::span(bytes)), "base.gguf");
    if (!parsed) std::abort();
    return std::move(*parsed);
  }();
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file) return 0;
  const auto adapter = bantam::model::AdapterFile::read(std::move(*file), base());
  if (!adapter) {
    if (adapter.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& part : adapter->parts()) {
    std::vector<float> row(2);
    bantam::model::add_low_rank_row(part, 1, 3, row);
  }
  return 0;
}
