#include "net/server_exchange.h"

#include <utility>

namespace bantam::net {

ServerExchange::ServerExchange(ServerRequest request, std::function<void()> wake, size_t high_water)
    : request_(std::move(request)), wake_(std::move(wake)), high_water_(high_water) {
  request_.cancel = stop_.get_token();
}

void ServerExchange::respond(ServerResponse response) {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(answered_, true)) return;
    head_ = std::move(response);
    ended_ = true;
  }
  wake_();
}

void ServerExchange::begin(int status, Headers headers) {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(answered_, true)) return;
    head_ = {status, std::move(headers), {}};
    streaming_ = true;
  }
  wake_();
}

bool ServerExchange::write(std::string_view piece) {
  {
    std::unique_lock lock(mutex_);
    space_.wait(lock, [this] { return gone_ || pending_.size() < high_water_; });
    if (gone_ || ended_ || !streaming_) return false;
    pending_.append(piece);
  }
  wake_();
  return true;
}

void ServerExchange::finish() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_();
}

ServerExchange::Out ServerExchange::take() {
  Out out;
  {
    std::lock_guard lock(mutex_);
    out.streaming = streaming_;
    out.ended = ended_;
    if (answered_ && !head_taken_) {
      head_taken_ = true;
      out.begun = true;
      out.head = std::move(head_);
    }
    out.bytes = std::exchange(pending_, {});
  }
  space_.notify_all();
  return out;
}

void ServerExchange::client_gone() {
  {
    std::lock_guard lock(mutex_);
    gone_ = true;
  }
  space_.notify_all();
  stop_.request_stop();
}

}  // namespace bantam::net
