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
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "chat/awaitable.h"

namespace bantam::model {
struct Certificate;
}
namespace bantam::runtime {
class DraftSource;
class Engine;
}  // namespace bantam::runtime

namespace bantam::chat {

struct ToolCall {
  std::string id, name;
  std::string arguments = {};  // JSON text as the model wrote it: not necessarily valid
};

struct Message {
  std::string role;  // "system", "developer", "user", "assistant", "tool"
  std::string content = {};
  std::vector<ToolCall> tool_calls = {};  // of an assistant
  std::string tool_call_id = {};          // of a tool: which call it answers
  std::string name = {};
};

/// A function the model may call.
struct Tool {
  std::string name;
  std::string description = {};
  std::string parameters = {};  // a JSON schema as text; empty: none
  bool strict = false;          // the arguments must follow the schema
};

struct ToolChoice {
  enum class Mode { kAuto, kNone, kRequired, kFunction } mode = Mode::kAuto;
  std::string function = {};  // with kFunction: the tool that must be called
};

/// The form the answer's text must have.
struct ResponseFormat {
  enum class Kind { kText, kJsonObject, kJsonSchema, kPattern } kind = Kind::kText;
  std::string name = {}, description = {};
  std::string schema =
      {};  // with kJsonSchema: the schema as text; with kPattern (local models only) the pattern
  bool strict = false;
};

/// What the caller asked for; a field left empty is the model's own default (local: greedy, no top-k, seed
/// 0), and is not sent to a remote API.
struct Sampling {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<float> min_p;     // not an OpenAI parameter: local models only
  std::optional<uint32_t> top_k;  // not an OpenAI parameter: local models only
  std::optional<uint64_t> seed;
  std::optional<float> frequency_penalty, presence_penalty;
  std::vector<std::pair<uint32_t, float>> logit_bias;  // token, what is added to its logit
};

struct Usage {
  uint64_t prompt_tokens = 0;
  uint64_t completion_tokens = 0;
  uint64_t cached_tokens = 0;  // of the prompt's, those that had been worked out before
  // Of speculative decoding: tokens that a draft proposed, and those of them that are in the answer.
  uint64_t drafted_tokens = 0, accepted_tokens = 0;
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

struct CallNotes;  // chat/call_notes.h

struct Request {
  std::vector<Message> messages;
  std::string prompt;  // text to continue, used when messages is empty
  Sampling sampling;
  std::optional<uint32_t> max_tokens;  // of the answer; none: up to the context's end
  std::vector<std::string> stop;
  std::vector<std::string> choices;  // when not empty the answer is one of these, with a confidence
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;  // more than one call in an answer is fine
  ResponseFormat format;
  bool logprobs = false;      // Reply::logprobs is wanted
  uint32_t top_logprobs = 0;  // and so many alternatives for each token
  bool typed_events = false;  // the caller understands Verdict events
  std::string conversation;   // stays the same for a conversation; may be empty
  std::string caller;         // the name of the caller's key, for ledger and budgets; may be empty
  std::string id;             // of the request, for logs and ledger; may be empty
  /// Told of calls to a model that failed and yet may have cost something; the others are in Reply::steps.
  /// May be empty. Called on the executor; lives as long as the request.
  std::function<void(const Step& step)> on_failed_step;
  std::shared_ptr<CallNotes> notes;  // where the calls made for it are noted; may be null
  /// Adapters of a model that runs here, by their index, and their scales; those not named have 0. None: as the
  /// model was loaded. Other models refuse it (kUnsupported).
  std::optional<std::vector<std::pair<uint32_t, float>>> adapters;
  /// At the context's end forget the oldest half of what follows the first `context_keep` tokens of the prompt
  /// and go on; Reply::notes tell of it. Only models that run here and were set up to allow it.
  bool context_shift = false;
  uint32_t context_keep = 0;
  /// Proposes tokens to a model that runs here, for the same text sooner; others take no notice. May be null.
  std::shared_ptr<runtime::DraftSource> draft;
  std::stop_token cancel;
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

struct TokenLogprob {
  std::string text;  // may be a part of a UTF-8 character
  double logprob = 0;
  std::vector<std::pair<std::string, double>> top = {};  // alternatives, likeliest first
};

struct Reply {
  std::string text;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason = "stop";  // OpenAI's: "stop", "length", "tool_calls", "content_filter"
  Usage usage;                         // of the model that answered
  std::string answered_by;             // its configured name
  std::optional<double> confidence;    // calibrated probability of the answer, where the model has one
  std::vector<double> choice_shares;   // where it chose: the probability of each choice, in their order
  std::vector<TokenLogprob> logprobs;  // when asked for
  double cost = 0;                     // of all steps
  std::vector<Step> steps;
  bool unverified = false;  // a team's second model was wanted and failed; this is the first one's answer
  std::vector<std::string>
      notes;  // what of the request had no effect, and other things the caller should know
};

// Events of an answer in the making. The texts of all TextDeltas, joined, are Reply::text. They have
// constructors because g++ 12 destroys an aggregate's temporary twice within a co_await expression.
struct TextDelta {
  TextDelta(std::string t = {}, std::vector<TokenLogprob> l = {})
      : text(std::move(t)), logprobs(std::move(l)) {}
  std::string text;
  std::vector<TokenLogprob> logprobs;
};
struct ToolCallDelta {
  ToolCallDelta(uint32_t at = 0, std::string call_id = {}, std::string function = {}, std::string part = {})
      : index(at), id(std::move(call_id)), name(std::move(function)), arguments(std::move(part)) {}
  uint32_t index;         // of the call within the answer
  std::string id, name;   // in the first one of an index only
  std::string arguments;  // the next part of them
};
/// What a team says of the text so far; only with Request::typed_events.
struct Verdict {
  enum class Kind { kDraft, kVerified, kRevised };
  Verdict(Kind k = Kind::kDraft, std::string t = {}, std::string who = {})
      : kind(k), text(std::move(t)), by(std::move(who)) {}
  Kind kind;
  std::string text;  // kRevised: what takes the place of everything before
  std::string by;    // the model that says so
};
using Event = std::variant<TextDelta, ToolCallDelta, Verdict>;

/// Receives the events in order, one at a time; awaited before more is produced (backpressure). False ends
/// the generation. A sink lives until the awaitable of the call it was given to is done.
using EventSink = std::function<Awaitable<bool>(Event event)>;

/// What a model was made for, where it was made for one task.
struct TaskInfo {
  std::string name;
  std::vector<std::string> labels;  // its answers
  double threshold = 0;  // calibrated: answers at least this confident may be kept; 0 when not calibrated
  bool calibrated = false;
  std::shared_ptr<const model::Certificate> certificate = {};  // of the threshold, where it has one
};

/// Whether the certificate that a team's threshold rests on still describes what the team sees.
struct CertificateState {
  bool holds = true;
  double evidence = 1;    // against it; 1 / evidence bounds the probability of so much by chance
  uint64_t observed = 0;  // answers looked at
};

struct EmbedRequest {
  std::vector<std::string> inputs;
  std::optional<uint32_t> dimensions;  // the first so many, normalised again; none: all
  std::string caller, id;              // as in Request
  std::shared_ptr<CallNotes> notes;    // where the calls made for it are noted; may be null
  std::stop_token cancel;
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

struct Embeddings {
  std::vector<std::vector<float>> vectors;  // one for each input, of length 1
  Usage usage;
  double cost = 0;
  std::vector<std::string> notes;
};

struct TokenizeRequest {
  Request prompt;  // its messages and tools as the model reads them, or its prompt where there are none
  bool add_special = true;     // of a prompt: BOS and EOS where the vocabulary asks for them
  bool parse_special = false;  // of a prompt: texts such as "<|im_end|>" become their control tokens
};

struct Tokens {
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;  // the bytes each stands for; may be a part of a UTF-8 character
  uint32_t context_length = 0;      // of the model
};

/// Requests of a model at this moment.
struct ModelLoad {
  size_t running = 0, waiting = 0;
};

/// Lives on one I/O thread at a time, as do the awaitables it gives; many may be in work at once.
class ChatModel {
 public:
  virtual ~ChatModel() = default;
  /// Runs on the executor it is awaited on, which has one thread, and never blocks it: what computes does so
  /// on the model's own threads. Done when the answer is whole. `sink` (may be empty) gets it in parts as it
  /// comes. `request` and what `sink` refers to live until the awaitable is done. Request::cancel and the
  /// deadline end it within milliseconds; it is not to be ended by Asio's cancellation. Errors: kLimit
  /// (over-long prompt), kInvalidArgument, kCancelled (cancel, deadline or the sink), kUnavailable (a remote
  /// side, after its retries), kBusy (too many wait already), kUnsupported. One about a request's field
  /// begins with its name.
  [[nodiscard]] virtual Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) = 0;
  virtual const std::string& name() const = 0;
  /// The task of a model made for one; null for the others. Lives as long as the model.
  virtual const TaskInfo* task() const { return nullptr; }
  /// Sentence vectors. Errors: as generate(); kUnsupported where the model has none.
  [[nodiscard]] virtual Awaitable<Result<Embeddings>> embed(const EmbedRequest& request);
  /// What the model reads, and the text of what it wrote. Errors: kInvalidArgument; kUnsupported where the
  /// vocabulary is not here.
  [[nodiscard]] virtual Awaitable<Result<Tokens>> tokenize(const TokenizeRequest& request);
  [[nodiscard]] virtual Awaitable<Result<std::string>> detokenize(const std::vector<int32_t>& ids);
  /// True when answering may send the request beyond this machine.
  virtual bool remote() const { return false; }
  /// Safe from any thread.
  virtual ModelLoad load() const { return {}; }
  /// Of a model that runs here; null for the others.
  virtual std::shared_ptr<const runtime::Engine> engine() const { return nullptr; }
  /// Of a team whose threshold has a certificate. Safe from any thread.
  virtual std::optional<CertificateState> certificate() const { return std::nullopt; }
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
