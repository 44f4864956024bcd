#pragma once
#include <string>

#include "chat/chat_model.h"
#include "runtime/scheduler.h"

namespace bantam::chat {

/// Vectors of texts by an engine, each text a job of the scheduler. Internal to chat.
Awaitable<Result<Embeddings>> embed_locally(const runtime::Engine& engine, runtime::Scheduler& scheduler,
                                            const EmbedRequest& request, const std::string& name);

}  // namespace bantam::chat
