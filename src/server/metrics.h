#pragma once
#include <memory>
#include <optional>
#include <string>

#include "chat/chat_model.h"
#include "net/http_server.h"

namespace bantam::server {

/// Counts and durations in Prometheus's text format (version 0.0.4). Labels are the names of the config and the
/// routes', never anything a client made up. Safe to use from many threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  /// An HTTP request was answered.
  void request(const net::AccessRecord& record);
  /// A model or team was asked; `first_token`: seconds until the first event, where there was one.
  void answered(const std::string& model, const std::string& strategy, const Result<chat::Reply>& reply,
                double seconds, std::optional<double> first_token);
  void embedded(const std::string& model, const Result<chat::Embeddings>& result, double seconds);

  // What is at this moment.
  void set_load(const net::HttpServer::Load& load);
  void set_load(const std::string& model, const chat::ModelLoad& load);
  void set_certificate(const std::string& model, const chat::CertificateState& state);

  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The model, with every call of it counted.
std::shared_ptr<chat::ChatModel> make_metered(std::shared_ptr<chat::ChatModel> model, std::string strategy,
                                              std::shared_ptr<Metrics> metrics);

}  // namespace bantam::server
