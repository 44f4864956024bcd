#pragma once
// A text that knows where its bytes came from: what a template wrote may hold control tokens, what a message
// said may not. Every string operation of the interpreter keeps this.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bantam::text::jinja {

/// Origin of bytes: the template, its bos_token or eos_token, data that belongs to no message (tools), or
/// message number source - kFirstMessage.
using Source = uint32_t;
inline constexpr Source kFromTemplate = 0, kFromBos = 1, kFromEos = 2, kFromData = 3, kFirstMessage = 4;

class TracedText {
 public:
  struct Run {
    size_t length;
    Source source;
    bool operator==(const Run&) const = default;
  };

  TracedText() = default;
  explicit TracedText(std::string_view bytes, Source source = kFromTemplate) { append(bytes, source); }

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  /// Consecutive, non-empty, neighbours of different source; together as long as bytes().
  const std::vector<Run>& runs() const { return runs_; }

  void append(std::string_view bytes, Source source);
  void append(const TracedText& other) { append(other, 0, other.size()); }
  /// Bytes [begin, end) of `other`; end is at most its size.
  void append(const TracedText& other, size_t begin, size_t end);
  TracedText slice(size_t begin, size_t end) const;
  /// That of byte `at`; of the last byte for at = size(), kFromTemplate for an empty text.
  Source source_at(size_t at) const;

  /// The text with each run's bytes replaced by `change(bytes)`.
  template <class Change>
  TracedText mapped(const Change& change) const {
    TracedText out;
    size_t begin = 0;
    for (const Run& run : runs_) {
      out.append(change(std::string_view(bytes_).substr(begin, run.length)), run.source);
      begin += run.length;
    }
    return out;
  }

 private:
  std::string bytes_;
  std::vector<Run> runs_;
};

}  // namespace bantam::text::jinja
