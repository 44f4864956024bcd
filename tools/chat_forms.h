#pragma once
// Conversations that teach a language model to answer, made from text collections and annotated dialogues:
// what `chat_forms` writes and `bantam train --lm` learns from.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace bantam::forms {

struct Turn {
  std::string role, content;
};
using Conversation = std::vector<Turn>;

/// Services and their functions as the schema-guided dialogues describe them (Rastogi et al. 2020).
class Services {
 public:
  Services();
  ~Services();
  void add(const nlohmann::json& schema);  // a line with "type": "schema"
  /// Up to five conversations from a line with "type": "dialogue": the dialogue itself is left to talk();
  /// these ask to classify a message, to extract fields from it as JSON, to call one of several functions,
  /// and to answer a question from a record. Empty before the schemas are there.
  std::vector<Conversation> ask(const nlohmann::json& dialogue, Rng& rng) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A document of "User: …" and "Assistant: …" lines as a conversation; empty where it has no answer.
Conversation talk(std::string_view document);

/// Questions about terms that a document's glossary lines ("term: what it means") answer, and about facts
/// ("Capital: …") with the text they stand in; at most `most` of each.
std::vector<Conversation> explain(std::string_view document, size_t most, Rng& rng);

}  // namespace bantam::forms
