#pragma once
// What every endpoint that generates has in common: requests to a model, and a form for the answers.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "server/api_error.h"

namespace bantam::server {

/// Turns answers into one API's form, whole or as the bytes of a stream of server-sent events. Made for one
/// request; for one thread. An answer's index is its place in Generation::chats.
class ReplyFormat {
 public:
  virtual ~ReplyFormat() = default;
  /// The body of the answers as a whole.
  virtual std::string whole(std::span<const chat::Reply> replies) = 0;

  // A stream is begin(), then for each answer event()s and one finish(), then end(); or, wherever it breaks
  // after begin(), failure() as the last. Any of them may be empty.
  virtual std::string begin() = 0;
  virtual std::string event(uint32_t index, const chat::Event& event) = 0;
  virtual std::string finish(uint32_t index, const chat::Reply& reply) = 0;
  virtual std::string end(std::span<const chat::Reply> replies) = 0;
  virtual std::string failure(const ApiError& error) = 0;
};

/// The body of a request to one of these endpoints, checked.
struct Generation {
  std::string model;
  std::vector<chat::Request> chats;  // one for each answer that is wanted
  std::vector<std::vector<int32_t>> prompt_ids =
      {};  // where prompts are token ids: one list for each of chats
  bool stream = false;
  std::unique_ptr<ReplyFormat> format;
};

/// Limits of the configuration that bodies are checked against.
struct WireLimits {
  uint32_t max_answers = 8;  // of one request: n times the number of prompts
};

}  // namespace bantam::server
