// GGUF bytes: whatever parses must be readable in full, and its typed getters must not fail otherwise than by
// an error.

#include <cstdlib>

#include "formats/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = bantam::formats::GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  unsigned sum = 0;
  for (const auto& tensor : file->tensors()) {
    auto bytes = file->data(tensor);
    if (bytes.empty() || tensor.elements() == 0) std::abort();
    sum += std::to_integer<unsigned>(bytes.front()) + std::to_integer<unsigned>(bytes.back());
    if (file->find_tensor(tensor.name) != &tensor) std::abort();
  }
  for (const auto& [key, value] : file->metadata()) {
    if (file->find(key) != &value) std::abort();
    sum += file->get_uint(key).has_value() + file->get_float(key).has_value() +
           file->get_bool(key).has_value() + file->get_string(key).has_value() +
           file->get_strings(key).has_value() + file->get_floats(key).has_value() +
           file->get_ints(key).has_value();
  }
  [[maybe_unused]] static volatile unsigned sink;  // keeps the reads above
  sink = sum;
  return 0;
}
