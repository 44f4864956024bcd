#include "net/link_cache.h"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>

namespace bantam::net {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

bool Link::usable() {
  char byte;
  int fd = socket.tcp().native_handle();
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

asio::execution_context::id LinkCache::id;

LinkCache& LinkCache::of(const asio::any_io_executor& executor) {
  return asio::use_service<LinkCache>(asio::query(executor, asio::execution::context));
}

LinkCache::LinkCache(asio::execution_context& context) : service(context) {
  // Services are shut down in the reverse order of their making: those that links use must be there first, so
  // that the links go before them.
  Socket socket(Socket::Tcp(static_cast<asio::io_context&>(context)), nullptr);
}

std::unique_ptr<Link> LinkCache::take(const std::string& key, std::chrono::milliseconds keep_alive) {
  auto found = idle_.find(key);
  if (found == idle_.end()) return nullptr;
  auto& links = found->second;
  auto oldest = Clock::now() - keep_alive;
  while (!links.empty() && links.back()->idle_since < oldest) {
    links.pop_back();
    --count_;
  }
  std::unique_ptr<Link> out;
  while (!links.empty() && !out) {
    if (links.front()->usable()) out = std::move(links.front());
    links.pop_front();
    --count_;
  }
  if (links.empty()) idle_.erase(found);
  return out;
}

void LinkCache::keep(const std::string& key, std::unique_ptr<Link> link, size_t max_idle) {
  if (max_idle == 0) return;
  link->socket.expires_never();
  link->idle_since = Clock::now();
  while (count_ >= max_idle) {
    auto any = idle_.begin();
    any->second.pop_back();
    --count_;
    if (any->second.empty()) idle_.erase(any);
  }
  idle_[key].push_front(std::move(link));  // the one used last is the least likely to have been closed
  ++count_;
}

}  // namespace bantam::net
