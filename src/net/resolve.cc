#include "net/resolve.h"

#include <netdb.h>

#include <boost/asio/this_coro.hpp>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "net/async_event.h"

namespace bantam::net {
namespace {

struct Lookup {
  std::mutex mutex;
  AsyncEvent* done = nullptr;  // of whoever still waits
  int error = 0;
  std::vector<SocketAddress> addresses;
};

void look_up(const std::string& host, uint16_t port, int flags, Lookup& out) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  std::vector<SocketAddress> addresses;
  for (addrinfo* a = error ? nullptr : list; a; a = a->ai_next) {
    SocketAddress address;
    if (a->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
    address.size = a->ai_addrlen;
    addresses.push_back(address);
  }
  if (list) ::freeaddrinfo(list);
  std::lock_guard lock(out.mutex);
  out.error = error;
  out.addresses = std::move(addresses);
  if (out.done) out.done->set();
}

/// Tells the look-up's thread whom to wake, for as long as there is somebody.
class Waiting {
 public:
  Waiting(Lookup& lookup, AsyncEvent& event) : lookup_(lookup) { set(&event); }
  ~Waiting() { set(nullptr); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  void set(AsyncEvent* event) {
    std::lock_guard lock(lookup_.mutex);
    lookup_.done = event;
  }
  Lookup& lookup_;
};

}  // namespace

Awaitable<Result<std::vector<SocketAddress>>> resolve(std::string host, uint16_t port,
                                                      std::chrono::steady_clock::time_point until,
                                                      std::stop_token cancel) {
  auto lookup = std::make_shared<Lookup>();
  look_up(host, port, AI_NUMERICHOST, *lookup);  // an address needs no thread
  if (lookup->error == 0 && !lookup->addresses.empty()) co_return std::move(lookup->addresses);
  AsyncEvent event(co_await boost::asio::this_coro::executor);
  Waiting waiting(*lookup, event);
  std::stop_callback on_cancel(cancel, [&] { event.set(); });
  // getaddrinfo can neither be cancelled nor given a limit, so a look-up that is given up ends by itself
  // later, on its own state.
  try {
    std::thread([lookup, host, port] { look_up(host, port, 0, *lookup); }).detach();
  } catch (const std::exception& e) {
    co_return fail(Code::kUnavailable, "{}: cannot start a look-up: {}", host, e.what());
  }
  bool woken = co_await event.wait(until);
  if (cancel.stop_requested()) co_return fail(Code::kCancelled, "{}: cancelled", host);
  if (!woken) co_return fail(Code::kUnavailable, "{}: the name was not resolved in time", host);
  std::lock_guard lock(lookup->mutex);
  if (lookup->error) co_return fail(Code::kUnavailable, "{}: {}", host, ::gai_strerror(lookup->error));
  if (lookup->addresses.empty()) co_return fail(Code::kUnavailable, "{}: the name has no address", host);
  co_return std::move(lookup->addresses);
}

}  // namespace bantam::net
