#pragma once
// Pipeline, second form: the SLM reads long material in parts that fit and hands on what matters, with its
// sources; the LLM answers from that.

#include <memory>
#include <string>

#include "chat/chat_model.h"
#include "collab/llm_call.h"

namespace bantam::collab {

struct FilterOptions {
  enum class Pick {
    kSelect,  // the SLM says of each part whether it matters; the part goes on as it is
    kQuote,   // the SLM quotes what matters, a line each; a quote that does not stand in the part sends the
              // part on whole
  };
  std::string name;
  Pick pick = Pick::kSelect;
  size_t chunk_bytes = 4000;  // of a part at most; one that is too long for the SLM all the same is halved
  bool by_paragraph = false;  // each paragraph (or line, where there are none) is a part of its own
  size_t direct_bytes = 0;    // material up to this is the LLM's without the SLM
  size_t parallel = 2;        // parts the SLM reads at once
  double keep_at = 0.3;       // kSelect: a part goes on when the SLM's share of "yes" is at least this
  std::string yes = "yes", no = "no";
  std::string none = "NONE";  // kQuote: what the SLM says of a part without anything that matters
  bool all_if_none = false;   // when no part matters: all go on; else the LLM is told that there is none
  std::string pick_prompt;    // places {question}, {text}; empty: a default in English
  std::string passage = "[{n}] {text}\n\n";  // places {n}, {text}, {source}
  std::string prompt;  // of the LLM; places {question}, {passages}; empty: a default in English
  LlmRule llm;
};

/// A team that is itself a ChatModel. The question is the last user message; where that is the only one
/// beside system messages, its last paragraph. The material is everything else but system messages, which
/// stay as they are. Every byte of it is read by the SLM or handed on unread; notes say what went on, from
/// where, and which numbers the answer cites that are no passage's. A part the SLM fails at goes on. When the
/// LLM fails and the rule says so, the SLM answers from the passages, unverified. Errors of make:
/// kInvalidArgument; of generate: the LLM's, kCancelled, kInvalidArgument for a request without material and
/// question.
Result<std::shared_ptr<chat::ChatModel>> make_filter(std::shared_ptr<chat::ChatModel> slm,
                                                     std::shared_ptr<chat::ChatModel> llm,
                                                     FilterOptions options);

}  // namespace bantam::collab
