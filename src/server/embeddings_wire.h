#pragma once
// Sentence vectors and what is ranked by them: /v1/embeddings and /v1/rerank, apart from I/O.

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "server/api_error.h"

namespace bantam::server {

struct EmbeddingsRequest {
  std::string model;
  chat::EmbedRequest embed;
  std::vector<std::vector<int32_t>> ids = {};  // in place of embed.inputs, where those came as ids of tokens
  bool base64 = false;                         // 32-bit floats, little-endian, instead of numbers
};

/// The body of a POST to /v1/embeddings. Source: OpenAI API reference, "Create embeddings".
std::expected<EmbeddingsRequest, ApiError> read_embeddings_request(std::string_view body);
std::string embeddings_reply(const EmbeddingsRequest& request, const chat::Embeddings& embeddings);

struct RerankRequest {
  std::string model;
  chat::EmbedRequest embed;  // the query, then the documents
  size_t top_n = 0;          // at most as many as there are documents
  bool return_documents = false;
  std::vector<std::string> documents() const { return {embed.inputs.begin() + 1, embed.inputs.end()}; }
};

/// The body of a POST to /v1/rerank. Source: Cohere API reference, "Rerank" (versions 1 and 2), and Jina's
/// form of the same.
std::expected<RerankRequest, ApiError> read_rerank_request(std::string_view body);
/// Documents from the most to the least relevant; of equals the earlier comes first. The score is
/// (1 + cosine) / 2 of the vectors of query and document: in 0..1, as these APIs have it.
std::string rerank_reply(const RerankRequest& request, const chat::Embeddings& embeddings);

}  // namespace bantam::server
