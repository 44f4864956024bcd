#include "collab/member.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "chat/call_notes.h"
#include "chat/scripted.h"

namespace bantam::collab {
namespace {

using chat::Reply;
using chat::Request;
using chat::ScriptedModel;
using chat::ScriptedTurn;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A scripted model that says of itself that it is beyond this machine, and embeds.
class Remote final : public chat::ChatModel {
 public:
  const std::string& name() const override { return script.name(); }
  bool remote() const override { return is_remote; }
  chat::Awaitable<Result<Reply>> generate(const Request& request, chat::EventSink sink) override {
    return script.generate(request, std::move(sink));
  }
  chat::Awaitable<Result<chat::Embeddings>> embed(const chat::EmbedRequest& request) override {
    embedded = request.inputs;
    chat::Embeddings out;
    out.usage.prompt_tokens = 7;
    out.cost = 0.5;
    co_return out;
  }
  ScriptedModel script{"large"};
  std::vector<std::string> embedded;
  bool is_remote = true;
};

ScriptedTurn billed_turn(std::vector<std::string> parts, chat::Usage usage = {10, 2}, double cost = 0.25) {
  ScriptedTurn t;
  t.parts = std::move(parts);
  t.usage = usage;
  t.cost = cost;
  return t;
}

class MemberTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bantam-member-XXXXXX";
    folder = ::mkdtemp(name);
    auto opened = Recorder::open(
        {.url = folder + "/ledger.db", .audit_path = folder + "/audit.jsonl", .sync = Sync::kProcess});
    ASSERT_TRUE(opened) << opened.error().message;
    recorder = *opened;
    policy.team = "team";
    policy.redactor = *Redactor::create({});
    policy.conversations = std::make_shared<Conversations>();
    policy.prices = {10, 1000};  // of a million tokens
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void budget(AccountsOptions options) {
    options.answer_tokens = 100;
    policy.accounts = std::make_shared<Accounts>(recorder, options);
  }
  std::shared_ptr<chat::ChatModel> member() { return make_member(model, policy); }
  std::shared_ptr<chat::ChatModel> whole() { return make_accounted(member(), "model", policy.accounts); }
  Result<Reply> ask(chat::ChatModel& m, const Request& request) {
    streamed.clear();
    arguments.clear();
    return chat::wait(m.generate(request, [this](chat::Event event) -> chat::Awaitable<bool> {
      if (auto* text = std::get_if<chat::TextDelta>(&event)) streamed += text->text;
      if (auto* call = std::get_if<chat::ToolCallDelta>(&event)) arguments += call->arguments;
      co_return true;
    }));
  }
  Amount charged(const std::string& scope) {
    auto ledger = Ledger::open(folder + "/ledger.db");
    return *ledger->charged(scope, utc_day(now_microseconds()));
  }
  SumRow sums() {
    auto ledger = Ledger::open(folder + "/ledger.db");
    return ledger->sums({})->at(0);
  }
  std::string audit() {
    std::ifstream file(folder + "/audit.jsonl");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static Request request(std::string text, std::optional<uint32_t> max_tokens = {}) {
    Request r;
    r.messages = {{.role = "user", .content = std::move(text)}};
    r.max_tokens = max_tokens;
    r.caller = "ci";
    r.id = "req-1";
    return r;
  }

  std::string folder, streamed, arguments;
  std::shared_ptr<Recorder> recorder;
  std::shared_ptr<Remote> model = std::make_shared<Remote>();
  MemberPolicy policy;
};

TEST_F(MemberTest, DenyAsksNothing) {
  policy.egress = Egress::kDeny;
  auto m = member();
  auto reply = ask(*m, request("x"));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kDenied);
  chat::EmbedRequest embed;
  embed.inputs = {"x"};
  EXPECT_EQ(chat::wait(m->embed(embed)).error().code, Code::kDenied);
  EXPECT_THAT(model->script.requests(), IsEmpty());
  EXPECT_THAT(model->embedded, IsEmpty());
  EXPECT_FALSE(m->remote());
  model->is_remote = false;  // one that runs here is none of egress's business
  model->script.say(billed_turn({"y"}));
  EXPECT_TRUE(ask(*m, request("x")));
}

TEST_F(MemberTest, RedactsOnTheWayUpAndRestoresOnTheWayBack) {
  policy.egress = Egress::kRedact;
  auto answer = billed_turn({"Mail to [EMA", "IL_1] and [EMAIL", "_2", "], not [EMAIL_3] ["});
  answer.tool_calls = {{"call", "send", R"({"to":"[EMAIL_1]"})"}};
  model->script.say(answer);
  auto reply = ask(*member(), request("ann@x.de, bob@x.de"));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->text, "Mail to ann@x.de and bob@x.de, not [EMAIL_3] [");
  EXPECT_EQ(streamed, reply->text);
  EXPECT_EQ(reply->tool_calls[0].arguments, R"({"to":"ann@x.de"})");
  EXPECT_EQ(arguments, reply->tool_calls[0].arguments);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("2 EMAIL")));
  auto sent = model->script.requests().at(0);
  ASSERT_EQ(sent.messages.size(), 2u);
  EXPECT_EQ(sent.messages[0].role, "system");
  EXPECT_EQ(sent.messages[1].content, "[EMAIL_1], [EMAIL_2]");
}

