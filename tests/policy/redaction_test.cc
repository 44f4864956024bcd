// Redaction from end to end: 2,000 texts with planted data through a real server to a real HTTP upstream that
// keeps what it got and says it back. Nothing planted of the types with a fixed form, of the lists or of the
// own pattern may arrive there, and every caller gets its own text back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "net/json.h"
#include "net/raw_socket_for_test.h"
#include "net/sse.h"
#include "planted.h"
#include "server/config.h"
#include "server/server.h"

namespace bantam::tests {
namespace {

using net::RawSocket;
using nlohmann::json;

/// Reads a whole HTTP message whose body has a content-length.
std::string read_message(const RawSocket& socket) {
  std::string bytes;
  for (;;) {
    size_t end = bytes.find("\r\n\r\n");
    size_t field = bytes.find("ontent-length: "), field2 = bytes.find("ontent-Length: ");
    field = std::min(field, field2);
    if (end != std::string::npos && field != std::string::npos &&
        bytes.size() >= end + 4 + std::stoul(bytes.substr(field + 15)))
      return bytes.substr(end + 4);
    char piece[8192];
    ssize_t n = ::recv(socket.fd(), piece, sizeof piece, 0);
    if (n <= 0) return "";
    bytes.append(piece, static_cast<size_t>(n));
  }
}

/// An API that answers with the last user message, and remembers every request.
class Echo {
 public:
  std::string url() const { return server_.url("/v1"); }
  std::string last() {
    std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  void serve(RawSocket& socket) {
    std::string body = read_message(socket);
    if (body.empty()) return;
    {
      std::lock_guard lock(mutex_);
      last_ = body;
    }
    json request = json::parse(body);
    std::string text = request["messages"].back()["content"];
    json usage = {{"prompt_tokens", 10}, {"completion_tokens", 5}, {"total_tokens", 15}};
    if (!request.value("stream", false)) {
      std::string answer = json{
          {"choices", {{{"message", {{"role", "assistant"}, {"content", text}}}, {"finish_reason", "stop"}}}},
          {"usage", usage}}.dump();
      socket.send(
          fmt::format("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n"
                      "content-length: {}\r\n\r\n{}",
                      answer.size(), answer));
      return;
    }
    std::string events;
    size_t step = 1 + text.size() % 7;  // placeholders are cut in all ways
    for (size_t i = 0; i < text.size();) {
      size_t end = std::min(i + step, text.size());
      while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
      events +=
          "data: " +
          json{{"choices", {{{"index", 0}, {"delta", {{"content", text.substr(i, end - i)}}}}}}}.dump() +
          "\n\n";
      i = end;
    }
    events +=
        "data: " +
        json{{"choices", {{{"index", 0}, {"delta", json::object()}, {"finish_reason", "stop"}}}}}.dump() +
        "\n\n";
    events += "data: " + json{{"choices", json::array()}, {"usage", usage}}.dump() + "\n\ndata: [DONE]\n\n";
    socket.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n" + events);
  }

  std::mutex mutex_;
  std::string last_;
  net::RawServer server_{[this](RawSocket& socket) { serve(socket); }};
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}
/// Letters and digits alone: what someone who looks for the data would compare.
std::string bare(const std::string& text) {
  std::string out;
  for (char c : lower(text)) {
    if (std::isalnum(static_cast<unsigned char>(c))) out += c;
  }
  return out;
}
bool holds(const std::string& sent, const Planted& item) {
  if (lower(sent).find(lower(item.value)) != std::string::npos) return true;
  bool digits = item.type == "card" || item.type == "iban" || item.type == "email";
  return digits && bare(sent).find(bare(item.value)) != std::string::npos;
}

std::string ask(uint16_t port, const std::string& text, bool stream) {
  RawSocket socket = RawSocket::connect(port);
  std::string body =
      json{{"model", "large"}, {"stream", stream}, {"messages", {{{"role", "user"}, {"content", text}}}}}
          .dump();
  socket.send(
      fmt::format("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                  "content-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
                  body.size(), body));
  std::string reply = socket.read_all(20'000);
  if (!reply.starts_with("HTTP/1.1 200")) return "refused: " + reply;
  std::string content = reply.substr(reply.find("\r\n\r\n") + 4);
  if (!stream) return json::parse(content)["choices"][0]["message"]["content"];
  // Chunked: the sizes stand on lines of their own, between pieces that are whole events here.
  std::string out;
  for (size_t at = content.find("data: "); at != std::string::npos; at = content.find("data: ", at + 1)) {
    std::string line = content.substr(at + 6, content.find('\n', at) - at - 6);
    json event = json::parse(line, nullptr, false);
    if (event.is_discarded() || event["choices"].empty()) continue;
    json piece = event["choices"][0]["delta"].value("content", json());
    if (piece.is_string()) out += piece.get<std::string>();
  }
  return out;
}

TEST(Redaction, NothingPlantedReachesTheRemoteAndEveryCallerGetsItsTextBack) {
  constexpr size_t kTexts = 2000;
  PlantedTexts all = plant(kTexts, 20261122);
  char name[] = "/tmp/bantam-redaction-XXXXXX";
  std::string folder = ::mkdtemp(name);
  auto write_list = [&](const char* file, const std::vector<std::string>& lines) {
    std::ofstream out(folder + "/" + file);
    for (const std::string& line : lines) out << line << "\n";
  };
  write_list("names.txt", all.names);
  write_list("addresses.txt", all.addresses);
  Echo echo;
  auto config = server::parse_config(fmt::format(R"(
server.port = 0
ledger = {{ url = "ledger.db", audit = "audit.jsonl", sync = "process" }}
redaction = {{ names = "names.txt", addresses = "addresses.txt", patterns = [{{ name = "EMPLOYEE", pattern = "EMP-[0-9]{{6}}" }}] }}
[[models]]
name = "large"
url = "{}"
egress = "redact"
)",
                                                 echo.url()),
                                     "serve.toml", folder);
  ASSERT_TRUE(config) << config.error().message;
  auto server = server::Server::open(*config);
  ASSERT_TRUE(server) << server.error().message;
  std::jthread thread([&](std::stop_token stop) { EXPECT_TRUE((*server)->run(stop)); });
  std::string url = (*server)->url();
  auto port = static_cast<uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));

  struct Count {
    size_t planted = 0, found = 0;
  };
  std::map<std::string, Count> counts;
  size_t wrong = 0;
  for (size_t i = 0; i < all.texts.size(); ++i) {
    const PlantedText& text = all.texts[i];
    std::string reply = ask(port, text.text, i % 2 == 1);
    if (reply != text.text && ++wrong <= 3)
      ADD_FAILURE() << "sent:\n" << text.text << "\ngot back:\n" << reply;
    json sent = json::parse(echo.last(), nullptr, false);
    ASSERT_FALSE(sent.is_discarded());
    std::string content = sent["messages"].back()["content"];
    for (const Planted& item : text.planted) {
      Count& count = counts[item.type];
      ++count.planted;
      bool there = holds(content, item);
      count.found += !there;
      bool may_be_missed = item.type.starts_with("other");
      EXPECT_TRUE(!there || may_be_missed) << item.type << " '" << item.value << "' in: " << content;
    }
  }
  EXPECT_EQ(wrong, 0u);
  for (const auto& [type, count] : counts)
    fmt::print("{:15} recall {:.4f} ({} of {})\n", type,
               static_cast<double>(count.found) / static_cast<double>(count.planted), count.found,
               count.planted);
  thread.request_stop();
  thread.join();
  server->reset();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bantam::tests
