#include "collab/redact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace bantam::collab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::shared_ptr<const Redactor> make(RedactorOptions options = {}) {
  auto made = Redactor::create(options);
  EXPECT_TRUE(made) << made.error().message;
  return made ? *made : nullptr;
}
const std::shared_ptr<const Redactor>& redactor() {
  static const auto made = make();
  return made;
}

/// The text with everything found replaced, and restored from it to be as it was.
std::string redacted(std::string_view text, const std::shared_ptr<const Redactor>& r = redactor()) {
  Redaction redaction(r);
  auto out = redaction.text(text);
  EXPECT_TRUE(out) << out.error().message;
  if (!out) return {};
  EXPECT_EQ(redaction.restore(*out, false), text);
  return *out;
}

TEST(Redact, Email) {
  EXPECT_EQ(redacted("write to jane.doe+x@mail.example.co.uk, please"), "write to [EMAIL_1], please");
  EXPECT_EQ(redacted("a@b.de b@b.de a@b.de"), "[EMAIL_1] [EMAIL_2] [EMAIL_1]");
  EXPECT_EQ(redacted("<mailto:müller@bücher.example>"), "<mailto:[EMAIL_1]>");
  EXPECT_EQ(redacted("it is max (at) example (dot) org."), "it is [EMAIL_1].");
  EXPECT_EQ(redacted("it is max at example dot org."), "it is [EMAIL_1].");
  EXPECT_EQ(redacted("?u=max%40example.org&x=1"), "[EMAIL_1]&x=1");
  EXPECT_EQ(redacted("ｍａｘ＠ｅｘａｍｐｌｅ．ｏｒｇ!"), "[EMAIL_1]!");  // full-width
  EXPECT_EQ(redacted("ma\u200Bx@exa\u00ADmple.org"), "[EMAIL_1]");       // zero-width space, soft hyphen
  EXPECT_EQ(redacted("see @max and 5 @ 3"), "see @max and 5 @ 3");
}

