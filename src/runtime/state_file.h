#pragma once
// Files of session states: the tokens of a text with their keys and values, so that a later run need not read
// the text again. All numbers are little-endian: "BANTAMKV", then uint32 version (1), type of keys and values
// (GGML's number), layers, heads, bytes of one head's position, tokens; 64 hexadecimal digits of the model's
// fingerprint and 64 of its adapters'; uint32 flags (1: angles of the long context), 0; int32 tokens[n]; keys
// and values, each [layers][heads][tokens][bytes]; uint64 checksum of all before it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "text/tokenizer.h"

namespace bantam::runtime {

using text::TokenId;

/// What a state belongs to. It fits only where all of it is the same.
struct StateKey {
  std::string model, adapters;  // 64 digits each
  uint32_t type = 0, layers = 0, heads = 0, row_bytes = 0;
  bool long_text = false;

  bool operator==(const StateKey&) const = default;
};

/// A state's parts. Keys and values look into the bytes it was read from.
struct StateView {
  StateKey key;
  std::vector<TokenId> tokens;
  std::span<const std::byte> keys, values;  // [layers][heads][tokens][row_bytes]
};

/// Errors, opened by `name`: kCorrupt for what is no state, cut, damaged or out of range; kUnsupported for
/// another version.
Result<StateView> parse_state(std::span<const std::byte> bytes, std::string_view name);

/// Everything before the keys.
std::string state_header(const StateKey& key, std::span<const TokenId> tokens);

/// Of damage, not of ill will: every change of up to eight bytes in a row changes it.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes);
  uint64_t value() const;

 private:
  void mix(uint64_t word);
  uint64_t state_ = 0x6b76'6d61'746e'6162, length_ = 0, word_ = 0;
};

/// SHA-256, as 64 digits, over a model file's metadata, its tensors' names, types and shapes, and samples of
/// each tensor's data: the same for the same file, another one after training, merging or quantisation.
std::string fingerprint(const formats::GgufFile& file);

}  // namespace bantam::runtime
