#pragma once
// What the tests of reply formats share: a stream's events taken apart again.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "net/sse.h"
#include "server/generation.h"

namespace bantam::server {

struct ReadEvent {
  std::string name;     // "message" where the stream names none
  nlohmann::json data;  // null for "[DONE]"
};

inline std::vector<ReadEvent> read_events(std::string_view bytes) {
  std::vector<ReadEvent> out;
  net::SseParser parser;
  EXPECT_TRUE(parser.feed(bytes, [&](net::SseEvent&& e) {
    out.push_back({e.event, e.data == "[DONE]" ? nlohmann::json() : nlohmann::json::parse(e.data)});
    return true;
  }));
  return out;
}

/// The stream of one answer.
inline std::vector<ReadEvent> stream(ReplyFormat& format, const std::vector<chat::Event>& events,
                                     const chat::Reply& reply) {
  std::string bytes = format.begin();
  for (const chat::Event& event : events) bytes += format.event(0, event);
  bytes += format.finish(0, reply);
  bytes += format.end({&reply, 1});
  return read_events(bytes);
}

/// The events' types, or names of another member.
inline std::vector<std::string> types(const std::vector<ReadEvent>& events, const char* member = "type") {
  std::vector<std::string> out;
  for (const ReadEvent& event : events) out.push_back(event.data.value(member, ""));
  return out;
}

inline chat::Reply reply_of(std::string text, std::string finish_reason = "stop") {
  chat::Reply out;
  out.text = std::move(text);
  out.finish_reason = std::move(finish_reason);
  out.usage = {10, 2, 4};
  out.answered_by = "m";
  return out;
}

}  // namespace bantam::server