TEST_F(MemberTest, NothingToRedactChangesNothing) {
  policy.egress = Egress::kRedact;
  model->script.say(billed_turn({"a [EMAIL_1]"}));
  auto reply = ask(*member(), request("hello"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->text, "a [EMAIL_1]");
  EXPECT_THAT(reply->notes, IsEmpty());
  EXPECT_EQ(model->script.requests().at(0).messages.size(), 1u);
}

TEST_F(MemberTest, RedactionThatFailsSendsNothing) {
  policy.egress = Egress::kRedact;
  Request r = request("x");
  r.messages.push_back({.role = "assistant", .tool_calls = {{"1", "f", "{\"a@b.de"}}});
  auto reply = ask(*member(), r);
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("nothing was sent"));
  EXPECT_THAT(model->script.requests(), IsEmpty());
}

TEST_F(MemberTest, EmbeddingsAreRedactedAndCounted) {
  policy.egress = Egress::kRedact;
  budget({.all = Limit{"", 1, {}, to_nano(10)}, .teams = {}, .keys = {}});
  chat::EmbedRequest embed;
  embed.inputs = {"ann@x.de", "y"};
  auto m = whole();
  auto reply = chat::wait(m->embed(embed));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_THAT(model->embedded, ElementsAre("[EMAIL_1]", "y"));
  EXPECT_EQ(charged("all").money, to_nano(0.5));
  EXPECT_EQ(chat::wait(m->embed(embed)).error().code, Code::kQuota);  // one request a day
  EXPECT_EQ(sums().requests, 2);
  EXPECT_EQ(sums().failed, 1);
}

TEST_F(MemberTest, AMoneyBudgetReservesTheWorstCaseAndSettlesAfter) {
  budget({.all = {}, .teams = {{"team", {"", {}, {}, to_nano(1.0)}}}, .keys = {}});
  auto m = make_accounted(member(), "model", policy.accounts);
  // The team's name is the member's; the accounted model goes by the model's own.
  model->script.say(billed_turn({"fine"}, {10, 2}, 0.25));
  auto reply = ask(*m, request("x", 10));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(charged("team:team").money, to_nano(0.25));
  // 900 tokens of answer may cost 0.9, and 0.75 are left.
  reply = ask(*m, request("x", 900));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kQuota);
  EXPECT_THAT(reply.error().message, HasSubstr("budget: team:team has 0.75 of 1 left"));
  EXPECT_EQ(model->script.requests().size(), 1u);
  EXPECT_EQ(charged("team:team").money, to_nano(0.25));
  // Without max_tokens it gets a bound, and is told.
  model->script.say(billed_turn({"fine"}));
  reply = ask(*m, request("x"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(model->script.requests().at(1).max_tokens, 100u);
  EXPECT_THAT(reply->notes, ElementsAre(HasSubstr("max_tokens: set to 100")));
  EXPECT_EQ(sums().remote.cost, to_nano(0.5));
  EXPECT_EQ(sums().failed, 1);
}

TEST_F(MemberTest, ACallThatBreaksOffIsChargedWhatItCanHaveCost) {
  budget({.all = Limit{"", {}, {}, to_nano(10)}, .teams = {}, .keys = {}});
  auto broken = billed_turn({"0123456789"});
  broken.error = Error{Code::kUnavailable, "cut"};
  model->script.say(broken);
  auto m = whole();
  EXPECT_FALSE(ask(*m, request("x", 1000)));
  SumRow sum = sums();
  EXPECT_EQ(sum.estimated, 1);
  EXPECT_EQ(sum.remote.completion_tokens, 74);  // ten bytes, and 64 on their way
  EXPECT_EQ(charged("all").money, sum.remote.cost);
  EXPECT_GT(sum.remote.cost, to_nano(0.074));
  auto refused = billed_turn({});
  refused.error = Error{Code::kUnavailable, "503"};
  model->script.say(refused);
  EXPECT_FALSE(ask(*m, request("x", 1000)));
  EXPECT_EQ(sums().remote.cost, sum.remote.cost);  // nothing came: nothing was billed
}

TEST_F(MemberTest, AnAnswerWithoutUsageIsEstimated) {
  budget({});
  model->script.say(billed_turn({"four"}, {0, 0}, 0));
  auto reply = ask(*whole(), request("x"));
  ASSERT_TRUE(reply);
  EXPECT_GT(reply->cost, 0);
  EXPECT_EQ(sums().estimated, 1);
  EXPECT_EQ(sums().remote.completion_tokens, 4);
}

TEST_F(MemberTest, AnAnswerThatRunsOnPastItsBoundIsCutOff) {
  budget({.all = Limit{"", {}, {}, to_nano(1)}, .teams = {}, .keys = {}});
  model->script.say(billed_turn(std::vector<std::string>(100, std::string(100, 'x'))));
  auto reply = ask(*whole(), request("x", 5));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kQuota);
  EXPECT_LE(streamed.size(), 5u * 64 + 4096);
}

