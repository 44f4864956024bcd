#include "net/proxy.h"

#include <gmock/gmock.h>

#include <map>

namespace bantam::net {
namespace {

using testing::HasSubstr;

Result<ProxyRules> rules(const std::map<std::string, std::string>& variables) {
  return proxies_of_environment([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

TEST(Proxy, IsReadWithItsCredentials) {
  const auto proxy = parse_proxy("http://me:p%40ss@Proxy.example:3128/");
  ASSERT_TRUE(proxy) << proxy.error().message;
  EXPECT_EQ(proxy->url.host, "proxy.example");
  EXPECT_EQ(proxy->url.port, 3128);
  EXPECT_EQ(proxy->authorization, "Basic bWU6cEBzcw==");
  EXPECT_EQ(parse_proxy("proxy.example:8080")->url.port, 8080);
  EXPECT_EQ(parse_proxy("socks5://proxy.example").error().code, Code::kUnsupported);
  EXPECT_EQ(parse_proxy("http://").error().code, Code::kInvalidArgument);
  // A password must not be found in a message.
  EXPECT_THAT(parse_proxy("http://me:secret@:bad").error().message, testing::Not(HasSubstr("secret")));
}

TEST(Proxy, TheEnvironmentSaysWhichAndWhereNone) {
  const auto given = rules({{"http_proxy", "a:1"},
                            {"HTTPS_PROXY", "b:2"},
                            {"NO_PROXY", "inner.example, .lan,10.1.2.3 ,only.example:8443"}});
  ASSERT_TRUE(given) << given.error().message;
  const auto of = [&](const char* url) {
    const Proxy* proxy = given->of(parse_url(url).value());
    return proxy == nullptr ? std::string() : proxy->url.host;
  };
  EXPECT_EQ(of("http://far.example/"), "a");
  EXPECT_EQ(of("https://far.example/"), "b");
  for (const char* direct :
       {"https://inner.example/", "https://x.inner.example/", "https://box.lan/", "https://10.1.2.3/",
        "https://only.example:8443/", "http://localhost:80/", "http://127.0.0.1/", "https://[::1]/"})
    EXPECT_EQ(of(direct), "") << direct;
  EXPECT_EQ(of("https://notinner.example/"), "b");
  EXPECT_EQ(of("https://only.example/"), "b");
  EXPECT_EQ(rules({{"all_proxy", "c"}, {"no_proxy", "*"}})->of(parse_url("http://x.example/").value()),
            nullptr);
}

TEST(Proxy, AddressesAndTheirBlocksAreReachedDirectly) {
  const auto direct = [](const char* list, const char* url) {
    return rules({{"all_proxy", "p"}, {"no_proxy", list}})->of(parse_url(url).value()) == nullptr;
  };
  const std::pair<const char*, const char*> yes[] = {
      {"[fd00::1]", "https://[fd00::1]/"},      {"[fd00::1]", "https://[FD00:0::1]:8443/"},
      {"fd00::1", "https://[fd00::1]/"},        {"[fd00::1]:8443", "https://[fd00::1]:8443/"},
      {"fd00::/8", "https://[fdff:1::2]/"},     {"[fd00::]/8", "https://[fd00::2]/"},
      {"10.0.0.0/8", "https://10.255.1.2/"},    {"x 10.1.2.0/23,y", "https://10.1.3.4:1/"},
      {"10.1.2.3/32", "https://10.1.2.3/"},     {"0.0.0.0/0", "https://10.1.2.3/"},
      {"10.1.2.3:8443", "https://10.1.2.3:8443/"}, {"inner.example. a", "https://x.inner.example/"},
      {"inner.example", "https://inner.example./"}};
  for (const auto& [list, url] : yes) EXPECT_TRUE(direct(list, url)) << list << " " << url;
  const std::pair<const char*, const char*> no[] = {
      {"[fd00::1]:8443", "https://[fd00::1]/"}, {"[fd00::1]", "https://[fd00::2]/"},
      {"fd00::/8", "https://[fe00::1]/"},       {"fd00::/129", "https://[fd00::1]/"},
      {"10.0.0.0/8", "https://11.0.0.1/"},      {"10.1.2.0/23", "https://10.1.4.1/"},
      {"10.0.0.0/33", "https://10.0.0.0/"},     {"10.0.0.0/x", "https://10.0.0.0/"},
      {"10.0.0.0/", "https://10.0.0.0/"},       {"0.0.0.0/0", "https://[fd00::1]/"},
      {"::/0", "https://10.1.2.3/"},            {"2.3", "https://10.1.2.3/"},
      {"example/8", "https://x.example/"}};
  for (const auto& [list, url] : no) EXPECT_FALSE(direct(list, url)) << list << " " << url;
}

TEST(Proxy, CapitalsOfHttpProxyAreNotTrusted) {
  EXPECT_FALSE(rules({{"HTTP_PROXY", "evil:1"}})->http);
  EXPECT_THAT(rules({{"https_proxy", "ftp://x"}}).error().message, HasSubstr("https_proxy"));
}

}  // namespace
}  // namespace bantam::net