TEST(Redact, CardsNeedTheirCheckDigit) {
  for (const char* card :
       {"4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005",
        "3782 822463 10005", "6011.0009.9013.9424", "4222222222222", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"})
    EXPECT_EQ(redacted(fmt::format("card {} ok", card)), "card [CARD_1] ok") << card;
  EXPECT_EQ(redacted("order 17 4111 1111 1111 1111 5 pieces"), "order 17 [CARD_1] 5 pieces");
  EXPECT_THAT(redacted("no card: 4111 1111 1111 1112"), Not(HasSubstr("CARD")));
  EXPECT_THAT(redacted("\u0664\u0661\u0661\u0661 1111 1111 1111"), HasSubstr("[CARD_1]"));  // Arabic digits
}

TEST(Redact, IbansNeedTheirChecksum) {
  for (const char* iban :
       {"DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "gb82 west 1234 5698 7654 32",
        "FR14 2004 1010 0505 0001 3M02 606", "NO93-8601-1117-947"})
    EXPECT_EQ(redacted(fmt::format("to {} now", iban)), "to [IBAN_1] now") << iban;
  EXPECT_EQ(redacted("IBAN:DE89370400440532013000."), "IBAN:[IBAN_1].");
  EXPECT_THAT(redacted("DE88 3704 0044 0532 0130 00"), Not(HasSubstr("IBAN")));
}

TEST(Redact, IpAddresses) {
  EXPECT_EQ(redacted("from 192.168.0.17:8080 to 10.0.0.1."), "from [IP_1]:8080 to [IP_2].");
  EXPECT_EQ(redacted("http://[2001:db8::8a2e:370:7334]/ fe80::1%eth0"), "http://[[IP_1]]/ [IP_2]%eth0");
  EXPECT_EQ(redacted("addr:2001:db8:0:0:0:0:0:1, ::ffff:10.1.2.3"), "addr:[IP_1], [IP_2]");
  EXPECT_EQ(redacted("at 12:30:45 std::add(x::y) 00:1a:2b:3c:4d:5e 300.1.1.1"),
            "at 12:30:45 std::add(x::y) 00:1a:2b:3c:4d:5e 300.1.1.1");
}

TEST(Redact, TelephoneNumbers) {
  for (const char* phone :
       {"+49 30 1234567", "+49 (0)30 123 45 67", "+1-202-555-0143", "(202) 555-0143", "202-555-0143",
        "202.555.0143", "0049 171 1234567", "030 1234567", "0171/1234567", "06 12 34 56 78", "020 7946 0958",
        "+442079460958", "1-800-555-0199", "2025550143"})
    EXPECT_EQ(redacted(fmt::format("it is {}, yes", phone)), "it is [PHONE_1], yes") << phone;
  EXPECT_EQ(redacted("Tel.: 45 67 89 or call me on 4455 667"), "Tel.: [PHONE_1] or call me on [PHONE_2]");
  EXPECT_EQ(redacted("on 2024-11-22, 22.11.2024 and 01.02.2024 at 10:30, 1,234,567 pieces, 3.14159265"),
            "on 2024-11-22, 22.11.2024 and 01.02.2024 at 10:30, 1,234,567 pieces, 3.14159265");
}

TEST(Redact, NamesAndAddressesByTheirSurroundings) {
  EXPECT_EQ(redacted("Dear Mrs. Thatcher-Jones, hello"), "Dear Mrs. [NAME_1], hello");
  EXPECT_EQ(redacted("My name is Åsa Öberg."), "My name is [NAME_1].");
  EXPECT_EQ(redacted("I met Julia van der Berg there"), "I met [NAME_1] there");
  EXPECT_EQ(redacted("he lives at 12 Old Mill Lane, Springfield, IL 62704."), "he lives at [ADDRESS_1].");
  EXPECT_EQ(redacted("Wohnhaft: Lindenstraße 12a, 10969 Berlin"), "Wohnhaft: [ADDRESS_1]");
  EXPECT_EQ(redacted("au 15 rue de la Paix, 75002 Paris"), "au [ADDRESS_1]");
  EXPECT_EQ(redacted("I may go there in June. Thanks for the Quick Reply"),
            redacted("I may go there in June. Thanks for the Quick Reply"));
}

TEST(Redact, ListsAndOwnPatterns) {
  auto r = make({.types = {"name", "address"},
                 .names = {"Zed", "Wilhelmina O'Grady"},
                 .addresses = {"Villa Sunshine, Harbour 3"},
                 .patterns = {{"TICKET", R"(\bT-[0-9]+)"}, {"TOKEN", "token=([a-z]+)"}}});
  EXPECT_EQ(redacted("ZED met wilhelmina o’grady at Villa Sunshine Harbour 3", r),
            "[NAME_1] met [NAME_2] at [ADDRESS_1]");
  EXPECT_EQ(redacted("Zedong and T-17, token=abc;", r), "Zedong and [TICKET_1], token=[TOKEN_1];");
  EXPECT_EQ(redacted("x@y.de", r), "x@y.de");  // a type that is not wanted
  EXPECT_FALSE(Redactor::create({.types = {"shoe size"}}));
  EXPECT_FALSE(Redactor::create({.patterns = {{"A", "("}}}));
  EXPECT_FALSE(Redactor::create({.patterns = {{"a b", "x"}}}));
}

TEST(Redact, TextThatLooksLikeAPlaceholderStaysItself) {
  Redaction redaction(redactor());
  auto out = redaction.text("I wrote [EMAIL_1] and a@b.de");
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, "I wrote [TEXT_1] and [EMAIL_1]");
  EXPECT_EQ(redaction.restore(*out, false), "I wrote [EMAIL_1] and a@b.de");
  // One that the model makes up stands for nothing.
  EXPECT_EQ(redaction.restore("[EMAIL_2] [NAME_1]", false), "[EMAIL_2] [NAME_1]");
}

TEST(Redact, OverlapsLeaveNothing) {
  auto r = make({.names = {"Bo Li"}, .patterns = {{"ID", "Li [0-9]+"}}});
  EXPECT_EQ(redacted("x Bo Li 1234 y", r), "x [NAME_1] y");
}

TEST(Redact, JsonKeepsItsFormAndIsEscapedOnTheWayBack) {
  Redaction redaction(redactor());
  auto out =
      redaction.json(R"({ "to" : "a\u0040b.de",  "n":4111111111111111, "q":"say \"hi\"", "x":[1.50,true] })");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, R"({ "to" : "[EMAIL_1]",  "n":"[CARD_1]", "q":"say \"hi\"", "x":[1.50,true] })");
  EXPECT_FALSE(redaction.json("{oops a@b.de"));
  auto quoted = redaction.text("\"o'x y\"@b.de");
  ASSERT_TRUE(quoted);
  std::string json = R"({"to":")" + *quoted + R"("})";
  EXPECT_EQ(nlohmann::json::parse(redaction.restore(json, true))["to"], "\"o'x y\"@b.de");
}

