#pragma once
// What the tests of remote models share.

#include <fmt/format.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/remote.h"
#include "net/raw_socket_for_test.h"

namespace bantam::chat {

inline std::string http(std::string_view status, std::string_view body, std::string_view more = "") {
  return fmt::format("HTTP/1.1 {}\r\n{}content-length: {}\r\nconnection: close\r\n\r\n{}", status, more,
                     body.size(), body);
}

/// An API that gives its answers in turn, and keeps what it was asked.
class Api {
 public:
  explicit Api(std::vector<std::string> answers, bool keep_open = false)
      : answers_(std::move(answers)),
        keep_open_(keep_open),
        server_([this](net::RawSocket& s) { serve(s); }) {}
  RemoteOptions options() const {
    RemoteOptions o;
    o.name = "large";
    o.base_url = server_.url("/v1");
    o.model = "llm-1";
    o.prices = {2, 10};
    return o;
  }
  std::vector<std::string> asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void serve(net::RawSocket& s) {
    std::string request = s.read_request(), answer;
    if (request.find("content-length: ") == std::string::npos) return;  // the client left before it asked
    {
      std::lock_guard lock(mutex_);
      answer = asked_.size() < answers_.size() ? answers_[asked_.size()] : "";
      asked_.push_back(std::move(request));
    }
    s.send(answer);
    if (keep_open_) s.read_all(30'000);
  }
  std::mutex mutex_;
  std::vector<std::string> answers_, asked_;
  bool keep_open_;
  net::RawServer server_;
};

inline Result<Reply> ask(const RemoteOptions& options, const Request& r, EventSink sink = {}) {
  auto model = make_remote(options);
  if (!model) return std::unexpected(model.error());
  return wait((*model)->generate(r, std::move(sink)));
}

}  // namespace bantam::chat
