#pragma once
// A request in work and its answer. Internal to net; all of it runs on the server's I/O thread.

#include "net/server_connection.h"

namespace bantam::net {

class ServerExchange final : public Exchange {
 public:
  ServerExchange(Connection& connection, ServerRequest request, bool keep_alive);

  const ServerRequest& request() const override { return request_; }
  void respond(ServerResponse response) override;
  void begin(int status, Headers headers) override;
  Awaitable<bool> write(std::string piece) override;

  /// After the handler: sends what is left. True when the answer went out whole.
  Awaitable<bool> finish();
  /// Nobody listens any more: write() fails and the request is cancelled.
  void client_gone() {
    gone_ = true;
    stop_.request_stop();
  }
  /// Asks the handler to stop; what it still answers is sent.
  void cancel() { stop_.request_stop(); }
  bool answered() const { return answered_; }
  bool head_sent() const { return head_sent_; }
  bool keep_alive() const { return keep_alive_; }
  int status() const { return head_.status; }

 private:
  Connection& connection_;
  std::stop_source stop_;
  ServerRequest request_;
  ServerResponse head_;
  bool keep_alive_, answered_ = false, streaming_ = false, head_sent_ = false, gone_ = false;
};

}  // namespace bantam::net
