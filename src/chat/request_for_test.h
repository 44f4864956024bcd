#pragma once
// The request of most tests.

#include <string>
#include <utility>

#include "chat/chat_model.h"

namespace bantam::chat {

inline Request user(std::string text = "hi") {
  Request r;
  r.messages = {{"user", std::move(text)}};
  return r;
}

}  // namespace bantam::chat
