#pragma once
// What the tests of local models share.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chat/events.h"
#include "chat/local.h"
#include "chat/request_for_test.h"
#include "runtime/random_engine_for_test.h"

namespace bantam::chat {

inline std::shared_ptr<const runtime::Engine> engine(const std::vector<std::string>& labels,
                                                     uint32_t context = 512,
                                                     const std::string& chat_template = {}) {
  return runtime::random_engine({.config = model::tiny_config(context),
                                 .seed = 3,
                                 .labels = labels,
                                 .chat_template = chat_template,
                                 .options = {.threads = 1, .context_length = context}});
}

/// The answer, awaited on this thread.
inline Result<Reply> answer(ChatModel& model, const Request& request,
                            std::function<bool(std::string_view)> sink = {}) {
  return wait(model.generate(request, text_sink(std::move(sink))));
}

}  // namespace bantam::chat
