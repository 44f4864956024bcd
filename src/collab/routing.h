#pragma once
// Routing: which of several models answers is decided before anything is generated.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "collab/routing/router.h"

namespace bantam::collab {

/// Sends what fits all of its conditions to a model. A condition left at its default asks nothing.
struct RoutingRule {
  std::string model;
  std::vector<std::string> contains =
      {};                               // one of these is in the last user message, ASCII letters in any case
  size_t min_bytes = 0, max_bytes = 0;  // of the conversation; max 0: any
  uint32_t min_turns = 0;               // of the user
  std::optional<bool> tools = {};       // tools are declared, or are not
  std::optional<bool> format = {};      // JSON is asked for, or is not
};

struct RoutingOptions {
  std::string name;
  std::vector<RoutingRule> rules;  // the first that fits decides
  /// Decides where no rule fits; may be null. Its models are found among the team's by name.
  std::shared_ptr<const routing::Router> router;
  routing::Policy policy;
  std::string otherwise;  // the model where neither decides; empty: the last one
  double change = 0.2;    // expected loss of quality from which on a conversation changes its model
  bool fall_back = true;  // on a failure before any text, ask the others, the best expected first
  size_t most_conversations = 100'000;
  std::chrono::seconds stay{3600};  // without a request
};

/// A team that is itself a ChatModel.
///
/// A conversation stays with its model. It is known by Request::conversation, or else by its caller, its
/// instructions and its first user message, since clients send the whole of it each time. It changes its
/// model only when the task does: tools or an answer's format are declared that were not (or no longer), a
/// rule sends the last message elsewhere, or the router, looking at the last message alone, expects the model
/// to do worse than the one it would choose by more than `change`. What was decided and why is a line in
/// Reply::notes. Errors of make: kInvalidArgument for fewer than two models, a rule, router or `otherwise`
/// that names a model which is not there. Errors of generate: the last asked model's.
Result<std::shared_ptr<chat::ChatModel>> make_routing(std::vector<std::shared_ptr<chat::ChatModel>> models,
                                                      RoutingOptions options);

}  // namespace bantam::collab
