#include "store/registry.h"

#include <gmock/gmock.h>

namespace bantam::store {
namespace {

using testing::HasSubstr;

TEST(Listing, KeepsModelsWithSizesAndHashes) {
  const std::string hash(64, 'a');
  const auto list = parse_listing(R"({"sha": "0123abcd", "siblings": [{"rfilename": "README.md"},
      {"rfilename": "a-q8_0.gguf", "size": 3, "lfs": {"sha256": ")" +
                                  hash + R"(", "size": 5}}, {"rfilename": "b.gguf", "size": 7}]})");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->commit, "0123abcd");
  ASSERT_EQ(list->files.size(), 2U);
  EXPECT_EQ(list->find("a-q8_0.gguf")->bytes, 5U);
  EXPECT_EQ(list->find("a-q8_0.gguf")->sha256, hash);
  EXPECT_EQ(list->find("b.gguf")->bytes, 7U);
  EXPECT_EQ(list->find("README.md"), nullptr);
}

TEST(Listing, HostileOnesAreRefused) {
  for (const char* bad :
       {"", "[]", "{}", R"({"siblings": {}})", R"({"siblings": [1]})", R"({"siblings": [{"rfilename": 1}]})",
        R"({"siblings": [{"rfilename": "../a.gguf"}]})", R"({"siblings": [{"rfilename": "/a.gguf"}]})",
        R"({"siblings": [{"rfilename": "a/.b/c.gguf"}]})",
        R"({"siblings": [{"rfilename": "a\u0000b.gguf"}]})", R"({"siblings": [{"rfilename": "a\\b.gguf"}]})",
        R"({"siblings": [{"rfilename": "a.gguf", "lfs": {"sha256": "xyz"}}]})"})
    EXPECT_FALSE(parse_listing(bad)) << bad;
  // A commit that is none would become a part of a URL.
  EXPECT_EQ(parse_listing(R"({"sha": "../..", "siblings": []})")->commit, "");
  std::string deep = R"({"siblings": )";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_EQ(parse_listing(deep).error().code, Code::kLimit);
}

TEST(Registry, UrlsAreOfItsLayout) {
  const ModelName name{"o", "m", ""};
  const auto list = listing_url("https://hub.example/base/", name, "feature/x y");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->target, "/base/api/models/o/m/revision/feature/x%20y?blobs=true");
  EXPECT_EQ(file_url("https://hub.example", name, "main", "d/a b.gguf")->target,
            "/o/m/resolve/main/d/a%20b.gguf");
  EXPECT_EQ(file_url("http://hub.example", name, "main", "a.gguf").error().code, Code::kDenied);
  EXPECT_TRUE(file_url("http://127.0.0.1:8", name, "main", "a.gguf"));
  EXPECT_FALSE(file_url("https://hub.example?x=1", name, "main", "a.gguf"));
  EXPECT_FALSE(file_url("ftp://hub.example", name, "main", "a.gguf"));
}

TEST(Registry, HashesAreRecognised) {
  const std::string hash(64, 'b');
  EXPECT_EQ(as_sha256("\"" + hash + "\""), hash);
  EXPECT_EQ(as_sha256("sha256:" + std::string(64, 'B')), hash);
  for (const std::string& none :
       {std::string(), std::string(63, 'b'), std::string(64, 'g'), "W/\"" + hash + "\""})
    EXPECT_EQ(as_sha256(none), "") << none;
}

TEST(Redirect, TargetsAreResolved) {
  const auto base = net::parse_url("https://a.example:8443/x/y?z=1").value();
  const auto to = [&](std::string_view location) {
    const auto url = redirect_target(base, location);
    return url ? fmt::format("{}://{}{}", url->tls ? "https" : "http", url->authority(), url->target)
               : "error";
  };
  EXPECT_EQ(to("https://b.example/c?d=https://e"), "https://b.example/c?d=https://e");
  EXPECT_EQ(to("//b.example/c"), "https://b.example/c");
  EXPECT_EQ(to("/c?d#e"), "https://a.example:8443/c?d");
  EXPECT_EQ(to("c"), "https://a.example:8443/x/c");
  EXPECT_EQ(to("../c/./d/../e/?f=/../g"), "https://a.example:8443/c/e/?f=/../g");
  EXPECT_EQ(to("../../.."), "https://a.example:8443/");
  EXPECT_EQ(to("/c?u=http://d"), "https://a.example:8443/c?u=http://d");
  EXPECT_EQ(to("http://b.example/"), "http://b.example/");
  for (const char* bad : {"", "#x", "ftp://b/", "https://user@b/", "/a b", "https://"})
    EXPECT_EQ(to(bad), "error") << bad;
}

}  // namespace
}  // namespace bantam::store
