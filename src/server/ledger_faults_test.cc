// A ledger beside a remote API that counts what it is asked and what it bills, while every fault is made for
// real on its socket: calls, tokens and money are the same on both sides; where the API's figure was lost on
// the way the ledger has the most it can have been, and says so; and nothing is billed twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "collab/ledger.h"
#include "net/http_client.h"
#include "net/json.h"
#include "server/faults_for_test.h"
#include "server/server.h"

namespace bantam::server {
namespace {

using nlohmann::json;

constexpr chat::Prices kPrices{1, 4};
constexpr uint64_t kAnswered = 7;  // tokens of an answer that the API made and nobody got

/// What the API counts of one request. Its prompts have a token for every four bytes.
struct Bill {
  uint64_t prompt = 0, completion = 0;
};

struct Asked {
  bool stream = false;
  uint64_t prompt = 0;
  size_t earlier = 0;  // requests before this one
};

std::string usage(const Bill& b) {
  return fmt::format(R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}}})", b.prompt,
                     b.completion, b.prompt + b.completion);
}
/// An answer as it should be.
Bill answer(RawSocket& s, const Asked& asked, bool with_usage, std::string_view text = "refund") {
  Bill bill{asked.prompt, 2};
  std::string more = with_usage ? "," + usage(bill) : "";
  json content = std::string(text);
  if (!asked.stream) {
    s.send(whole("200 OK",
                 fmt::format(R"({{"choices":[{{"message":{{"content":{}}},"finish_reason":"stop"}}]{}}})",
                             content.dump(), more)));
    return bill;
  }
  s.send(kStream + kPiece + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
  if (with_usage) s.send("data: {\"choices\":[]" + more + "}\n\n");
  s.send("data: [DONE]\n\n");
  return bill;
}

enum class Known {
  kNothing,  // there is nothing to bill
  kExactly,  // the API told
  kAtMost,   // the API billed and could not tell
};

struct BilledFault {
  std::string name;
  Known known;
  std::function<Bill(RawSocket&, const Asked&)> serve;
  std::string url = {}, scheme = "http";
  std::string only = {};  // the one model that it is for; empty: all
};

std::vector<BilledFault> lost_on_the_way() {
  auto lost = [](const Asked& a) { return Bill{a.prompt, kAnswered}; };
  return {
      {"silence", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         undisturbed(s, 30s);
         return lost(a);
       }},
      {"a header of 1 byte/s", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         send_slowly(s, kStream, 1s);
         return lost(a);
       }},
      {"a body of 1 byte/s", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         s.send(a.stream ? kStream : header("200 OK", ""));
         send_slowly(s, a.stream ? kPiece : std::string(200, ' '), 1s);
         return lost(a);
       }},
      {"cut", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         s.send(a.stream ? kStream + kPiece : header("200 OK", "content-length: 1000\r\n") + "{\"choices\"");
         return lost(a);
       }},
      {"malformed events", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         s.send(kStream + kPiece + "data: {nonsense\n\n");
         return lost(a);
       }},
      {"an error within the stream", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         s.send(kStream + kPiece + "data: {\"error\":{\"message\":\"overloaded\"}}\n\n");
         return lost(a);
       }},
      {"endless", Known::kAtMost,
       [](RawSocket& s, const Asked& a) {
         Bill bill{a.prompt, 0};
         s.send(a.stream ? kStream : header("200 OK", ""));
         while (s.send(a.stream ? kPiece : " ")) {
           ++bill.completion;
           std::this_thread::sleep_for(5ms);
         }
         return bill;
       }},
      {"no JSON", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         s.send(whole("200 OK", "<html>"));
         return lost(a);
       }},
      {"JSON of something else", Known::kAtMost,
       [=](RawSocket& s, const Asked& a) {
         s.send(whole("200 OK", R"({"choices":[{"text":"x"}]})"));
         return lost(a);
       }},
      {"an answer without usage", Known::kAtMost,
       [](RawSocket& s, const Asked& a) { return answer(s, a, false); }},
  };
}

