#pragma once
// ChatModel: the one interface to anything that answers: a local engine, a remote API, a recording, a script,
// a team of them.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::chat {

struct Message {
  std::string role;  // "system", "developer", "user", "assistant"
  std::string content;
};

/// What the caller asked for; a field left empty is the model's own default (local: greedy, no top-k, seed
/// 0), and is not sent to a remote API.
struct Sampling {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<float> min_p;     // not an OpenAI parameter: local models only
  std::optional<uint32_t> top_k;  // not an OpenAI parameter: local models only
  std::optional<uint64_t> seed;
};

struct Request {
  std::vector<Message> messages;
  Sampling sampling;
  std::optional<uint32_t> max_tokens;  // of the answer; none: up to the context's end
  std::vector<std::string> stop;
  std::vector<std::string> choices;  // when not empty the answer is one of these, with a confidence
  std::stop_token cancel;
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

struct Usage {
  uint64_t prompt_tokens = 0;
  uint64_t completion_tokens = 0;
};

/// Who worked on an answer and what it cost. A team's reply has one entry per model it called, in order.
struct Step {
  std::string model;
  Usage usage;
  double cost = 0;     // in the config's currency
  double seconds = 0;  // wall time
  std::optional<double> confidence;
  std::string outcome =
      "answered";  // or why its answer was not the last word: "below threshold", "failed: …"
};

struct Reply {
  std::string text;
  std::string finish_reason = "stop";  // OpenAI's: "stop", "length"
  Usage usage;                         // of the model that answered
  std::string answered_by;             // its configured name
  std::optional<double> confidence;    // calibrated probability of the answer, where the model has one
  double cost = 0;                     // of all steps
  std::vector<Step> steps;
  bool unverified = false;  // a team's second model was wanted and failed; this is the first one's answer
  std::vector<std::string>
      notes;  // what of the request had no effect, and other things the caller should know
};

/// What a model was made for, where it was made for one task.
struct TaskInfo {
  std::string name;
  std::vector<std::string> labels;  // its answers
  double threshold = 0;  // calibrated: answers at least this confident may be kept; 0 when not calibrated
  bool calibrated = false;
};

/// Receives text as it is produced; return false to stop the generation. Called on the thread that called
/// generate().
using TextSink = std::function<bool(std::string_view text)>;

class ChatModel {
 public:
  virtual ~ChatModel() = default;
  /// Blocks until the answer is whole; calls `sink` (may be empty) with its parts, in order, whose
  /// concatenation is Reply::text. Safe to call from many threads at once. Errors: kLimit (over-long prompt),
  /// kInvalidArgument, kCancelled (cancel or deadline), kUnavailable (a remote side, after its retries),
  /// kUnsupported. One about a request's field begins with its name.
  [[nodiscard]] virtual Result<Reply> generate(const Request& request, const TextSink& sink) = 0;
  virtual const std::string& name() const = 0;
  /// The task of a model made for one; null for the others. Lives as long as the model.
  virtual const TaskInfo* task() const { return nullptr; }
};

/// Money per million tokens.
struct Prices {
  double prompt = 0, completion = 0;
  double of(const Usage& usage) const {
    return (prompt * static_cast<double>(usage.prompt_tokens) +
            completion * static_cast<double>(usage.completion_tokens)) *
           1e-6;
  }
};

}  // namespace bantam::chat
