#pragma once
// Conditional activation: the SLM answers, and the LLM is asked only where the SLM is not confident enough.

#include <memory>
#include <string>

#include "chat/chat_model.h"
#include "collab/confidence.h"
#include "collab/drift_watch.h"
#include "collab/llm_call.h"

namespace bantam::collab {

struct CascadeOptions {
  std::string name;
  double threshold = 0;  // in 0..1: the SLM's answer stands when its confidence is at least this
  LlmRule llm = {};
  ConfidenceOptions confidence = {};
  DriftRule drift = {};  // its certificate is of `threshold`, for confidences measured so
};

/// A team that is itself a ChatModel; its task is the SLM's.
///
/// Nothing of the SLM's text reaches the sink before its answer stands, so a caller never sees text that is
/// taken back; the LLM's answer is streamed as it comes. The LLM is asked too when the SLM gives no
/// confidence, or fails other than by cancellation (an over-long prompt for the SLM may fit the LLM). A task
/// model's labels go to the LLM as the request's choices unless the request has choices of its own. When the
/// LLM fails after a part of its answer was streamed, the outcome is always its error. Reply::confidence is
/// the one that was measured. With a certificate every confidence in an answer to a request without choices
/// of its own is watched for drift (compress/drift.h), and certificate() tells what was seen; after an alarm
/// DriftRule::then follows. Errors of make: kInvalidArgument for a missing model, a threshold outside 0..1
/// or a confidence that cannot be measured so. Errors of generate: the LLM's (by rule, or when the SLM failed
/// too), kCancelled.
Result<std::shared_ptr<chat::ChatModel>> make_cascade(std::shared_ptr<chat::ChatModel> slm,
                                                      std::shared_ptr<chat::ChatModel> llm,
                                                      CascadeOptions options);

}  // namespace bantam::collab
