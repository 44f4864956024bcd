#pragma once
// The meeting point of a handler's thread and the I/O thread for one request; knows no sockets. Internal to
// net.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "net/http_server.h"

namespace bantam::net {

class ServerExchange final : public Exchange {
 public:
  /// `wake` is called, from any thread, when take() may have something new. A writer waits above `high_water`
  /// unsent bytes.
  ServerExchange(ServerRequest request, std::function<void()> wake, size_t high_water = 256 << 10);

  // The handler's side.
  const ServerRequest& request() const override { return request_; }
  void respond(ServerResponse response) override;
  void begin(int status, Headers headers) override;
  bool write(std::string_view piece) override;
  /// The handler has returned (or will not run).
  void finish();

  // The I/O side.
  struct Out {
    bool begun = false;      // `head` is there, on the first take() that sees it
    bool streaming = false;  // its body comes in pieces
    bool ended = false;      // no more will come
    ServerResponse head;
    std::string bytes;  // pieces not taken before
  };
  Out take();
  /// Nobody listens any more: write() fails and the request is cancelled.
  void client_gone();
  /// Asks the handler to stop; what it still answers is sent.
  void cancel() { stop_.request_stop(); }

 private:
  std::stop_source stop_;
  ServerRequest request_;
  std::function<void()> wake_;
  size_t high_water_;
  std::mutex mutex_;
  std::condition_variable space_;
  ServerResponse head_;
  std::string pending_;
  bool answered_ = false, head_taken_ = false, streaming_ = false, ended_ = false, gone_ = false;
};

}  // namespace bantam::net
