#include "runtime/stop_filter.h"

#include <algorithm>

namespace bantam::runtime {

StopFilter::Step StopFilter::push(std::string_view piece) {
  held_ += utf8_.push(piece);
  return take(false);
}

StopFilter::Step StopFilter::finish() {
  held_ += utf8_.finish();
  return take(true);
}

StopFilter::Step StopFilter::take(bool last) {
  size_t stop_at = std::string::npos, keep = 0;  // keep: bytes at the end that may begin a stop string
  for (const auto& stop : stops_) {
    if (stop.empty()) continue;
    stop_at = std::min(stop_at, held_.find(stop));
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep && !last; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
    }
  }
  if (stop_at != std::string::npos) {
    const bool taken = release(stop_at);
    held_.clear();
    return taken ? Step::kStopped : Step::kRefused;
  }
  return release(held_.size() - keep) ? Step::kGo : Step::kRefused;
}

bool StopFilter::release(size_t bytes) {
  if (bytes == 0) return true;
  const std::string out = held_.substr(0, bytes);
  held_.erase(0, bytes);
  text_ += out;
  return !sink_ || sink_(out);
}

}  // namespace bantam::runtime
