#pragma once
#include "chat/chat_model.h"
#include "collab/routing/example.h"

namespace bantam::collab::routing {

/// What a router sees of a request: all turns but the instructions, and the declared needs.
Query query_of(const chat::Request& request);
/// The same of its last user message alone.
Query last_turn_of(const chat::Request& request);

}  // namespace bantam::collab::routing
