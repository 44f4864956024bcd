#pragma once
// Long material cut into pieces that fit, with nothing left out.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bantam::collab {

/// A part of source `source`: the bytes [begin, end).
struct Chunk {
  size_t source = 0, begin = 0, end = 0;
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

/// Cuts each source into chunks of at most `limit` bytes (at least 4): where a chunk has to end before its
/// source does, after the last paragraph that fits, else line, sentence, word, or character. Every byte lies
/// in exactly one chunk, in order; a source without anything but white space has none. Pieces are cut off
/// only where the better border lies in the chunk's second half, so that chunks are not tiny.
std::vector<Chunk> cut(std::span<const std::string> sources, size_t limit);

/// The chunk in two parts, cut as above near its middle; none when it is a single character.
std::optional<std::pair<Chunk, Chunk>> halved(const std::string& source, const Chunk& chunk);

/// The passages (paragraphs, parted by empty lines; lines where there are none) of a text, as views of it.
std::vector<std::string_view> paragraphs(std::string_view text);

}  // namespace bantam::collab
