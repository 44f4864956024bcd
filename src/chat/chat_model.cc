#include "chat/chat_model.h"

namespace bantam::chat {

Awaitable<Result<Embeddings>> ChatModel::embed(const EmbedRequest&) {
  co_return fail(Code::kUnsupported, "model: '{}' gives no embeddings", name());
}

Awaitable<Result<Tokens>> ChatModel::tokenize(const TokenizeRequest&) {
  co_return fail(Code::kUnsupported, "model: the vocabulary of '{}' is not here", name());
}

Awaitable<Result<std::string>> ChatModel::detokenize(const std::vector<int32_t>&) {
  co_return fail(Code::kUnsupported, "model: the vocabulary of '{}' is not here", name());
}

}  // namespace bantam::chat
