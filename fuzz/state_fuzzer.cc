// The state of a session from bytes; whatever is taken for one lies within them. The checksum is put right
// first, or nothing would get past it.

#include <cstdlib>
#include <cstring>
#include <string>

#include "runtime/state_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size > sizeof(uint64_t) && data[size - 1] != 0) {  // not always
    bantam::runtime::Checksum checksum;
    checksum.add(std::as_bytes(std::span(bytes).first(size - sizeof(uint64_t))));
    const uint64_t sum = checksum.value();
    std::memcpy(bytes.data() + size - sizeof sum, &sum, sizeof sum);
  }
  const auto state = bantam::runtime::parse_state(std::as_bytes(std::span(bytes)), "fuzz.state");
  if (!state) {
    if (state.error().message.empty()) std::abort();
    return 0;
  }
  const auto& key = state->key;
  const size_t half = size_t{key.layers} * key.heads * key.row_bytes * state->tokens.size();
  if (state->keys.size() != half || state->values.size() != half || 2 * half > size) std::abort();
  const auto* end = reinterpret_cast<const std::byte*>(bytes.data()) + size;
  if (half > 0 && state->values.data() + half > end) std::abort();
  return 0;
}
