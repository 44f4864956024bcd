#pragma once
// Hash tables that are built once and then only read, in two allocations: a vocabulary of 150,000 tokens is
// to load within the time of a first token.

#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace bantam::text {

/// The ids of texts that a list holds elsewhere; of equal texts the first added counts.
class TextIndex {
 public:
  /// Room for `count` texts. REQUIRES: none was added.
  void reserve(size_t count) {
    slots_.assign(std::bit_ceil(count * 2 + 2), {0, -1});
    mask_ = slots_.size() - 1;
  }
  /// False where the text was there already. REQUIRES: fewer than reserved.
  bool add(const std::vector<std::string>& texts, TokenId id) {
    const std::string& text = texts[static_cast<size_t>(id)];
    const auto hash = hash_of(text);
    size_t at = hash & mask_;
    for (; slots_[at].id >= 0; at = (at + 1) & mask_) {
      if (slots_[at].hash == hash && texts[static_cast<size_t>(slots_[at].id)] == text) return false;
    }
    slots_[at] = {hash, id};
    return true;
  }
  /// -1 for a text that is not there.
  TokenId find(const std::vector<std::string>& texts, std::string_view text) const {
    if (slots_.empty()) return -1;
    const auto hash = hash_of(text);
    for (size_t at = hash & mask_; slots_[at].id >= 0; at = (at + 1) & mask_) {
      if (slots_[at].hash == hash && texts[static_cast<size_t>(slots_[at].id)] == text) return slots_[at].id;
    }
    return -1;
  }

 private:
  struct Slot {
    uint32_t hash;
    TokenId id;
  };
  static uint32_t hash_of(std::string_view text) {
    const uint64_t hash = std::hash<std::string_view>()(text);  // of 32 bits on WebAssembly
    return static_cast<uint32_t>(hash ^ hash >> 32);
  }
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

/// What two tokens merge to, and the rank of that merge; of equal pairs the first added counts.
class PairIndex {
 public:
  struct Merge {
    int32_t rank;
    TokenId result;
  };
  void reserve(size_t count) {
    slots_.assign(std::bit_ceil(count * 2 + 2), Slot{});
    mask_ = slots_.size() - 1;
  }
  void add(TokenId left, TokenId right, Merge merge) {
    const uint64_t key = key_of(left, right);
    size_t at = place(key);
    for (; slots_[at].key != kEmpty; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return;
    }
    slots_[at] = {key, merge};
  }
  /// Null where the two do not merge. Negative ids never do.
  const Merge* find(TokenId left, TokenId right) const {
    if (slots_.empty() || left < 0 || right < 0) return nullptr;
    const uint64_t key = key_of(left, right);
    for (size_t at = place(key); slots_[at].key != kEmpty; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return &slots_[at].merge;
    }
    return nullptr;
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge{};
  };
  static uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t place(uint64_t key) const { return ((key ^ key >> 29) * 0x9e3779b97f4a7c15ULL >> 20) & mask_; }
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

}  // namespace bantam::text
