#pragma once
// Parallel verification: the SLM answers at once while the LLM works on the same request; agreement ends it,
// disagreement corrects it.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "collab/agreement.h"
#include "collab/llm_call.h"

namespace bantam::collab {

struct VerifyOptions {
  std::string name;
  Agreement agreement;
  /// For Measure::kJudge, asked of the LLM, which answers "yes" or "no"; places {request}, {first}, {second}.
  std::string judge_prompt;
  /// So many of the newest pieces (tokens) of the SLM's text are kept back from a plain caller until the
  /// verdict; none: all of them. What was kept back is replaced by the LLM's answer without a trace.
  std::optional<size_t> hold_back;
  /// What a plain caller who has seen text that the LLM denies is told; place {answer}.
  std::string correction = "\n\nCorrection: {answer}";
  std::optional<double> stands_at;  // an SLM's answer of this confidence needs no verdict
  std::vector<std::string>
      safe_tools;  // tools without side effects: an answer that calls only these needs none
  /// The LLM is called when the SLM has said something, and after this time at the latest; so that its call
  /// does not delay the SLM's first word.
  std::chrono::milliseconds head_start{20};
  std::optional<std::chrono::milliseconds> patience;  // how long the verdict may take after the SLM's end
  LlmRule llm;
};

/// A team that is itself a ChatModel; its task is the SLM's.
///
/// Plain callers get text that is at least `hold_back` pieces old. On agreement the rest follows. On
/// disagreement: nothing was sent yet, then they get the LLM's answer alone; the LLM's answer begins with
/// what was sent, then its rest; else `correction`. A caller without a sink gets the last word only. Callers
/// with Request::typed_events get Verdict kDraft, the SLM's text at once, then kVerified, or kRevised with
/// the LLM's text. Tool calls are passed on after the verdict only, whoever asks.
///
/// Answers agree by `agreement` (labels: when equal), and when both call tools, by the calls alone. The SLM
/// is cancelled at the first sign of disagreement, the LLM when its answer matters no more: the SLM's stands
/// (`stands_at`, `safe_tools`), `patience` is over, or the caller is gone. When the LLM fails, the SLM's
/// answer is marked unverified, or the LLM's error is returned, as the rule says; when the SLM fails, the
/// LLM's answer is the answer. Errors of make: kInvalidArgument. Errors of generate: the LLM's, kCancelled.
Result<std::shared_ptr<chat::ChatModel>> make_verify(std::shared_ptr<chat::ChatModel> slm,
                                                     std::shared_ptr<chat::ChatModel> llm,
                                                     VerifyOptions options);

}  // namespace bantam::collab
