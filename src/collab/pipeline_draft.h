#pragma once
// Pipeline, first form: the SLM drafts, the LLM mends or completes, told what is doubtful.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "collab/claims.h"
#include "collab/llm_call.h"

namespace bantam::collab {

struct DraftOptions {
  enum class Finish {
    kMend,      // the LLM writes the answer anew, from the draft
    kComplete,  // the draft stands up to its first doubtful token, the LLM writes what follows
  };
  std::string name;
  Finish finish = Finish::kMend;
  double doubt = 0.5;  // a token the SLM gave a smaller probability is doubtful; of labels, the confidence
  bool sure_stands = true;  // a draft without doubt is the answer, and the LLM is not asked
  /// Takes the place of the last user message; places {request}, {draft}, {marked} (the draft with its
  /// doubtful parts between the marks), {doubtful} (these parts, a line each), {kept}. Empty: a default in
  /// English.
  std::string prompt;
  std::string open_mark = "⟦", close_mark = "⟧";
  LlmRule llm;
};

/// The doubtful parts of a text: of neighbouring tokens with a probability below `doubt`, without white space
/// at either end, widened to whole UTF-8 characters. Empty where the tokens are not how the text begins.
std::vector<Claim> doubtful_parts(std::string_view text, std::span<const chat::TokenLogprob> tokens,
                                  double doubt);

/// A team that is itself a ChatModel; its task is the SLM's. Nothing of a draft is passed on before it is
/// known what stands. A draft without log-probabilities (or, for labels, without a confidence) is doubtful as
/// a whole, and a note says so. When the SLM fails, the LLM is asked the request as it is; when the LLM
/// fails, the rule decides. Errors of make: kInvalidArgument; of generate: the LLM's, kCancelled.
Result<std::shared_ptr<chat::ChatModel>> make_draft(std::shared_ptr<chat::ChatModel> slm,
                                                    std::shared_ptr<chat::ChatModel> llm,
                                                    DraftOptions options);

}  // namespace bantam::collab