std::vector<BilledFault> billed_faults() {
  uint16_t closed = RawServer([](RawSocket&) {}).port();
  auto none = [](RawSocket&, const Asked&) { return Bill{}; };
  auto refuse = [](RawSocket& s, std::string_view status) {
    s.send(whole(status, "{}", "retry-after-ms: 1\r\n"));
    return Bill{};
  };
  std::vector<BilledFault> out{
      {"refused", Known::kNothing, none, fmt::format("http://127.0.0.1:{}/v1", closed)},
      {"no such host", Known::kNothing, none, "http://no-such-host.invalid/v1"},
      {"no TLS there", Known::kNothing, none, "", "https"},
      {"429", Known::kNothing,
       [=](RawSocket& s, const Asked&) { return refuse(s, "429 Too Many Requests"); }},
      {"500", Known::kNothing,
       [=](RawSocket& s, const Asked&) { return refuse(s, "500 Internal Server Error"); }},
      {"429, and then an answer", Known::kExactly,
       [=](RawSocket& s, const Asked& a) {
         return a.earlier == 0 ? refuse(s, "429 Too Many Requests") : answer(s, a, true);
       }},
      {"500, and then an answer", Known::kExactly,
       [=](RawSocket& s, const Asked& a) {
         return a.earlier == 0 ? refuse(s, "500 Internal Server Error") : answer(s, a, true);
       }},
      {"none", Known::kExactly, [](RawSocket& s, const Asked& a) { return answer(s, a, true); }},
      {"an answer that is none of the choices", Known::kExactly,
       [](RawSocket& s, const Asked& a) { return answer(s, a, true, "{\"answer\":\"no\"}"); }, "", "http",
       "kept"},
  };
  for (BilledFault& fault : lost_on_the_way()) out.push_back(std::move(fault));
  return out;
}

class Counted {
 public:
  explicit Counted(const BilledFault& fault) : api_([this, fault](RawSocket& s) { take(fault, s); }) {
    char name[] = "/tmp/bantam-counted-XXXXXX";
    folder_ = ::mkdtemp(name);
    ServerConfig config;
    config.port = 0;
    config.request_timeout = 2s;
    config.policy.ledger = folder_ + "/ledger.db";
    ModelConfig small, large;
    small.name = "small";
    small.path = random_task_model();
    small.threads = 1;
    large.name = "large";
    large.url =
        fault.url.empty() ? fmt::format("{}://127.0.0.1:{}/v1", fault.scheme, api_.port()) : fault.url;
    large.prices = kPrices;
    large.max_retries = 1;
    large.connect_timeout = 500ms;
    large.answer_timeout = large.read_timeout = 400ms;
    large.breaker.failures = 0;
    large.choices = chat::ChoiceMode::kPrompt;
    config.models = {small, large};
    TeamConfig team;
    team.name = "kept";
    team.slm = "small";
    team.llm = "large";
    team.of_strategy.threshold = 1;  // no answer of a random model is that sure
    config.teams = {team};
    auto server = Server::open(config);
    EXPECT_TRUE(server) << server.error().message;
    std::filesystem::remove(small.path);  // the map stays
    server_ = std::move(*server);
    client_ = *net::HttpClient::create();
    thread_ = std::jthread([this](std::stop_token stop) { EXPECT_TRUE(server_->run(stop)); });
  }
  ~Counted() {
    thread_ = {};
    std::filesystem::remove_all(folder_);
  }

