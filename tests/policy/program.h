#pragma once
// `bantam serve` as a process of its own, and what a client says to it.

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "net/raw_socket_for_test.h"

namespace bantam::tests {

inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs bantam to its end; what it said is in `out`.
inline int run_bantam(std::vector<std::string> words, std::string& out) {
  std::string command = BANTAM_PROGRAM;
  for (const std::string& word : words) command += " '" + word + "'";
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  out.clear();
  char piece[4096];
  for (size_t n; (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;) out.append(piece, n);
  int status = ::pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Program {
 public:
  /// Starts `bantam serve --config FILE` and waits until it listens; port() is 0 when it did not.
  Program(const std::string& config, std::string log) : log_(std::move(log)) {
    ::unlink(log_.c_str());  // or an earlier server's port would be read
    child_ = ::fork();
    if (child_ == 0) {
      int fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(fd, 1);
      ::dup2(fd, 2);
      ::execl(BANTAM_PROGRAM, "bantam", "serve", "--config", config.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 3000 && port_ == 0; ++i) {
      std::string text = file_text(log_);
      size_t at = text.find("listening on http://");
      if (size_t end = text.find('\n', at); at != std::string::npos && end != std::string::npos)
        port_ = static_cast<uint16_t>(std::stoul(text.substr(text.rfind(':', end) + 1)));
      if (::waitpid(child_, nullptr, WNOHANG) != 0) {
        child_ = -1;
        break;
      }
      if (port_ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  ~Program() { end(SIGTERM); }
  void end(int signal) {
    if (child_ <= 0) return;
    ::kill(child_, signal);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  uint16_t port() const { return port_; }
  std::string log() const { return file_text(log_); }

 private:
  std::string log_;
  pid_t child_ = -1;
  uint16_t port_ = 0;
};

/// The whole reply, headers too; empty or cut short when the server went away.
inline std::string post(uint16_t port, const std::string& body) {
  net::RawSocket socket = net::RawSocket::connect(port);
  if (socket.fd() < 0) return "";
  socket.send(
      fmt::format("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                  "content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
                  body.size(), body));
  return socket.read_all(20'000);
}

}  // namespace bantam::tests
