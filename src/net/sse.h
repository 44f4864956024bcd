#pragma once
// Server-sent events, apart from I/O: bytes in, events out (WHATWG HTML, section 9.2.6 "Interpreting an event
// stream").

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bantam::net {

struct SseEvent {
  std::string event;  // "message" where the stream names none
  std::string data;   // its lines joined by "\n"
  std::string id;     // the last id seen
};

/// Feed it the stream in pieces of any size; the events do not depend on where the pieces end. For one
/// thread.
class SseParser {
 public:
  /// `max_event_bytes` bounds what is held for one event (a line, or the data so far).
  explicit SseParser(size_t max_event_bytes = 1U << 20) : max_bytes_(max_event_bytes) {}

  /// Calls `on_event` for each event that `bytes` ends; when it returns false, the rest of `bytes` is
  /// dropped. As the standard says, an event that the stream ends without a blank line is never given.
  /// Errors: kLimit (the parser is of no use after it).
  Status feed(std::string_view bytes, const std::function<bool(SseEvent&&)>& on_event);

 private:
  /// True when the line ended an event.
  bool take_line(SseEvent& out);

  size_t max_bytes_;
  std::string line_, event_, data_, id_;
  bool has_data_ = false;
  bool after_cr_ = false;  // a "\n" right after it belongs to the same line end
  bool first_line_ = true;
};

/// One event on the wire, with a "data: " line for each line of `data`; named, where `event` is not empty
/// (and then without line ends).
std::string sse_event(std::string_view data, std::string_view event = {});

}  // namespace bantam::net
