#include "text/jinja/traced_text.h"

#include <algorithm>

namespace bantam::text::jinja {

void TracedText::append(std::string_view bytes, Source source) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().source == source) {
    runs_.back().length += bytes.size();
  } else {
    runs_.push_back({bytes.size(), source});
  }
}

void TracedText::append(const TracedText& other, size_t begin, size_t end) {
  size_t at = 0;
  for (const Run& run : other.runs_) {
    const size_t from = std::max(at, begin), to = std::min(at + run.length, end);
    if (from < to) append(std::string_view(other.bytes_).substr(from, to - from), run.source);
    at += run.length;
    if (at >= end) break;
  }
}

TracedText TracedText::slice(size_t begin, size_t end) const {
  TracedText out;
  out.append(*this, begin, end);
  return out;
}

Source TracedText::source_at(size_t at) const {
  for (const Run& run : runs_) {
    if (at < run.length) return run.source;
    at -= run.length;
  }
  return runs_.empty() ? kFromTemplate : runs_.back().source;
}

}  // namespace bantam::text::jinja
