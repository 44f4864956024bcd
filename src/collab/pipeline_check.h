#pragma once
// Pipeline, third form: the claims of the SLM's answer are checked against the sources in the request; what
// none supports is marked, removed, or sent up.

#include <memory>
#include <string>

#include "chat/chat_model.h"
#include "collab/claims.h"
#include "collab/llm_call.h"

namespace bantam::collab {

struct CheckOptions {
  enum class By {
    kSlm,
    kLlm,
    kWords,  // lexical_support(): no model, no negation, no paraphrase
  };
  enum class Then {
    kMark,
    kRemove,  // an answer of which nothing would be left is sent up
    kSendUp,  // the LLM answers the request, told what is not supported
  };
  std::string name;
  ClaimSplit split = ClaimSplit::kSentences;
  By by = By::kSlm;
  Then then = Then::kMark;
  double bound = 0.5;         // a claim is supported from this share of "yes" (kWords: of words) on
  size_t chunk_bytes = 6000;  // of the sources, for each question of the checker
  size_t parallel = 2;        // questions at once
  std::string yes = "yes", no = "no";
  std::string mark = " [unsupported]";
  std::string check_prompt;  // places {claim}, {sources}; empty: a default in English
  /// Of the LLM, with kSendUp: takes the place of the last user message; places {request}, {draft}, {marked},
  /// {unsupported} (a line each). Empty: a default in English.
  std::string prompt;
  LlmRule llm;
};

/// A team that is itself a ChatModel; its task is the SLM's. Sources are all messages but the assistant's. A
/// claim counts as supported when one part of the sources supports it. Nothing is passed on before the check
/// is done. When the checker fails: the answer as it is, unverified, or the error, as the rule says. When the
/// SLM fails to draft, the LLM answers. When the LLM that it was sent up to fails, the marked answer,
/// unverified, or the error. Errors of make: kInvalidArgument; of generate: those, kCancelled.
Result<std::shared_ptr<chat::ChatModel>> make_check(std::shared_ptr<chat::ChatModel> slm,
                                                    std::shared_ptr<chat::ChatModel> llm,
                                                    CheckOptions options);

}  // namespace bantam::collab
