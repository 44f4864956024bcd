#pragma once
// A model that replays what another one answered, with its latencies and prices: so that strategies are judged
// offline on real outputs.

#include <memory>
#include <string>
#include <string_view>

#include "chat/chat_model.h"

namespace bantam::chat {

struct RecordedOptions {
  std::string name;
  Prices prices = {};  // where a line gives no cost of its own
  double pace = 1;     // of the recorded latencies: 0 answers at once, 1 as it was, 2 twice as slow
};

/// The lines are JSON objects:
///   prompt | messages   what was asked: the last user message, or all messages as {role, content}
///   answer              the text
///   finish_reason, confidence, prompt_tokens, completion_tokens, cost      optional
///   first_token, seconds   of the latency: until the first text, and in all; optional, 0
///   error               instead of answer: the call failed with this message (kUnavailable)
/// A request finds its line by all its messages, else by its last user message (or by Request::prompt). Lines of
/// the same prompt are given in turn, which replays several samples of one. The text is streamed in pieces of a
/// word, spread over the time after the first. Request::choices hold an answer that is none of them to be an
/// error; other parameters have no effect on a recording, which Reply::notes says where they were set.
/// Errors: kCorrupt naming line, field, found and expected. Errors of generate: kNotFound for a prompt that was not
/// recorded, kUnavailable, kCancelled.
Result<std::shared_ptr<ChatModel>> parse_recorded(std::string_view lines, const std::string& file,
                                                  RecordedOptions options);
/// The same from a file. Errors: those, and of reading it.
Result<std::shared_ptr<ChatModel>> open_recorded(const std::string& path, RecordedOptions options);

}  // namespace bantam::chat
