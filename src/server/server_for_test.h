#pragma once
// What tests that need a running server share.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "net/http_client.h"
#include "server/server.h"

namespace bantam::server {

/// A server on a port of the system's choice and a thread of its own, and a client.
class RunningServer {
 public:
  explicit RunningServer(ServerConfig config, LogSink log = {}) {
    config.port = 0;
    start(Server::open(config, std::move(log)));
  }
  RunningServer(ServerConfig config, Registry registry, LogSink log = {}) {
    config.port = 0;
    start(Server::open(config, std::move(registry), std::move(log)));
  }

  std::string url() const { return server_->url(); }

  net::ClientResponse send(std::string_view method, std::string_view path, std::string body = "",
                           net::Headers headers = {}, std::stop_token cancel = {}) {
    net::ClientRequest request;
    request.method = method;
    request.url = *net::parse_url(url() + std::string(path));
    request.body = std::move(body);
    request.headers = std::move(headers);
    request.cancel = cancel;
    auto response = net::wait(client_->send(request));
    EXPECT_TRUE(response || cancel.stop_requested()) << response.error().message;
    return response ? *response : net::ClientResponse{};
  }

 private:
  void start(Result<std::unique_ptr<Server>> server) {
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    client_ = std::move(*net::HttpClient::create());
    thread_ = std::jthread([this](std::stop_token stop) { EXPECT_TRUE(server_->run(stop)); });
  }

  std::unique_ptr<Server> server_;
  std::jthread thread_;  // ends before its server goes
  std::unique_ptr<net::HttpClient> client_;
};

}  // namespace bantam::server
