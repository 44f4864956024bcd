#pragma once
// A remote API's failures, made for real on a socket.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>

#include "model/random_model.h"
#include "net/http.h"
#include "net/raw_socket_for_test.h"

namespace bantam::server {

using namespace std::chrono_literals;
using net::RawServer;
using net::RawSocket;

inline std::string header(std::string_view status, std::string_view more) {
  return fmt::format("HTTP/1.1 {}\r\nconnection: close\r\n{}\r\n", status, more);
}
inline std::string whole(std::string_view status, std::string_view body, std::string_view more = "") {
  return header(status, fmt::format("{}content-length: {}\r\n", more, body.size())) + std::string(body);
}
inline const std::string kStream = header("200 OK", "content-type: text/event-stream\r\n");
inline const std::string kPiece = "data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n";

/// False when the other side gives up within that time.
inline bool undisturbed(RawSocket& s, std::chrono::milliseconds pause) {
  char c;
  for (auto until = std::chrono::steady_clock::now() + pause; std::chrono::steady_clock::now() < until;) {
    if (::recv(s.fd(), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}
inline void send_slowly(RawSocket& s, std::string_view bytes, std::chrono::milliseconds pause) {
  for (char c : bytes) {
    if (!s.send({&c, 1}) || !undisturbed(s, pause)) return;
  }
}

/// The path of a new model that says "refund" or "login".
inline std::string random_task_model() {
  auto path = (std::filesystem::temp_directory_path() / net::random_id("bantam_faults_")).string() + ".gguf";
  EXPECT_TRUE(model::write_random_model(path, model::tiny_config(), tensor::DType::kF32, 3, {"refund", "login"}));
  return path;
}

}  // namespace bantam::server
