#include "net/http.h"

#include <gtest/gtest.h>

namespace bantam::net {
namespace {

TEST(Url, Parses) {
  auto url = parse_url("https://API.example.com/v1?x=1");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "api.example.com");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/v1?x=1");
  EXPECT_EQ(url->authority(), "api.example.com");
  url = parse_url("http://[::1]:8080");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->target, "/");
  EXPECT_EQ(url->authority(), "[::1]:8080");
}

TEST(Url, Refuses) {
  for (const char* text : {"", "example.com", "ftp://a/", "http://", "http://:80/", "http://a:0/",
                           "http://a:65536/", "http://a:8x/", "http://a:/", "http://u:p@a/", "http://a/#b",
                           "http://a/b c", "http://[::1", "http://[::1]x/", "http://a/\r\nX: y"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

// Messages and notes on the disk are read by others: signed URLs and passwords do not go there.
TEST(Url, IsShownWithoutItsSecrets) {
  const std::pair<const char*, const char*> urls[] = {
      {"https://a.example:8443/b/c.gguf?X-Signature=s3cret&y=/@", "https://a.example:8443/b/c.gguf"},
      {"https://me:s3cret@a.example/b@c", "https://a.example/b@c"},
      {"https://me:s3/c?r#et@a.example/b", "https://a.example/b"},
      {"https://[::1]:80/b#s3cret", "https://[::1]:80/b"},
      {"me:s3cret@a.example/b", "a.example/b"},
      {"", ""}};
  for (const auto& [url, shown] : urls) EXPECT_EQ(without_secrets(url), shown);
  for (const char* bad : {"https://me:s3cret@a.example/", "https://a.example/b?s3cret#c", "ftp://a/?s3cret"})
    EXPECT_EQ(parse_url(bad).error().message.find("s3cret"), std::string::npos) << bad;
}

TEST(Headers, CompareWithoutCaseAndCannotBeSplit) {
  Headers headers{{"Content-Type", "a"}, {"X", "1"}};
  EXPECT_EQ(headers.get("content-type"), "a");
  headers.set("CONTENT-TYPE", "b");
  EXPECT_EQ(headers.get("Content-Type"), "b");
  EXPECT_EQ(headers.size(), 2u);
  EXPECT_FALSE(headers.get("Y"));
  std::string wire = "GET / HTTP/1.1\r\n";
  Headers{{"A", "x\r\nSet-Cookie: y"}, {"B", "1"}}.write(wire);
  EXPECT_EQ(wire, "GET / HTTP/1.1\r\nA: xSet-Cookie: y\r\nB: 1\r\n");
}

TEST(Http, PercentDecoding) {
  EXPECT_EQ(percent_decode("a%2Fb"), "a/b");
  EXPECT_EQ(percent_decode("plain"), "plain");
  for (const char* text : {"%", "%2", "%zz", "%00"}) EXPECT_FALSE(percent_decode(text)) << text;
}

TEST(Http, Loopback) {
  for (const char* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.9.8.7", "::1"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "example.com", "localhost.example.com", "128.0.0.1", "::", ""})
    EXPECT_FALSE(is_loopback(host)) << host;
  EXPECT_EQ(host_of("[::1]:80"), "::1");
  EXPECT_EQ(host_of("LocalHost:80"), "localhost");
  EXPECT_EQ(host_of("[broken"), "");
}

}  // namespace
}  // namespace bantam::net
