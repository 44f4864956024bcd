#pragma once
// The three ways in which `bantam run` lets a model answer: with a task's label (or one of given choices), as
// a turn of a conversation, as the continuation of a text.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "runtime/drafter.h"
#include "runtime/engine.h"

namespace bantam::cli {

struct RunOptions {
  runtime::SamplingOptions sampling;
  uint32_t max_tokens = 256;
  std::vector<std::string> stop, choices;
  std::string schema, pattern;  // what the answer must fulfil; at most one of the two
  bool raw = false, parse_special = false;
  std::optional<runtime::ContextShift> shift = {};   // go on past the context's end
  std::shared_ptr<runtime::DraftSource> draft = {};  // proposes tokens; the text is the same without
};

struct Answer {
  std::string text;
  std::string finish = "stop";  // "stop", "length", "cancelled"
  uint64_t prompt_tokens = 0, completion_tokens = 0;
  uint64_t drafted_tokens = 0, accepted_tokens = 0;
  std::vector<text::TokenId> tokens;  // of the answer, where the way of answering knows them
  std::optional<double> confidence;
  std::optional<double> threshold;                            // of the model's calibration
  std::vector<std::pair<std::string, double>> probabilities;  // likeliest first
  std::vector<std::string> notes;                             // what of the request had no effect
  double seconds = 0;                                         // wall time
};

using TextSink = std::function<bool(std::string_view)>;

/// Holds the conversation so far. For one thread.
class Responder {
 public:
  virtual ~Responder() = default;
  /// Streams the answer's text to `sink` (may be empty) and returns it whole. Stops on Interrupt::token().
  virtual Result<Answer> ask(const std::string& prompt, const TextSink& sink) = 0;
  /// The state of the text so far, to a file and back (runtime::Session). Loading is only for before the
  /// first question.
  virtual Status save_state(const std::string& path) = 0;
  virtual Status load_state(const std::string& path) = 0;
  /// Forgets the conversation.
  virtual void reset() {}
  /// One line for a person: the model and how it answers.
  virtual std::string description() const = 0;
};

/// Errors: kInvalidArgument for an empty choice, more than one of choices, schema and pattern, or a schema,
/// pattern or draft where a task's labels are the answers; those of runtime::Grammar; those of
/// Engine::new_session.
Result<std::unique_ptr<Responder>> make_responder(std::shared_ptr<const runtime::Engine> engine,
                                                  RunOptions options);

}  // namespace bantam::cli
