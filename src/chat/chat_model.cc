#include "chat/chat_model.h"

namespace bantam::chat {

Awaitable<Result<Embeddings>> ChatModel::embed(const EmbedRequest&) {
  co_return fail(Code::kUnsupported, "model: '{}' gives no embeddings", name());
}

}  // namespace bantam::chat
