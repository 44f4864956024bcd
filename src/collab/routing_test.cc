#include "collab/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/rng.h"
#include "chat/scripted.h"
#include "collab/routing/conversations.h"
#include "collab/routing/evaluate.h"
#include "collab/routing/minimize.h"

namespace bantam::collab {
namespace {

using chat::Request;
using chat::ScriptedModel;
using chat::ScriptedTurn;
using routing::choose;
using routing::cross_validate;
using routing::DataOptions;
using routing::Dataset;
using routing::Example;
using routing::extract;
using routing::Features;
using routing::GradedRow;
using routing::load_graded;
using routing::minimize;
using routing::OperatingPoint;
using routing::pair_figures;
using routing::PairFigures;
using routing::Policy;
using routing::price_for_budget;
using routing::price_for_quality;
using routing::Query;
using routing::Router;
using routing::Row;
using testing::HasSubstr;

/// Requests of two kinds: sums, which only the large model can do, and greetings, which both can.
Dataset world(size_t n, bool costs = true) {
  Dataset out{{"small", "large"}, {}};
  Rng rng(1);
  const char* names[] = {"Ann", "Bob", "Cem", "Dora", "Eve", "Finn"};
  for (size_t i = 0; i < n; ++i) {
    Example e;
    const bool sum = rng.chance(0.5);
    e.query.text =
        sum ? fmt::format("What is {} plus {} times {}?", rng.below(900), rng.below(90), rng.below(9))
            : fmt::format("Say hello to {} and to {}", names[rng.below(6)], names[rng.below(6)]);
    e.quality = {rng.chance(sum ? 0.1 : 0.95) ? 1.0f : 0.0f, rng.chance(0.95) ? 1.0f : 0.0f};
    e.cost = costs ? std::vector<float>{0.001f, 0.02f} : std::vector<float>{NAN, NAN};
    out.examples.push_back(std::move(e));
  }
  return out;
}

struct Learned {
  Dataset data;
  std::vector<Row> rows;
  std::vector<GradedRow> graded;
  std::vector<std::vector<float>> costs;
  explicit Learned(Dataset d) : data(std::move(d)) {
    for (const Example& e : data.examples) {
      rows.push_back({&e.query, extract(e.query)});
      costs.push_back(e.cost);
    }
    for (size_t i = 0; i < rows.size(); ++i) graded.push_back({&rows[i], data.examples[i].quality});
  }
  Router router() const { return Router::train(graded, costs, data.models, {}).value(); }
};

Query text(std::string t) {
  Query q;
  q.text = std::move(t);
  return q;
}

TEST(Features, AnyBytesWillDoAndCaseDoesNotCount) {
  EXPECT_TRUE(extract(text("")).words.empty());
  std::string bytes;
  for (int i = 0; i < 512; ++i) bytes += static_cast<char>(i * 7);
  extract(text(bytes));
  const auto a = extract(text("Hello World")), b = extract(text("hello, world"));
  ASSERT_EQ(a.words.size(), 4u);  // two words, the pair, and the first one after nothing
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(a.words[i].hash, b.words[i].hash);
  for (size_t i = 1; i < a.letters.size(); ++i) EXPECT_LT(a.letters[i - 1].hash, a.letters[i].hash);
  for (float value : extract(text("x = \\frac{1}{2};\n```A. b```? 17.5 %")).lexical)
    EXPECT_TRUE(std::isfinite(value));
}

TEST(Minimize, FindsTheBottomOfRosenbrocksValley) {
  const auto found = minimize(
      [](std::span<const double> x, std::span<double> g) {
        const double a = 1 - x[0], b = x[1] - x[0] * x[0];
        g[0] = -2 * a - 400 * x[0] * b;
        g[1] = 200 * b;
        return a * a + 100 * b * b;
      },
      {-1.2, 1}, 200, 1e-9);
  EXPECT_NEAR(found[0], 1, 1e-4);
  EXPECT_NEAR(found[1], 1, 1e-4);
}

TEST(Choose, FollowsThePolicy) {
  const std::vector<float> quality{0.6f, 0.8f, 0.9f};
  const std::vector<double> cost{1, 2, 10};
  EXPECT_EQ(choose(quality, cost, {Policy::Kind::kQuality, 0.7}), 1u);
  EXPECT_EQ(choose(quality, cost, {Policy::Kind::kQuality, 0.95}), 2u);
  EXPECT_EQ(choose(quality, cost, {Policy::Kind::kPrice, 0}), 0u);
  EXPECT_EQ(choose(quality, cost, {Policy::Kind::kPrice, 10}), 1u);
  EXPECT_EQ(choose(quality, cost, {Policy::Kind::kPrice, 1000}), 2u);
  const std::vector<OperatingPoint> curve{{0, 0.6, 1}, {10, 0.8, 2}, {1000, 0.9, 10}};
  EXPECT_EQ(price_for_quality(curve, 0.7), 10);
  EXPECT_EQ(price_for_quality(curve, 0.99), 1000);
  EXPECT_EQ(price_for_budget(curve, 5), 10);
  EXPECT_FALSE(price_for_budget(curve, 0.5));
}

TEST(PairFigures, OfKnownOrders) {
  // The strong model gains on the first half only.
  std::vector<float> weak(100, 1), strong(100, 1);
  std::vector<double> score(100);
  for (size_t i = 0; i < 100; ++i) {
    weak[i] = i < 50 ? 0 : 1;
    score[i] = -static_cast<double>(i);
  }
  const auto best = pair_figures(score, weak, strong, 1, 200);
  EXPECT_NEAR(best.apgr.value, 0.75, 1e-9);
  EXPECT_NEAR(best.cpt50.value, 0.25, 1e-9);
  EXPECT_NEAR(best.cpt80.value, 0.40, 1e-9);
  EXPECT_LT(best.apgr.interval.low, 0.75);
  EXPECT_GT(best.apgr.interval.high, 0.75);
  for (double& s : score) s = -s;
  EXPECT_NEAR(pair_figures(score, weak, strong, 1, 10).apgr.value, 0.25, 1e-9);
}

TEST(Router, LearnsWhatEachModelCanDo) {
  const Learned learned(world(400));
  const Router router = learned.router();
  const auto sum = router.predict(text("What is 12 plus 5 times 3?"));
  const auto hello = router.predict(text("Say hello to Eve and to Ann"));
  EXPECT_LT(sum[0], 0.35);
  EXPECT_GT(sum[1], 0.8);
  EXPECT_GT(hello[0], 0.8);
  ASSERT_FALSE(router.curve().empty());
  EXPECT_LT(router.curve().front().cost, router.curve().back().cost);
  const std::vector<double> cost{router.models()[0].cost, router.models()[1].cost};
  EXPECT_EQ(choose(sum, cost, {Policy::Kind::kQuality, 0.75}), 1u);
  EXPECT_EQ(choose(hello, cost, {Policy::Kind::kQuality, 0.75}), 0u);
}

TEST(Router, CrossValidationSeesEachRequestOnceAndBeatsRandom) {
  const Learned learned(world(400));
  std::vector<double> score(400, -1);
  std::vector<float> weak, strong;
  ASSERT_TRUE(cross_validate(learned.graded, learned.costs, learned.data.models, 4, {},
                             [&](const Router& router, std::span<const size_t> held) {
                               for (size_t i : held) {
                                 EXPECT_EQ(score[i], -1);
                                 const auto q = router.predict(learned.rows[i]);
                                 score[i] = 2 + q[1] - q[0];
                               }
                             }));
  for (const auto& row : learned.graded) {
    weak.push_back(row.quality[0]);
    strong.push_back(row.quality[1]);
  }
  EXPECT_GT(*std::min_element(score.begin(), score.end()), 0);
  EXPECT_GT(pair_figures(score, weak, strong, 1, 300).apgr.interval.low, 0.6);
}

TEST(Router, SaysSoWhereThereIsTooLittleToLearnFrom) {
  const Learned few(world(30));
  EXPECT_THAT(Router::train(few.graded, few.costs, few.data.models, {}).error().message,
              HasSubstr("at least 40"));
  Dataset ungraded = world(60);
  for (auto& e : ungraded.examples) e.quality[0] = NAN;
  const Learned blind(std::move(ungraded));
  EXPECT_THAT(Router::train(blind.graded, blind.costs, blind.data.models, {}).error().message,
              HasSubstr("no grade of model 'small'"));
}

struct RouterFolder {
  std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / fmt::format("bantam-route-{}", ::getpid());
  RouterFolder() { std::filesystem::create_directories(path); }
  ~RouterFolder() { std::filesystem::remove_all(path); }
  std::string write(const char* name, std::string_view content) const {
    const std::string file = path / name;
    EXPECT_TRUE(write_file(file, content));
    return file;
  }
};

TEST(Router, TheFilePredictsTheSameAndBrokenOnesAreRefused) {
  const RouterFolder folder;
  const std::string path = folder.path / "router.gguf";
  const Router router = Learned(world(200)).router();
  ASSERT_TRUE(router.save(path));
  const auto loaded = Router::load(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (const char* t : {"What is 1 plus 2 times 3?", "Say hello", ""}) {
    const auto a = router.predict(text(t)), b = loaded->predict(text(t));
    for (size_t m = 0; m < 2; ++m) EXPECT_NEAR(a[m], b[m], 1e-5) << t;
  }
  EXPECT_EQ(loaded->curve().size(), router.curve().size());
  EXPECT_EQ(loaded->models()[1].name, "large");
  // A field at a time made wrong.
  const auto harmed = [&](const std::function<void(formats::GgufWriter&)>& harm) {
    const auto file = formats::GgufFile::open(path).value();
    formats::GgufWriter writer;
    writer.copy_metadata(file);
    for (const auto& t : file.tensors()) {
      EXPECT_TRUE(writer.add_tensor(t.name, t.type, t.shape, file.data(t)));
    }
    harm(writer);
    const std::string broken = folder.path / "broken.gguf";
    EXPECT_TRUE(writer.write(broken));
    return Router::load(broken);
  };
  EXPECT_TRUE(harmed([](auto&) {}));
  EXPECT_FALSE(harmed([](auto& w) { w.set("router.linear.words", uint32_t{12345}); }));
  EXPECT_FALSE(harmed([](auto& w) { w.set("router.linear.words", uint32_t{1} << 20); }));
  EXPECT_FALSE(harmed([](auto& w) { w.set("router.vectors.dimensions", uint32_t{0}); }));
  EXPECT_FALSE(harmed([](auto& w) { w.set("router.factors.rank", uint32_t{200}); }));
  EXPECT_FALSE(harmed([](auto& w) { w.set("router.neighbours.k", uint32_t{0}); }));
  EXPECT_FALSE(harmed([](auto& w) { w.set("router.version", uint32_t{9}); }));
  EXPECT_FALSE(harmed([](auto& w) {
    w.set("router.models", formats::GgufArray(std::vector<std::string>{"a", "b", "c"}));
  }));
  EXPECT_FALSE(harmed([](auto& w) {
    w.set("router.weights", formats::GgufArray(std::vector<float>{NAN, 1, 1, 1, 1, 1}));
  }));
}

TEST(GradedAnswers, FromTablesAndFromALog) {
  const RouterFolder folder;
  const auto csv = folder.write("a.csv", "prompt,small,large,note\nhi,True,1,x\nho,False,,y\n");
  auto data = load_graded({.data = csv, .models = {}, .texts = {}, .outputs = {}, .prices = {}});
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_EQ(data->models, (std::vector<std::string>{"small", "large"}));
  EXPECT_EQ(data->examples[1].quality[0], 0);
  EXPECT_TRUE(std::isnan(data->examples[1].quality[1]));
  const auto log = folder.write(
      "a.jsonl",
      "{\"messages\": [{\"role\": \"system\", \"content\": \"be brief\"}, {\"role\": \"user\", "
      "\"content\": \"hi\"}], \"quality\": {\"small\": 8}, \"cost\": {\"small\": 0.5}, \"tools\": [{}]}\n"
      "{\"prompt\": \"ho\", \"quality\": {\"large\": 10}}\n");
  DataOptions options;
  options.data = log;
  options.scale = 10;
  data = load_graded(options);
  ASSERT_TRUE(data) << data.error().message;
  EXPECT_FLOAT_EQ(data->examples[0].quality[0], 0.8f);
  EXPECT_EQ(data->examples[0].query.system, "be brief");
  EXPECT_EQ(data->examples[0].query.tools, 1u);
  EXPECT_EQ(data->examples[0].cost[0], 0.5f);
  EXPECT_TRUE(std::isnan(data->examples[1].quality[0]));
  options.scale = 1;
  EXPECT_THAT(load_graded(options).error().message, HasSubstr("line 1"));
}

TEST(GradedAnswers, JoinsTextsOutputsAndPrices) {
  const RouterFolder folder;
  DataOptions options;
  options.data = folder.write("c.csv", "id,small,large,other\nq1,1,1,0\nq2,-1,1,1\n");
  options.input = "id";
  options.texts = folder.write(
      "t.jsonl", "{\"id\": \"q1\", \"question\": \"12345678\"}\n{\"id\": \"q2\", \"question\": \"x\"}\n");
  options.text = "question";
  options.outputs = folder.write("o.jsonl", "{\"id\": \"q1\", \"model\": \"large\", \"output\": \"abcd\"}\n");
  options.prices = folder.write("p.toml",
                                "[[models]]\nname = \"small\"\nprompt = 1\ncompletion = 2\n"
                                "[[models]]\nname = \"large\"\nprompt = 10\ncompletion = 20\n");
  const auto data = load_graded(options);
  ASSERT_TRUE(data) << data.error().message;
  ASSERT_EQ(data->models, (std::vector<std::string>{"large", "small"}));
  EXPECT_EQ(data->examples[0].query.text, "12345678");
  EXPECT_FLOAT_EQ(data->examples[0].cost[0], 40e-6f);
  EXPECT_EQ(data->examples[1].quality[1], 0) << "below 0 counts as 0";
}

TEST(Conversations, AreBoundedAndExpire) {
  routing::Conversations table(2, std::chrono::seconds(10));
  const auto t = routing::Conversations::Clock::now();
  table.put("a", {1, 0}, t);
  table.put("b", {2, 0}, t);
  EXPECT_EQ(table.find("a", t)->model, 1u);
  table.put("c", {3, 0}, t);  // b was unused for longest
  EXPECT_FALSE(table.find("b", t));
  EXPECT_EQ(table.size(), 2u);
  EXPECT_FALSE(table.find("a", t + std::chrono::seconds(11)));
  EXPECT_EQ(table.find("c", t + std::chrono::seconds(10))->model, 3u);
}

struct RoutedTeam {
  std::shared_ptr<ScriptedModel> small = std::make_shared<ScriptedModel>("small");
  std::shared_ptr<ScriptedModel> large = std::make_shared<ScriptedModel>("large");
  std::shared_ptr<chat::ChatModel> model;
  explicit RoutedTeam(RoutingOptions options) {
    options.name = "team";
    auto made = make_routing({small, large}, std::move(options));
    EXPECT_TRUE(made) << made.error().message;
    if (made) model = *made;
  }
  /// Who answers the request.
  std::string ask(const Request& request) {
    for (auto* m : {small.get(), large.get()}) {
      ScriptedTurn turn;
      turn.parts = {"fine"};
      m->say(std::move(turn));
    }
    const size_t before = small->requests().size();
    auto reply = chat::wait(model->generate(request, {}));
    EXPECT_TRUE(reply) << reply.error().message;
    EXPECT_THAT(reply->notes.back(), HasSubstr("routing: "));
    return small->requests().size() > before ? "small" : "large";
  }
};

Request conversation(std::vector<std::string> turns) {
  Request out;
  for (size_t i = 0; i < turns.size(); ++i) out.messages.push_back({i % 2 ? "assistant" : "user", turns[i]});
  return out;
}

RoutingOptions learned_options() {
  static const auto router = std::make_shared<const Router>(Learned(world(400)).router());
  RoutingOptions options;
  options.router = router;
  options.policy = {Policy::Kind::kQuality, 0.75};
  return options;
}

TEST(Routing, TheRouterDecidesAndAConversationStaysUntilItsTaskChanges) {
  RoutedTeam team(learned_options());
  EXPECT_EQ(team.ask(conversation({"Say hello to Ann and to Eve"})), "small");
  EXPECT_EQ(team.ask(conversation({"What is 5 plus 7 times 2?"})), "large");
  // The dear one stays where the cheap one would do,
  EXPECT_EQ(team.ask(conversation({"What is 5 plus 7 times 2?", "19", "Say hello to Ann and to Eve"})),
            "large");
  // and the cheap one goes where it is expected to fail.
  EXPECT_EQ(team.ask(conversation({"Say hello to Ann and to Eve", "Hello!", "Say hello to Bob and to Ann"})),
            "small");
  EXPECT_EQ(team.ask(conversation({"Say hello to Ann and to Eve", "Hello!", "What is 5 plus 7 times 2?"})),
            "large");
  // By its id, whatever the messages say.
  Request request = conversation({"What is 8 plus 8 times 8?"});
  request.conversation = "c1";
  EXPECT_EQ(team.ask(request), "large");
  request.messages = conversation({"Say hello to Ann and to Eve"}).messages;
  EXPECT_EQ(team.ask(request), "large");
  // New needs are a new task.
  request.tools.push_back({"search"});
  EXPECT_EQ(team.ask(request), "small");
}

TEST(Routing, ManyThreadsAtOnce) {
  RoutedTeam team(learned_options());
  constexpr int kThreads = 4, kRequests = 100;
  for (auto* m : {team.small.get(), team.large.get()}) {
    for (int i = 0; i < kThreads * kRequests; ++i) {
      ScriptedTurn turn;
      turn.parts = {"fine"};
      m->say(std::move(turn));
    }
  }
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      Request request = conversation({"Say hello to Ann and to Eve"});
      for (int i = 0; i < kRequests; ++i) {
        request.conversation = fmt::format("c{}", i);
        EXPECT_TRUE(chat::wait(team.model->generate(request, {})));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(team.small->requests().size(), size_t{kThreads * kRequests});
}

TEST(Routing, RulesComeFirst) {
  RoutingOptions options;
  options.rules.push_back({.model = "small", .contains = {"refund", "invoice"}, .max_bytes = 100});
  options.rules.push_back({.model = "small", .tools = true});
  options.otherwise = "large";
  RoutedTeam team(options);
  EXPECT_EQ(team.ask(conversation({"where is my REFUND?"})), "small");
  EXPECT_EQ(team.ask(conversation({"a refund " + std::string(100, 'x')})), "large");
  Request tools = conversation({"find it"});
  tools.tools.push_back({"search"});
  EXPECT_EQ(team.ask(tools), "small");
  EXPECT_EQ(team.ask(conversation({"a refund " + std::string(100, 'x'), "why?", "the invoice"})), "large")
      << "too long";
}

TEST(Routing, FallsBackUnlessToldOtherwiseOrTextWasSent) {
  RoutingOptions options;
  options.rules.push_back({.model = "small", .max_bytes = 1000});
  const auto fails = [&](bool fall_back, std::vector<std::string> parts) {
    options.fall_back = fall_back;
    options.name = "team";
    auto small = std::make_shared<ScriptedModel>("small"), large = std::make_shared<ScriptedModel>("large");
    auto team = *make_routing({small, large}, options);
    ScriptedTurn broken, fine;
    broken.parts = std::move(parts);
    broken.error = Error{Code::kUnavailable, "the line is down"};
    fine.parts = {"fine"};
    small->say(broken);
    large->say(fine);
    auto sink = [](chat::Event) -> chat::Awaitable<bool> { co_return true; };
    return chat::wait(team->generate(conversation({"hi"}), sink));
  };
  const auto saved = fails(true, {});
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->text, "fine");
  ASSERT_EQ(saved->steps.size(), 2u);
  EXPECT_EQ(saved->steps[0].outcome, "failed: the line is down");
  EXPECT_FALSE(fails(false, {}));
  EXPECT_FALSE(fails(true, {"half an"}));
}

TEST(Routing, RefusesWhatDoesNotFit) {
  auto small = std::make_shared<ScriptedModel>("small"), other = std::make_shared<ScriptedModel>("other");
  RoutingOptions options = learned_options();
  options.name = "team";
  EXPECT_THAT(make_routing({small, other}, options).error().message,
              HasSubstr("router: found no model 'large'"));
  options.router = nullptr;
  EXPECT_FALSE(make_routing({small}, options));
  EXPECT_FALSE(make_routing({small, nullptr}, options));
  options.rules.push_back({.model = "none"});
  EXPECT_THAT(make_routing({small, other}, options).error().message,
              HasSubstr("rules: found no model 'none'"));
}

}  // namespace
}  // namespace bantam::collab