TEST_F(MemberTest, RemoteCallsOfAKeyAreCountedAndEachKeyHasItsOwn) {
  budget({.all = {}, .teams = {}, .keys = {{"ci", {"", {}, 2, {}}}}});
  auto m = whole();
  for (int i = 0; i < 4; ++i) model->script.say(billed_turn({"y"}));
  EXPECT_TRUE(ask(*m, request("x")));
  EXPECT_TRUE(ask(*m, request("x")));
  EXPECT_EQ(ask(*m, request("x")).error().code, Code::kQuota);
  Request other = request("x");
  other.caller = "ann";
  EXPECT_TRUE(ask(*m, other));
  EXPECT_EQ(charged("key:ci").remote_calls, 2);
}

TEST_F(MemberTest, TheAuditLogHasTheCallBeforeAndTheRequestAfterAndNoText) {
  policy.egress = Egress::kRedact;
  budget({});
  model->script.say(billed_turn({"secret answer"}));
  ASSERT_TRUE(ask(*whole(), request("secret question of ann@x.de")));
  std::string log = audit();
  size_t egress = log.find(R"("type":"egress")"), done = log.find(R"("type":"request")");
  ASSERT_NE(egress, std::string::npos);
  ASSERT_NE(done, std::string::npos);
  EXPECT_LT(egress, done);
  EXPECT_THAT(log, HasSubstr(R"("replaced":{"EMAIL":1})"));
  EXPECT_THAT(log, Not(HasSubstr("secret")));
  EXPECT_THAT(log, Not(HasSubstr("ann@")));
  auto check = verify_audit(folder + "/audit.jsonl");
  EXPECT_TRUE(check->findings.empty());
  EXPECT_EQ(check->lines, 3);
}

TEST_F(MemberTest, ManyAtOnceStayWithinTheBudget) {
  budget({.all = Limit{"", {}, {}, to_nano(1.0)}, .teams = {}, .keys = {}});
  auto m = whole();
  boost::asio::io_context io{1};
  int answered = 0, refused = 0;
  for (int i = 0; i < 40; ++i) {
    auto t = billed_turn({"y"}, {10, 50}, 0.05);
    t.delay = std::chrono::milliseconds(20);
    model->script.say(t);
  }
  Request r = request("x", 50);  // costs 0.0501 at most, a little more by its prompt
  for (int i = 0; i < 40; ++i) {
    boost::asio::co_spawn(io, m->generate(r, {}), [&](std::exception_ptr, Result<Reply> reply) {
      ++(reply ? answered : refused);
      if (!reply) {
        EXPECT_EQ(reply.error().code, Code::kQuota);
      }
    });
  }
  io.run();
  EXPECT_EQ(answered + refused, 40);
  EXPECT_GE(answered, 19);
  EXPECT_LE(answered, 20);
  EXPECT_LE(charged("all").money, to_nano(1.0));
  EXPECT_EQ(charged("all").money, sums().remote.cost);
}

}  // namespace
}  // namespace bantam::collab
