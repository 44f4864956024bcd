#include "server/embeddings_wire.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "net/http.h"
#include "net/json.h"
#include "server/body_reader.h"

namespace bantam::server {
namespace {

constexpr size_t kMaxInputs = 2048, kMaxDocuments = 4096;
constexpr uint64_t kMaxDimensions = 1 << 20;

class EmbeddingsReader final : public BodyReader {
 public:
  std::expected<EmbeddingsRequest, ApiError> read(const json& body);

 private:
  static const Field<EmbeddingsReader> kFields[];
  void input(const std::string& name, const json& value) {
    if (is_token_ids(value))
      out_.ids = token_ids(name, value, kMaxInputs);
    else
      out_.embed.inputs = one_or_more(name, value, kMaxInputs);
  }
  void dimensions(const std::string& name, const json& value) {
    if (auto v = whole(name, value, 1, kMaxDimensions)) out_.embed.dimensions = static_cast<uint32_t>(*v);
  }
  void encoding_format(const std::string& name, const json& value) {
    if (value != "float" && value != "base64") return wrong_value(name, shown(value), "'float' or 'base64'");
    out_.base64 = value == "base64";
  }

  EmbeddingsRequest out_;
};

const BodyReader::Field<EmbeddingsReader> EmbeddingsReader::kFields[] = {
    {"model", &EmbeddingsReader::model},
    {"input", &EmbeddingsReader::input},
    {"dimensions", &EmbeddingsReader::dimensions},
    {"encoding_format", &EmbeddingsReader::encoding_format},
    {"user", &EmbeddingsReader::label},
};

std::expected<EmbeddingsRequest, ApiError> EmbeddingsReader::read(const json& body) {
  for (const char* key : {"model", "input"}) required("", body, key);
  read_members(*this, "", body, kFields);
  if (error_) return std::unexpected(*error_);
  out_.model = std::move(model_);
  return std::move(out_);
}

class RerankReader final : public BodyReader {
 public:
  std::expected<RerankRequest, ApiError> read(const json& body);

 private:
  static const Field<RerankReader> kFields[];
  void query(const std::string& name, const json& value) {
    query_ = text(name, value).value_or("");
    if (query_.empty()) wrong_value(name, "an empty string", "text");
  }
  /// Texts, or objects with a text.
  void documents(const std::string& name, const json& value) {
    if (!is_array(name, value, 1, kMaxDocuments)) return;
    for (size_t i = 0; i < value.size() && ok(); ++i) {
      std::string entry = fmt::format("{}[{}]", name, i);
      const json* words = value[i].is_object() ? required(entry, value[i], "text") : &value[i];
      if (value[i].is_object() && value[i].size() > 1) refused(entry);  // another field would not be read
      if (words) documents_.push_back(text(entry, *words).value_or(""));
      if (ok() && documents_.back().empty()) wrong_value(entry, "an empty string", "text");
    }
  }
  void top_n(const std::string& name, const json& value) { top_n_ = whole(name, value, 1, kMaxDocuments); }
  void return_documents(const std::string& name, const json& value) {
    out_.return_documents = flag(name, value).value_or(false);
  }
  void rank_fields(const std::string& name, const json& value) { only(name, value, {json::array({"text"})}); }

  RerankRequest out_;
  std::string query_;
  std::vector<std::string> documents_;
  std::optional<size_t> top_n_;
};

const BodyReader::Field<RerankReader> RerankReader::kFields[] = {
    {"model", &RerankReader::model},
    {"query", &RerankReader::query},
    {"documents", &RerankReader::documents},
    {"top_n", &RerankReader::top_n},
    {"return_documents", &RerankReader::return_documents},
    {"rank_fields", &RerankReader::rank_fields},
    {"max_chunks_per_doc",
     &RerankReader::refused},  // a document is never cut silently: it fits, or is refused
    {"max_tokens_per_doc", &RerankReader::refused},
    {"truncation", &RerankReader::only_false},
    {"priority", &RerankReader::only_zero},
};

std::expected<RerankRequest, ApiError> RerankReader::read(const json& body) {
  for (const char* key : {"model", "query", "documents"}) required("", body, key);
  read_members(*this, "", body, kFields);
  if (error_) return std::unexpected(*error_);
  out_.model = std::move(model_);
  out_.embed.inputs.push_back(std::move(query_));
  for (std::string& document : documents_) out_.embed.inputs.push_back(std::move(document));
  out_.top_n = std::min(top_n_.value_or(documents_.size()), documents_.size());
  return std::move(out_);
}

std::string base64(std::span<const unsigned char> bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = static_cast<uint32_t>(bytes[i]) << 16;
    if (left > 1) group |= static_cast<uint32_t>(bytes[i + 1]) << 8;
    if (left > 2) group |= bytes[i + 2];
    for (size_t d = 0; d < 4; ++d) out += d <= left ? kDigits[group >> (18 - 6 * d) & 63] : '=';
  }
  return out;
}

std::string packed(const std::vector<float>& vector) {
  std::vector<unsigned char> bytes;
  bytes.reserve(vector.size() * sizeof(float));
  for (float value : vector) {
    auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<unsigned char>(bits >> shift));
  }
  return base64(bytes);
}

nlohmann::json embedding_usage(const chat::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens}, {"total_tokens", usage.prompt_tokens}};
}

nlohmann::json bantam_of(const chat::Embeddings& embeddings) {
  return {{"cost", embeddings.cost}, {"notes", embeddings.notes}};
}

}  // namespace

std::expected<EmbeddingsRequest, ApiError> read_embeddings_request(std::string_view text) {
  return read_body(text, EmbeddingsReader());
}

std::string embeddings_reply(const EmbeddingsRequest& request, const chat::Embeddings& embeddings) {
  nlohmann::json data = nlohmann::json::array();
  for (const std::vector<float>& vector : embeddings.vectors) {
    nlohmann::json entry = {{"object", "embedding"}, {"index", data.size()}};
    if (request.base64)
      entry["embedding"] = packed(vector);
    else
      entry["embedding"] = vector;
    data.push_back(std::move(entry));
  }
  return net::to_text({{"object", "list"},
                       {"data", std::move(data)},
                       {"model", request.model},
                       {"usage", embedding_usage(embeddings.usage)},
                       {"bantam", bantam_of(embeddings)}});
}

std::expected<RerankRequest, ApiError> read_rerank_request(std::string_view text) {
  return read_body(text, RerankReader());
}

std::string rerank_reply(const RerankRequest& request, const chat::Embeddings& embeddings) {
  const std::vector<float>& query = embeddings.vectors[0];
  std::vector<double> scores;
  for (size_t i = 1; i < embeddings.vectors.size(); ++i) {
    double cosine = std::inner_product(query.begin(), query.end(), embeddings.vectors[i].begin(), 0.0);
    scores.push_back(std::clamp((1 + cosine) / 2, 0.0, 1.0));
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  nlohmann::json results = nlohmann::json::array();
  for (size_t i = 0; i < request.top_n; ++i) {
    nlohmann::json entry = {{"index", order[i]}, {"relevance_score", scores[order[i]]}};
    if (request.return_documents) entry["document"] = {{"text", request.embed.inputs[order[i] + 1]}};
    results.push_back(std::move(entry));
  }
  return net::to_text({{"id", net::random_id("rerank-")},
                       {"object", "list"},
                       {"model", request.model},
                       {"results", std::move(results)},
                       {"usage", embedding_usage(embeddings.usage)},
                       {"bantam", bantam_of(embeddings)}});
}

}  // namespace bantam::server
