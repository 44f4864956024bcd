#pragma once
// Idle connections of an HttpClient, kept for the next call. Internal to net.

#include <array>
#include <boost/asio/execution_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "net/socket.h"

namespace bantam::net {

/// A connection; used by one call at a time.
struct Link {
  /// `context`: null for a plain connection.
  Link(boost::asio::any_io_executor executor, std::shared_ptr<boost::asio::ssl::context> context)
      : tls(std::move(context)), socket(Socket::Tcp(std::move(executor)), tls.get()) {}

  /// A connection at rest has nothing to read: bytes, an end or an error there all mean that it is of no more
  /// use.
  bool usable();

  std::shared_ptr<boost::asio::ssl::context> tls;
  Socket socket;
  boost::beast::flat_buffer buffer;
  std::array<char, 16 << 10> piece;  // where a body is read to
  std::chrono::steady_clock::time_point idle_since;
};

/// The idle connections of one io_context, which end with it. For its one thread.
class LinkCache final : public boost::asio::execution_context::service {
 public:
  using key_type = LinkCache;
  static boost::asio::execution_context::id id;
  static LinkCache& of(const boost::asio::any_io_executor& executor);

  explicit LinkCache(boost::asio::execution_context& context);

  /// One that may still be used, the most recent first; null where there is none.
  std::unique_ptr<Link> take(const std::string& key, std::chrono::milliseconds keep_alive);
  void keep(const std::string& key, std::unique_ptr<Link> link, size_t max_idle);

 private:
  void shutdown() noexcept override { idle_.clear(); }
  std::unordered_map<std::string, std::deque<std::unique_ptr<Link>>> idle_;
  size_t count_ = 0;
};

}  // namespace bantam::net
