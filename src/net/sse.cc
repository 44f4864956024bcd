#include "net/sse.h"

#include <utility>

namespace bantam::net {

bool SseParser::take_line(SseEvent& out) {
  if (std::exchange(first_line_, false) && line_.starts_with("\xEF\xBB\xBF")) line_.erase(0, 3);
  if (line_.empty()) {
    bool complete = std::exchange(has_data_, false);
    if (complete) {
      data_.pop_back();  // the newline after its last line
      out = {event_.empty() ? "message" : std::move(event_), std::move(data_), id_};
    }
    event_.clear();
    data_.clear();
    return complete;
  }
  std::string_view line = line_;
  size_t colon = line.find(':');
  std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    data_.append(value).push_back('\n');
    has_data_ = true;
  } else if (field == "event") {
    event_ = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  }
  // "retry" speaks of reconnecting, which this parser does not do; a line that begins with a colon is a
  // comment.
  return false;
}

Status SseParser::feed(std::string_view bytes, const std::function<bool(SseEvent&&)>& on_event) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    size_t end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    if (line_.size() + data_.size() > max_bytes_) {
      return fail(Code::kLimit, "event stream: an event is longer than {} bytes", max_bytes_);
    }
    if (end == std::string_view::npos) return {};
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    SseEvent event;
    bool complete = take_line(event);
    line_.clear();
    if (complete && !on_event(std::move(event))) return {};
  }
  return {};
}

std::string sse_event(std::string_view data, std::string_view event) {
  std::string out;
  if (!event.empty()) out.append("event: ").append(event).push_back('\n');
  for (;;) {
    size_t end = data.find('\n');
    out.append("data: ").append(data.substr(0, end)).push_back('\n');
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return out + "\n";
}

}  // namespace bantam::net