TEST(Redact, RestoresAcrossPartsCutAnywhere) {
  Redaction redaction(redactor());
  ASSERT_TRUE(redaction.text("a@b.de, 4111 1111 1111 1111"));
  const std::string answer = "To [EMAIL_1], [[CARD_1]] [EMAIL_9] [x [EMAIL_1] [EMAIL_";
  const std::string expected = "To a@b.de, [4111 1111 1111 1111] [EMAIL_9] [x a@b.de [EMAIL_";
  for (size_t a = 0; a <= answer.size(); ++a) {
    for (size_t b = a; b <= answer.size(); ++b) {
      Restorer restorer(redaction, false);
      std::string out = restorer.feed(answer.substr(0, a));
      out += restorer.feed(answer.substr(a, b - a));
      out += restorer.feed(answer.substr(b));
      out += restorer.finish();
      ASSERT_EQ(out, expected) << a << " " << b;
    }
  }
}

TEST(Redact, AWholeRequest) {
  chat::Request request;
  request.messages = {{.role = "system", .content = "help a@b.de"},
                      {.role = "assistant", .tool_calls = {{"1", "send", R"({"to":"c@d.de"})"}}},
                      {.role = "tool", .content = "sent to c@d.de", .tool_call_id = "1", .name = "a@b.de"}};
  request.prompt = "a@b.de";
  request.stop = {"c@d.de"};
  request.choices = {"a@b.de", "no"};
  request.tools = {{"send", "as a@b.de", R"({"enum":["c@d.de"]})"}};
  request.format.schema = R"({"const":"a@b.de"})";
  Redaction redaction(redactor());
  ASSERT_TRUE(redaction.apply(request));
  EXPECT_EQ(request.messages[0].content, "help [EMAIL_1]");
  EXPECT_EQ(request.messages[1].tool_calls[0].arguments, R"({"to":"[EMAIL_2]"})");
  EXPECT_EQ(request.messages[2].content, "sent to [EMAIL_2]");
  EXPECT_EQ(request.messages[2].name, "EMAIL_1");
  EXPECT_EQ(request.prompt, "[EMAIL_1]");
  EXPECT_EQ(request.stop[0], "[EMAIL_2]");
  EXPECT_EQ(request.choices[0], "[EMAIL_1]");
  EXPECT_EQ(request.tools[0].description, "as [EMAIL_1]");
  EXPECT_EQ(request.tools[0].parameters, R"({"enum":["[EMAIL_2]"]})");
  EXPECT_EQ(request.format.schema, R"({"const":"[EMAIL_1]"})");
  EXPECT_EQ(redaction.counts().at("EMAIL"), 10u);
  request.messages[1].tool_calls[0].arguments = "not json";
  Redaction again(redactor());
  auto failed = again.apply(request);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kDenied);
}

TEST(Redact, AConversationKeepsItsNumbersWhenItsBeginningIsLeftOut) {
  Conversations known;
  Redaction first(redactor(), known.get("ann", "c1"));
  ASSERT_TRUE(first.text("a@b.de b@b.de"));
  known.put("ann", "c1", first.numbers());
  Redaction second(redactor(), known.get("ann", "c1"));
  EXPECT_EQ(*second.text("b@b.de c@b.de"), "[EMAIL_2] [EMAIL_3]");
  // Only what this request held is put back, and another caller's conversation is another one.
  EXPECT_EQ(second.restore("[EMAIL_1] [EMAIL_2]", false), "[EMAIL_1] b@b.de");
  Redaction other(redactor(), known.get("bob", "c1"));
  EXPECT_EQ(*other.text("b@b.de"), "[EMAIL_1]");
}

TEST(Redact, BrokenUtf8AndEmptyTexts) {
  EXPECT_EQ(redacted(""), "");
  EXPECT_EQ(redacted("\xff\xfe a@b.de \xc3"), "\xff\xfe [EMAIL_1] \xc3");
  EXPECT_EQ(redacted("[[[[]]]]"), "[[[[]]]]");
}

}  // namespace
}  // namespace bantam::collab
