#include "collab/chunks.h"

#include <algorithm>

#include "base/utf8.h"
#include "collab/characters.h"

namespace bantam::collab {
namespace {

bool blank(std::string_view text) { return std::ranges::all_of(text, is_space); }

bool follows_sentence(std::string_view text, size_t at) {
  return at >= 2 && is_space(text[at - 1]) &&
         (text[at - 2] == '.' || text[at - 2] == '!' || text[at - 2] == '?');
}

/// The last position in (low, high] before which a border of this kind lies, or 0.
template <class Border>
size_t last_border(size_t low, size_t high, Border border) {
  for (size_t at = high; at > low; --at) {
    if (border(at)) return at;
  }
  return 0;
}

/// Where to end a chunk of `text` that begins at `begin` and may reach to `high`, not before `low`.
size_t best_border(std::string_view text, size_t low, size_t high) {
  auto character = [&](size_t at) { return at >= text.size() || !continues_character(text[at]); };
  if (size_t at = last_border(low, high,
                              [&](size_t i) { return i >= 2 && text[i - 1] == '\n' && text[i - 2] == '\n'; }))
    return at;
  if (size_t at = last_border(low, high, [&](size_t i) { return text[i - 1] == '\n'; })) return at;
  if (size_t at = last_border(low, high, [&](size_t i) { return follows_sentence(text, i); })) return at;
  if (size_t at = last_border(low, high, [&](size_t i) { return is_space(text[i - 1]); })) return at;
  return last_border(low, high, character);
}

}  // namespace

std::vector<Chunk> cut(std::span<const std::string> sources, size_t limit) {
  limit = std::max<size_t>(limit, 4);
  std::vector<Chunk> out;
  for (size_t s = 0; s < sources.size(); ++s) {
    std::string_view text = sources[s];
    if (blank(text)) continue;
    for (size_t begin = 0; begin < text.size();) {
      size_t end = text.size();
      if (end - begin > limit) {
        end = best_border(text, begin + limit / 2, begin + limit);
        if (end == 0) end = best_border(text, begin, begin + limit);
        if (end == 0) end = begin + limit;  // bytes that are no characters
      }
      out.push_back({s, begin, end});
      begin = end;
    }
  }
  return out;
}

std::optional<std::pair<Chunk, Chunk>> halved(const std::string& source, const Chunk& chunk) {
  size_t size = chunk.end - chunk.begin;
  if (size < 2) return std::nullopt;
  std::string_view text(source.data(), chunk.end);
  size_t at = best_border(text, chunk.begin + size / 4, chunk.begin + std::max<size_t>(size * 5 / 8, 1));
  if (at == 0) at = best_border(text, chunk.begin, chunk.end - 1);
  if (at == 0 || at <= chunk.begin || at >= chunk.end) return std::nullopt;
  return std::pair(Chunk{chunk.source, chunk.begin, at}, Chunk{chunk.source, at, chunk.end});
}

std::vector<std::string_view> paragraphs(std::string_view text) {
  std::string_view separator = text.find("\n\n") == text.npos ? "\n" : "\n\n";
  std::vector<std::string_view> out;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + separator.size(), text.size()));
    part = trimmed(part);
    if (!part.empty()) out.push_back(part);
  }
  return out;
}

}  // namespace bantam::collab
