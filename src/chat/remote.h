#pragma once
// A model behind an OpenAI-compatible API: chat completions, completions, embeddings.

#include <memory>
#include <string>

#include "chat/chat_model.h"
#include "chat/circuit_breaker.h"
#include "chat/spend_guard.h"
#include "net/http_client.h"

namespace bantam::chat {

/// How a remote model is held to a request's choices. Whatever the way, an answer that is none of them is an
/// error.
enum class ChoiceMode {
  kJsonSchema,    // response_format with a schema whose one field is an enum (OpenAI's structured outputs)
  kGuidedChoice,  // the field guided_choice (vLLM, Bantam)
  kPrompt,        // a system message that lists them
};

struct RemoteOptions {
  std::string name;      // as configured here
  std::string base_url;  // "https://api.example.com/v1": "/chat/completions" and the like are appended
  std::string model;     // as the API calls it
  std::string key_env;   // the environment variable that holds the key; empty: none is sent
  Prices prices;
  ChoiceMode choice_mode = ChoiceMode::kJsonSchema;
  std::string max_tokens_field = "max_tokens";  // some models want "max_completion_tokens"
  unsigned max_retries = 2;  // after 408, 409, 429, 5xx and connections that were never made
  std::chrono::milliseconds longest_wait{
      60'000};           // a server that asks for a longer pause before a retry is not asked again
  bool offline = false;  // every call is an error
  BreakerOptions breaker;
  SpendLimits limits;
  uint32_t max_answer_tokens = 4096;  // the max_tokens of requests without one, where `limits` speak of money
  double bytes_per_token = 2;         // of a prompt, at least: what its cost is estimated by before the call
  /// first_byte_timeout is also the limit for a stream's first token, read_timeout for each further one and for
  /// the whole body of an answer that is not streamed.
  net::ClientOptions http;
};

/// The model sends what the request says and nothing else; top_k and min_p, which the API lacks, are refused
/// (kUnsupported). Text is passed on as it arrives, except with choices, which are checked first. A call is
/// repeated only when it was not answered (no connection, or a status that asks for it), never when it may have
/// been billed. No call is made above the limits: each is counted before, by the most it can cost, and corrected
/// by what it did cost; one whose cost stays unknown keeps its estimate. Costs are the API's own usage figures times
/// the prices; where it gives none, Reply::notes says so. Errors of make: kInvalidArgument (URL), kNotFound
/// (key_env is not set, no CA file). Errors of generate: kLimit for context_length_exceeded, kInvalidArgument
/// for other 400s, kUnavailable, kCancelled.
Result<std::shared_ptr<ChatModel>> make_remote(RemoteOptions options);

}  // namespace bantam::chat
