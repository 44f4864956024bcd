#pragma once
// Plain blocking sockets for tests that need to say exactly which bytes go over the wire.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace bantam::net {

class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) {}
  RawSocket(RawSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket() { close(); }

  static RawSocket connect(uint16_t port) {
    int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    RawSocket made(fd);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) made.close();
    return made;
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int fd() const { return fd_; }
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  /// Reads until `marker` has come, the peer closes, or nothing comes for `ms`.
  std::string read_until(std::string_view marker, int ms = 5000) const {
    std::string out;
    char piece[4096];
    pollfd p{fd_, POLLIN, 0};
    while ((marker.empty() || out.find(marker) == std::string::npos) && ::poll(&p, 1, ms) == 1) {
      ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
      if (n <= 0) break;
      out.append(piece, static_cast<size_t>(n));
    }
    return out;
  }
  /// A request: its header, and as much of a body as that says.
  std::string read_request() const {
    std::string out = read_until("\r\n\r\n");
    size_t field = out.find("content-length: "), body = out.find("\r\n\r\n") + 4;
    if (field == std::string::npos || body < 4) return out;
    size_t whole = body + std::stoul(out.substr(field + 16));
    char piece[4096];
    while (out.size() < whole) {
      ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
      if (n <= 0) break;
      out.append(piece, static_cast<size_t>(n));
    }
    return out;
  }
  /// All until the peer closes.
  std::string read_all(int ms = 5000) const { return read_until("", ms); }

 private:
  int fd_;
};

/// Listens on loopback and gives each connection, one after the other, to `serve` on a thread of its own.
class RawServer {
 public:
  explicit RawServer(std::function<void(RawSocket&)> serve) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0 && ::listen(listener_, 16) == 0) {
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
      port_ = ntohs(at.sin_port);
    }
    thread_ = std::thread([this, serve = std::move(serve)] {
      for (int fd; (fd = ::accept(listener_, nullptr, nullptr)) >= 0;) {
        RawSocket socket(fd);
        serve(socket);
      }
    });
  }
  ~RawServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }

 private:
  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace bantam::net
