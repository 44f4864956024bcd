#pragma once
// Speculative decoding as a team: the SLM proposes tokens, the LLM checks several at a time, and the text is
// the LLM's own.

#include <memory>
#include <string>

#include "chat/chat_model.h"

namespace bantam::collab {

struct SpeculativeOptions {
  std::string name;
};

/// A team that is itself a ChatModel: the LLM, whose answers come sooner. Both models run here and share a
/// vocabulary. Its text is the LLM's token for token, greedy and sampled (Leviathan et al. 2023; proposals
/// are kept where the LLM's own sampler draws the same token). Without an SLM (null) what followed the same
/// words before is proposed (Saxena 2023, prompt lookup). Reply::steps say how many tokens were proposed and
/// kept; proposals cost nothing, the LLM's tokens do. Errors of make: kInvalidArgument for a missing LLM, a
/// model that does not run here, an LLM that only says labels, and vocabularies that differ (the first token
/// that does). Errors of generate: the LLM's.
Result<std::shared_ptr<chat::ChatModel>> make_speculative(std::shared_ptr<chat::ChatModel> slm,
                                                          std::shared_ptr<chat::ChatModel> llm,
                                                          SpeculativeOptions options);

}  // namespace bantam::collab
