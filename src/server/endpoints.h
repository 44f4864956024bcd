#pragma once
#include <expected>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "net/http_server.h"
#include "server/access.h"
#include "server/api_error.h"
#include "server/config.h"
#include "server/registry.h"

namespace bantam::server {

struct EmbeddingsRequest;

/// 200 with a body of JSON.
net::ServerResponse json_response(std::string body);

/// The endpoints that models answer. Lives on the server's I/O thread and as long as the server does.
class Endpoints {
 public:
  /// `log` takes a line for every answer; it never holds a prompt or an answer. May be empty.
  Endpoints(const ServerConfig& config, const Registry& registry, const Access& access,
            std::function<void(std::string)> log)
      : config_(config), registry_(registry), access_(access), log_(std::move(log)) {}

  /// POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/messages/count_tokens,
  /// /v1/embeddings, /v1/rerank, /tokenize, /detokenize. They refer to this object.
  std::vector<net::Route> routes();

 private:
  struct Call;
  struct Generating;
  net::Awaitable<void> generate(net::Exchange& e, const Generating& endpoint) const;
  net::Awaitable<void> whole(Call& call) const;
  net::Awaitable<void> stream(Call& call) const;
  template <class Request, class Ask, class Write>
  net::Awaitable<void> answer(net::Exchange& e, std::expected<Request, ApiError> request, Ask ask,
                              Write write) const;
  /// Who is asked, and the name of the key that asks.
  struct Asked {
    std::shared_ptr<chat::ChatModel> model;
    std::string caller;
  };
  net::Awaitable<Result<chat::Embeddings>> embed(net::Exchange& e, const Asked& asked,
                                                 EmbeddingsRequest& request) const;
  net::Awaitable<void> embeddings(net::Exchange& e) const;
  net::Awaitable<void> rerank(net::Exchange& e) const;
  net::Awaitable<void> count_tokens(net::Exchange& e) const;
  net::Awaitable<void> tokenize(net::Exchange& e) const;
  net::Awaitable<void> detokenize(net::Exchange& e) const;

  /// The model, where the caller may ask it; null once the exchange is answered with why not.
  Asked find(net::Exchange& e, const std::string& model) const;
  /// What requests of every kind are given before they go to a model.
  template <class Request>
  void equip(const net::Exchange& e, const Asked& asked, Request& request) const;
  void refuse(net::Exchange& e, const Error& error) const;
  void log_reply(const net::Exchange& e, const std::string& model, const Result<chat::Reply>& reply) const;
  void log_failure(const net::Exchange& e, const std::string& model, const Error& error) const;
  /// Says once that a team's certificate no longer holds.
  void watch_certificate(const std::string& model) const;

  const ServerConfig& config_;
  const Registry& registry_;
  const Access& access_;
  std::function<void(std::string)> log_;
  mutable std::mutex mutex_;
  mutable std::set<std::string> told_;  // teams of which it was said; guarded by mutex_
};

/// 404 model_not_found.
ApiError no_such_model(const std::string& name);

}  // namespace bantam::server