  /// `leave_after`: bytes of the answer after which the client goes.
  void ask(std::string_view model, bool stream, size_t leave_after = SIZE_MAX) {
    reset();
    net::ClientRequest r;
    r.method = "POST";
    r.url = *net::parse_url(server_->url() + "/v1/chat/completions");
    r.body =
        fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"I want my money back"}}]{}}})",
                    model, stream ? R"(,"stream":true)" : "");
    size_t got = 0;
    r.on_body = [&](std::string_view piece) -> net::Awaitable<bool> {
      got += piece.size();
      co_return got < leave_after;
    };
    auto response = net::wait(client_->send(r));
    EXPECT_EQ(response.has_value(), leave_after == SIZE_MAX);
  }

  struct Row {
    int64_t calls = -1, prompt = 0, completion = 0, cost = 0, estimated = 0;
  };
  /// The newest row, once there are so many.
  Row row(size_t number) {
    for (int i = 0; i < 1000; ++i) {
      auto ledger = collab::Ledger::open_existing(folder_ + "/ledger.db");
      EXPECT_TRUE(ledger);
      auto rows = ledger->sql()(
          "SELECT remote_calls, remote_prompt, remote_completion, remote_cost, estimated FROM requests"
          " ORDER BY time DESC");
      EXPECT_TRUE(rows);
      if (rows && rows->size() == number) {
        const auto& r = rows->front();
        return {collab::whole_at(r, 0), collab::whole_at(r, 1), collab::whole_at(r, 2),
                collab::whole_at(r, 3), collab::whole_at(r, 4)};
      }
      std::this_thread::sleep_for(5ms);
    }
    ADD_FAILURE() << "no row " << number;
    return {};
  }

  /// What the API counted for the last request, once it has done with it.
  struct Count {
    size_t requests = 0, billed = 0;
    Bill bill;
  };
  Count count() {
    for (int i = 0; i < 1000 && serving_; ++i) std::this_thread::sleep_for(5ms);
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  void take(const BilledFault& fault, RawSocket& s) {
    serving_ = true;
    std::string request = s.read_request();
    size_t end = request.find("\r\n\r\n");
    if (end != std::string::npos) {  // it is HTTP at all
      Asked asked{request.find("\"stream\":true") != std::string::npos, (request.size() - end) / 4, 0};
      {
        std::lock_guard lock(mutex_);
        asked.earlier = count_.requests++;
      }
      Bill bill = fault.serve(s, asked);
      std::lock_guard lock(mutex_);
      count_.billed += bill.prompt > 0;
      count_.bill.prompt += bill.prompt;
      count_.bill.completion += bill.completion;
    }
    serving_ = false;
  }
  void reset() {
    std::lock_guard lock(mutex_);
    count_ = {};
  }

  std::string folder_;
  std::mutex mutex_;
  Count count_;
  std::atomic<bool> serving_{false};
  RawServer api_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<net::HttpClient> client_;
  std::jthread thread_;
};

void compare(const Counted::Row& row, const Counted::Count& api, Known known) {
  EXPECT_EQ(row.calls, static_cast<int64_t>(api.requests));
  EXPECT_EQ(api.billed, known == Known::kNothing ? 0U : 1U);  // never twice
  const auto prompt = static_cast<int64_t>(api.bill.prompt);
  const auto completion = static_cast<int64_t>(api.bill.completion);
  const int64_t cost = collab::to_nano(kPrices.of({api.bill.prompt, api.bill.completion}));
  if (known == Known::kAtMost) {
    EXPECT_GE(row.prompt, prompt);
    EXPECT_GE(row.completion, completion);
    EXPECT_GE(row.cost, cost);
    EXPECT_EQ(row.estimated, 1);
  } else {
    EXPECT_EQ(row.prompt, prompt);
    EXPECT_EQ(row.completion, completion);
    EXPECT_EQ(row.cost, cost);
    EXPECT_EQ(row.estimated, 0);
  }
}

TEST(LedgerFaults, TheLedgerHasWhatTheRemoteCounted) {
  for (const BilledFault& fault : billed_faults()) {
    Counted c(fault);
    size_t rows = 0;
    for (auto [model, stream] :
         {std::pair("kept", false), std::pair("large", true), std::pair("large", false)}) {
      if (!fault.only.empty() && fault.only != model) continue;
      SCOPED_TRACE(fmt::format("{}, {}{}", fault.name, model, stream ? " streamed" : ""));
      c.ask(model, stream);
      auto api = c.count();
      compare(c.row(++rows), api, fault.known);
    }
  }
}

TEST(LedgerFaults, AClientThatLeavesIsChargedWhatTheRemoteMade) {
  BilledFault endless{"endless", Known::kAtMost, [](RawSocket& s, const Asked& a) {
                        Bill bill{a.prompt, 0};
                        s.send(kStream);
                        for (; s.send(kPiece); ++bill.completion) std::this_thread::sleep_for(1ms);
                        return bill;
                      }};
  Counted c(endless);
  c.ask("large", /*stream=*/true, /*leave_after=*/2000);
  auto row = c.row(1);
  compare(row, c.count(), Known::kAtMost);
}

}  // namespace
}  // namespace bantam::server
