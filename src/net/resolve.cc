#include "net/resolve.h"

#include <netdb.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace bantam::net {
namespace {

struct Lookup {
  std::mutex mutex;
  std::condition_variable_any done_changed;
  bool done = false;
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
  out.done = true;
  out.error = error;
  out.addresses = std::move(addresses);
  out.done_changed.notify_all();
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const std::string& host, uint16_t port,
                                           std::chrono::steady_clock::time_point until,
                                           std::stop_token cancel) {
  auto lookup = std::make_shared<Lookup>();
  look_up(host, port, AI_NUMERICHOST, *lookup);  // an address needs no thread
  if (lookup->error == 0 && !lookup->addresses.empty()) return std::move(lookup->addresses);
  lookup->done = false;
  // getaddrinfo can neither be cancelled nor given a limit, so a look-up that is given up ends by itself
  // later, on its own state.
  try {
    std::thread([lookup, host, port] { look_up(host, port, 0, *lookup); }).detach();
  } catch (const std::exception& e) {
    return fail(Code::kUnavailable, "{}: cannot start a look-up: {}", host, e.what());
  }
  std::unique_lock lock(lookup->mutex);
  if (!lookup->done_changed.wait_until(lock, cancel, until, [&] { return lookup->done; })) {
    if (cancel.stop_requested()) return fail(Code::kCancelled, "{}: cancelled", host);
    return fail(Code::kUnavailable, "{}: the name was not resolved in time", host);
  }
  if (lookup->error) return fail(Code::kUnavailable, "{}: {}", host, ::gai_strerror(lookup->error));
  if (lookup->addresses.empty()) return fail(Code::kUnavailable, "{}: the name has no address", host);
  return std::move(lookup->addresses);
}

}  // namespace bantam::net
