// safetensors bytes: the tensors that parse must cover the data and lie inside it.

#include <cstdlib>

#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto bytes = std::as_bytes(std::span(data, size));
  auto file = bantam::formats::SafeTensorsFile::parse(bytes, "fuzz.safetensors");
  if (!file) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  size_t covered = 0;
  for (const auto& tensor : file->tensors()) {
    if (file->find(tensor.name) != &tensor) std::abort();
    covered += tensor.data.size();
    if (tensor.data.empty()) continue;
    if (tensor.data.data() < bytes.data() || &tensor.data.back() > &bytes.back()) std::abort();
  }
  if (covered > size) std::abort();
  return 0;
}
