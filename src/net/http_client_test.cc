#include "net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/usage.h"
#include "net/async_event.h"
#include "net/raw_socket_for_test.h"
#include "net/tls_for_test.h"

namespace bantam::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::unique_ptr<HttpClient> client(ClientOptions options = {}) {
  auto made = HttpClient::create(std::move(options));
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

/// One call on an io_context of its own.
Result<ClientResponse> send(const std::unique_ptr<HttpClient>& client, const ClientRequest& request,
                            CallTrace* trace = nullptr) {
  return wait(client->send(request, trace));
}

ClientRequest get(const std::string& url) {
  ClientRequest request;
  request.url = *parse_url(url);
  return request;
}

/// Answers every request on every connection with these bytes, then closes or, with `keep`, waits for the
/// next.
std::function<void(RawSocket&)> always(std::string answer, bool keep = false) {
  return [answer = std::move(answer), keep](RawSocket& s) {
    do {
      if (s.read_until("\r\n\r\n").empty()) return;
      s.send(answer);
    } while (keep);
  };
}

TEST(HttpClient, GetsABodyByLengthChunksOrEnd) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"}) {
    RawServer server(always(answer));
    auto response = send(client(), get(server.url()));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "hello");
  }
}

TEST(HttpClient, SendsWhatItIsGiven) {
  std::string seen;
  RawServer server([&](RawSocket& s) {
    seen = s.read_until("{}");
    s.send("HTTP/1.1 204 No Content\r\n\r\n");
  });
  ClientRequest request = get(server.url("/v1/x?y=1"));
  request.method = "POST";
  request.headers.add("authorization", "Bearer k");
  request.body = "{}";
  auto response = send(client(), request);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 204);
  EXPECT_THAT(seen, testing::StartsWith("POST /v1/x?y=1 HTTP/1.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("host: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"));
  EXPECT_THAT(seen, HasSubstr("authorization: Bearer k\r\n"));
  EXPECT_THAT(seen, HasSubstr("content-length: 2\r\n"));
}

TEST(HttpClient, StreamsPiecesAsTheyComeAndOnlyOfGoodAnswers) {
  std::atomic<int> pieces{0};
  RawServer server([&](RawSocket& s) {
    s.read_until("\r\n\r\n");
    s.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
    for (int i = 0; i < 500 && pieces == 0; ++i) std::this_thread::sleep_for(10ms);
    s.send(pieces == 1 ? "3\r\ntwo\r\n0\r\n\r\n" : "");
  });
  std::string seen;
  ClientRequest request = get(server.url());
  request.on_body = [&](std::string_view piece) -> Awaitable<bool> {
    seen += piece;
    ++pieces;
    co_return true;
  };
  auto response = send(client(), request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(seen, "onetwo");
  EXPECT_EQ(response->body, "");

  RawServer bad(always("HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno"));
  request.url = *parse_url(bad.url());
  response = send(client(), request);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "no");
}

/// As many calls one after the other, on one io_context, with a moment in between.
Awaitable<std::vector<CallTrace>> calls(HttpClient& client, std::string url, int n) {
  std::vector<CallTrace> out;
  for (int i = 0; i < n; ++i) {
    CallTrace trace;
    ClientRequest request = get(url);
    auto response = co_await client.send(request, &trace);
    EXPECT_TRUE(response) << response.error().message;
    out.push_back(trace);
    co_await sleep_until(std::chrono::steady_clock::now() + 20ms, {});  // for a close to arrive
  }
  co_return out;
}

TEST(HttpClient, UsesAConnectionAgainUnlessItWasClosed) {
  std::atomic<int> connections{0};
  std::string answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
  {
    RawServer server([&](RawSocket& s) {
      ++connections;
      always(answer, true)(s);
    });
    auto traces = wait(calls(*client(), server.url(), 3));
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(traces[i].reused, i > 0);
    EXPECT_EQ(connections, 1);
  }
  RawServer closing(always(answer));
  for (const CallTrace& trace : wait(calls(*client(), closing.url(), 3))) EXPECT_FALSE(trace.reused);
}

TEST(HttpClient, FailuresSayWhat) {
  auto expect = [](const std::string& answer, Code code, const std::string& message) {
    RawServer server(always(answer));
    ClientOptions options;
    options.max_body_bytes = 1000;
    options.max_header_bytes = 2000;
    auto response = send(client(options), get(server.url()));
    ASSERT_FALSE(response) << answer;
    EXPECT_EQ(response.error().code, code) << response.error().message;
    EXPECT_THAT(response.error().message, HasSubstr(message));
  };
  expect("", Code::kUnavailable, "closed while waiting");
  expect("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", Code::kUnavailable, "closed while reading");
  expect("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Code::kUnavailable, "reading");
  expect("SSH-2.0-OpenSSH\r\n\r\n", Code::kUnavailable, "waiting");
  expect("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n", Code::kLimit, "1000 bytes");
  expect("HTTP/1.1 200 OK\r\n\r\n" + std::string(5000, 'x'), Code::kLimit, "1000 bytes");
  expect("HTTP/1.1 200 OK\r\nx: " + std::string(5000, 'x') + "\r\n\r\n", Code::kLimit, "2000 bytes");
  expect("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx", Code::kUnsupported,
         "gzip");
  uint16_t port = RawServer([](RawSocket&) {}).port();
  auto refused = send(client(), get("http://127.0.0.1:" + std::to_string(port)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  auto unknown = send(client(), get("http://no-such-host.invalid/"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kUnavailable);
}

TEST(HttpClient, TimeLimitsAndCancellation) {
  std::stop_source end;
  RawServer silent([&](RawSocket& s) {
    s.read_until("\r\n\r\n");
    while (!end.stop_requested() && s.read_until("", 20) == "") {
      char c;
      if (::recv(s.fd(), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0) break;
    }
  });
  ClientOptions options;
  options.first_byte_timeout = 150ms;
  double start = wall_seconds();
  auto r = send(client(options), get(silent.url()));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kUnavailable);
  EXPECT_THAT(r.error().message, HasSubstr("150 ms"));
  ClientRequest late = get(silent.url());
  late.deadline = std::chrono::steady_clock::now() + 150ms;
  r = send(client(), late);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kCancelled);
  EXPECT_THAT(r.error().message, HasSubstr("deadline"));
  std::stop_source stop;
  ClientRequest cancelled = get(silent.url());
  cancelled.cancel = stop.get_token();
  std::jthread later([&] {
    std::this_thread::sleep_for(150ms);
    stop.request_stop();
  });
  r = send(client(), cancelled);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kCancelled);
  EXPECT_LT(wall_seconds() - start, 5);
  end.request_stop();
}

TEST(HttpClient, TheSinkEndsTheCall) {
  RawServer server(always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"));
  ClientRequest request = get(server.url());
  request.on_body = [](std::string_view) -> Awaitable<bool> { co_return false; };
  auto r = send(client(), request);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kCancelled);
}

/// A TLS server with a certificate of its own for "localhost"; answers one request per connection.
class TlsServer {
 public:
  TlsServer() : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate_file(context_, certificate_.certificate().c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context_, certificate_.private_key().c_str(), SSL_FILETYPE_PEM);
    server_ = std::make_unique<RawServer>([this](RawSocket& s) { serve(s); });
  }
  ~TlsServer() {
    server_.reset();
    SSL_CTX_free(context_);
  }
  std::string url(const char* host) const { return fmt::format("https://{}:{}/", host, server_->port()); }
  std::string ca_file() const { return certificate_.certificate(); }
  std::string server_name;

 private:
  void serve(RawSocket& s) {
    SSL* ssl = SSL_new(context_);
    SSL_set_fd(ssl, s.fd());
    if (SSL_accept(ssl) == 1) {
      if (const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) server_name = sni;
      char request[4096];
      std::string answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
      while (SSL_read(ssl, request, sizeof request) > 0)
        SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
    }
    SSL_free(ssl);
  }
  TestCertificate certificate_;
  SSL_CTX* context_;
  std::unique_ptr<RawServer> server_;
};

TEST(HttpClient, TlsVerifiesTheCertificateAndTheName) {
  TlsServer server;
  ClientOptions trusting;
  trusting.ca_file = server.ca_file();
  {
    auto traces = wait(calls(*client(trusting), server.url("localhost"), 2));
    EXPECT_TRUE(traces.back().reused);
    EXPECT_EQ(server.server_name, "localhost");
  }
  auto wrong_name = send(client(trusting), get(server.url("127.0.0.1")));
  ASSERT_FALSE(wrong_name);
  EXPECT_THAT(wrong_name.error().message, HasSubstr("certificate is not accepted"));
  auto untrusted = send(client(), get(server.url("localhost")));
  ASSERT_FALSE(untrusted);
  EXPECT_EQ(untrusted.error().code, Code::kUnavailable);
  EXPECT_THAT(untrusted.error().message, HasSubstr("self-signed"));
}

TEST(HttpClient, RefusesAMissingOrEmptyCaFile) {
  ClientOptions options;
  options.ca_file = "/no/such/file.pem";
  auto made = HttpClient::create(options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kNotFound);
  auto path = std::filesystem::temp_directory_path() / random_id("bantam_empty_");
  std::ofstream(path) << "nothing";
  options.ca_file = path;
  made = HttpClient::create(options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kCorrupt);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace bantam::net
