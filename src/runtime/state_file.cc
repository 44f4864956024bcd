#include "runtime/state_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/hash.h"

namespace bantam::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "states are copied as they lie");

constexpr std::string_view kMagic = "BANTAMKV";
constexpr uint32_t kVersion = 1, kLongText = 1;
constexpr size_t kHashDigits = 64;
constexpr uint32_t kMost = uint32_t{1} << 24;  // of each count

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Takes numbers and texts off the front of what is there.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}
  template <class T>
  T number() {
    T value{};
    if (const auto from = take(sizeof value); !from.empty()) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }
  std::string text(size_t length) {
    const auto from = take(length);
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }
  /// Empty, and failed from then on, where there is not so much.
  std::span<const std::byte> take(uint64_t length) {
    if (length > rest_.size()) {
      failed_ = true;
      rest_ = {};
    }
    if (failed_) return {};
    const auto out = rest_.first(length);
    rest_ = rest_.subspan(length);
    return out;
  }
  bool failed() const { return failed_; }
  size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

bool is_digits(const std::string& text) {
  return text.size() == kHashDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Bytes of keys, and again of values; nullopt where no memory holds them.
std::optional<uint64_t> half_bytes(const StateKey& key, uint32_t tokens) {
  auto out = checked_mul<uint64_t>(uint64_t{key.layers} * key.heads, tokens);
  if (out) out = checked_mul<uint64_t>(*out, key.row_bytes);
  return out;
}

}  // namespace

std::string state_header(const StateKey& key, std::span<const TokenId> tokens) {
  std::string out(kMagic);
  for (const uint32_t number :
       {kVersion, key.type, key.layers, key.heads, key.row_bytes, static_cast<uint32_t>(tokens.size())})
    put(out, number);
  out += key.model + key.adapters;
  put(out, key.long_text ? kLongText : uint32_t{0});
  put(out, uint32_t{0});
  out.append(reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes());
  return out;
}

Result<StateView> parse_state(std::span<const std::byte> bytes, std::string_view name) {
  Reader in(bytes);
  if (in.text(kMagic.size()) != kMagic)
    return fail(Code::kCorrupt, "{}: found no session state, expected one beginning with {}", name, kMagic);
  const auto version = in.number<uint32_t>();
  if (!in.failed() && version != kVersion)
    return fail(Code::kUnsupported, "{}: version: found {}, expected {}", name, version, kVersion);
  StateView out;
  StateKey& key = out.key;
  key.type = in.number<uint32_t>();
  key.layers = in.number<uint32_t>();
  key.heads = in.number<uint32_t>();
  key.row_bytes = in.number<uint32_t>();
  const auto tokens = in.number<uint32_t>();
  key.model = in.text(kHashDigits);
  key.adapters = in.text(kHashDigits);
  const auto flags = in.number<uint32_t>(), zero = in.number<uint32_t>();
  key.long_text = flags == kLongText;
  const auto half = half_bytes(key, tokens);
  const bool sane = half && key.layers <= kMost && key.heads <= kMost && key.row_bytes <= kMost &&
                    tokens > 0 && tokens <= kMost && flags <= kLongText && zero == 0 &&
                    is_digits(key.model) && is_digits(key.adapters);
  if (in.failed() || !sane) return fail(Code::kCorrupt, "{}: found a damaged header", name);
  const auto ids = in.take(uint64_t{tokens} * sizeof(TokenId));
  out.keys = in.take(*half);
  out.values = in.take(*half);
  const auto sum = in.number<uint64_t>();
  if (in.failed() || in.left() > 0) {
    return fail(Code::kCorrupt, "{}: found {} bytes, expected {} of {} tokens{}", name, bytes.size(),
                in.failed() ? "more for the state" : "fewer for the state", tokens,
                in.failed() ? " (cut off?)" : "");
  }
  Checksum checksum;
  checksum.add(bytes.first(bytes.size() - sizeof sum));
  if (checksum.value() != sum)
    return fail(Code::kCorrupt, "{}: found checksum {:016x}, expected {:016x}: the file is damaged", name,
                sum, checksum.value());
  out.tokens.resize(tokens);
  std::memcpy(out.tokens.data(), ids.data(), ids.size());
  return out;
}

/// Each step is a bijection of the state for a given word, and of the word for a given state.
void Checksum::mix(uint64_t word) { state_ = std::rotl(state_ ^ word, 29) * 0x9e37'79b9'7f4a'7c15; }

void Checksum::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t held = length_ % sizeof word_, n = std::min(bytes.size(), sizeof word_ - held);
    std::memcpy(reinterpret_cast<std::byte*>(&word_) + held, bytes.data(), n);
    length_ += n;
    bytes = bytes.subspan(n);
    if (length_ % sizeof word_ == 0) {
      mix(word_);
      word_ = 0;
    }
  }
}

uint64_t Checksum::value() const {
  Checksum last = *this;
  last.mix(word_);
  last.mix(length_);
  return last.state_;
}

std::string fingerprint(const formats::GgufFile& file) {
  constexpr size_t kSample = 512, kSamples = 8;
  std::string bytes;
  const auto add = [&bytes](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  };
  const std::byte* begin = nullptr;  // of the first file, whose metadata end where its tensors begin
  uint64_t data_at = UINT64_MAX;
  for (const auto& tensor : file.tensors()) {
    const auto data = file.data(tensor);
    if (tensor.shard == 0 && tensor.offset < data_at) {
      data_at = tensor.offset;
      begin = data.data() - tensor.offset;
    }
    bytes += tensor.name;
    put(bytes, static_cast<uint32_t>(tensor.type));
    for (const uint64_t side : tensor.shape) put(bytes, side);
    for (size_t i = 0; i < kSamples; ++i) {
      const size_t at = data.size() / kSamples * i;
      add(data.subspan(at, std::min(kSample, data.size() - at)));
    }
  }
  if (begin != nullptr) add({begin, static_cast<size_t>(data_at)});
  return sha256_hex(bytes);
}

}  // namespace bantam::runtime
