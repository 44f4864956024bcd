#include "runtime/sequence.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "runtime/drafter.h"
#include "runtime/random_engine_for_test.h"
#include "runtime/scheduler.h"

namespace bantam::runtime {
namespace {

model::Config shape(uint32_t dim, uint32_t layers) {
  model::Config config;
  config.vocab_size = 300;
  config.context_length = 256;
  config.dim = dim;
  config.layers = layers;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = dim / 4;
  config.ffn_dim = 2 * dim;
  config.tied_head = true;
  return config;
}

std::shared_ptr<const Engine> engine(uint32_t dim, uint32_t layers, uint64_t seed,
                                     EngineOptions options = {.threads = 1}) {
  return random_engine(
      {.config = shape(dim, layers), .type = tensor::DType::kQ8_0, .seed = seed, .options = options});
}

std::vector<TokenId> tokens_of(const Engine& engine, std::string_view text) {
  return *engine.tokenizer().encode(text);
}

/// A drafter that is right about some tokens and wrong about others.
class Recorded final : public Drafter {
 public:
  Recorded(std::vector<TokenId> truth, uint64_t seed) : truth_(std::move(truth)), rng_(seed) {}
  void propose(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) override {
    out.clear();
    for (size_t i = tokens.size(); i < truth_.size() && out.size() < most; ++i) {
      out.push_back(rng_.chance(0.8) ? truth_[i] : static_cast<TokenId>(rng_.below(300)));
    }
  }

 private:
  std::vector<TokenId> truth_;
  Rng rng_;
};

TEST(Speculative, TheTextIsTheSameWithAnyDrafter) {
  const auto large = engine(64, 2, 1), small = engine(32, 1, 2);
  const auto prompt = tokens_of(*large, "the quick brown fox the quick brown");
  const SamplingOptions samplings[] = {
      {},
      {.temperature = 0.7F, .seed = 3},
      {.temperature = 1, .top_k = 20, .top_p = 0.9F, .seed = 4},
      {.temperature = 1, .presence_penalty = 1, .dry_multiplier = 0.8F, .seed = 5},
      {.temperature = 1, .mirostat = 2, .seed = 6}};
  for (const auto& sampling : samplings) {
    GenerateOptions options{.sampling = sampling, .max_tokens = 90, .ignore_end = true, .top_logprobs = 2};
    const auto plain = (*large->new_session())->generate(prompt, options);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->drafted, 0U);
    auto truth = prompt;
    truth.insert(truth.end(), plain->tokens.begin(), plain->tokens.end());
    std::shared_ptr<Drafter> drafters[] = {make_prompt_lookup(), *make_draft_model(small, *large),
                                           std::make_shared<Recorded>(truth, 7),
                                           *make_draft_model(large, *large)};
    for (size_t i = 0; i < std::size(drafters); ++i) {
      options.drafter = drafters[i];
      const auto found = (*large->new_session())->generate(prompt, options);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->tokens, plain->tokens) << i;
      EXPECT_EQ(found->text, plain->text);
      ASSERT_EQ(found->logprobs.size(), plain->logprobs.size());
      for (size_t t = 0; t < plain->logprobs.size(); ++t) {
        EXPECT_EQ(found->logprobs[t].logprob, plain->logprobs[t].logprob);
      }
      if (i == 2) {
        EXPECT_GT(found->kept, 30U);
      }
      if (i == 3 && sampling.temperature == 0) {
        EXPECT_EQ(found->kept, found->drafted);
      }
    }
  }
}

TEST(Speculative, EndsWhereItWouldWithout) {
  const auto large = engine(64, 2, 1);
  const auto prompt = tokens_of(*large, std::string(150, 'x'));
  for (uint32_t most : {1U, 2U, 5U, 1000U}) {
    GenerateOptions options{.max_tokens = most, .ignore_end = true};
    const auto plain = (*large->new_session())->generate(prompt, options);
    ASSERT_TRUE(plain);
    auto truth = prompt;
    truth.insert(truth.end(), plain->tokens.begin(), plain->tokens.end());
    truth.resize(truth.size() + 50, 5);
    options.drafter = std::make_shared<Recorded>(truth, 1);
    const auto found = (*large->new_session())->generate(prompt, options);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->tokens, plain->tokens);
    EXPECT_EQ(found->finish, Finish::kLength);
  }
  const auto other = engine(32, 1, 2);
  EXPECT_TRUE(make_draft_model(other, *large));
}

TEST(Speculative, SampledTokensFollowTheModelsDistribution) {
  // The second token of many short answers, with a drafter that always proposes the likeliest: chi-square
  // against the answers without, over the tokens that are frequent enough.
  const auto large = engine(32, 1, 1);
  const auto prompt = tokens_of(*large, "the");
  std::vector<double> with(300), without(300);
  constexpr int kDraws = 4000;
  auto session = *large->new_session();
  for (int i = 0; i < kDraws; ++i) {
    GenerateOptions options{.sampling = {.temperature = 0.5F}, .max_tokens = 3, .ignore_end = true};
    options.sampling.seed = static_cast<uint64_t>(i);
    without[static_cast<size_t>(session->generate(prompt, options)->tokens[1])] += 1;
    options.sampling.seed = static_cast<uint64_t>(kDraws + i);
    options.drafter = *make_draft_model(large, *large);
    with[static_cast<size_t>(session->generate(prompt, options)->tokens[1])] += 1;
  }
  double statistic = 0, rare_with = 0, rare_without = 0;
  int cells = 0;
  for (size_t t = 0; t < 300; ++t) {
    if (with[t] + without[t] < 20) {
      rare_with += with[t];
      rare_without += without[t];
      continue;
    }
    statistic += (with[t] - without[t]) * (with[t] - without[t]) / (with[t] + without[t]);
    ++cells;
  }
  if (rare_with + rare_without > 0) {
    statistic += (rare_with - rare_without) * (rare_with - rare_without) / (rare_with + rare_without);
  }
  // Mean `cells`, variance 2 * cells: five deviations.
  EXPECT_LT(statistic, cells + 5 * std::sqrt(2.0 * cells + 2));
}

TEST(Constrained, EveryTextIsOfItsSchemaOrSaysLength) {
  const auto model = engine(32, 1, 3);
  const char* schema = R"({"type":"object","properties":{"name":{"type":"string","maxLength":8},
      "size":{"enum":["s","m","l"]},"n":{"type":"integer","minimum":0,"maximum":99}},"required":["name","size","n"],
      "additionalProperties":false})";
  const auto grammar = Grammar::json_schema(schema, model->vocabulary());
  ASSERT_TRUE(grammar) << grammar.error().message;
  const auto prompt = tokens_of(*model, "the quick brown");
  auto session = *model->new_session();
  int whole = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    GenerateOptions options{.sampling = {.temperature = seed % 3 == 0 ? 0.0F : 1.0F, .seed = seed},
                            .max_tokens = 70};
    options.grammar = *grammar;
    if (seed % 2 == 1) options.drafter = make_prompt_lookup();
    const auto found = session->generate(prompt, options);
    ASSERT_TRUE(found) << found.error().message;
    if (found->finish == Finish::kLength) continue;
    ++whole;
    const auto json = nlohmann::json::parse(found->text, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << found->text;
    EXPECT_EQ(json.size(), 3U);
    EXPECT_TRUE(json["n"].is_number_integer() && json["n"] >= 0 && json["n"] <= 99);
    EXPECT_TRUE(json["size"] == "s" || json["size"] == "m" || json["size"] == "l");
    EXPECT_TRUE(json["name"].is_string());
  }
  EXPECT_GT(whole, 10);
}

// Many at once.

std::vector<Generation> alone(const Engine& engine, const std::vector<std::vector<TokenId>>& prompts,
                              const std::vector<GenerateOptions>& options) {
  std::vector<Generation> out;
  for (size_t i = 0; i < prompts.size(); ++i)
    out.push_back(*(*engine.new_session())->generate(prompts[i], options[i]));
  return out;
}

TEST(Scheduler, WhatRunsBesideChangesNothing) {
  const auto model = engine(64, 2, 1, {.threads = 2, .batch = 32});
  Rng rng(1);
  std::vector<std::vector<TokenId>> prompts;
  std::vector<GenerateOptions> options;
  for (size_t i = 0; i < 14; ++i) {
    prompts.emplace_back();
    for (size_t n = 1 + rng.below(i % 3 == 0 ? 120 : 20); n > 0; --n) {
      prompts.back().push_back(static_cast<TokenId>(2 + rng.below(250)));
    }
    if (i > 9) prompts.back() = prompts[i - 9];  // a shared beginning
    options.push_back({.sampling = {.temperature = i % 2 == 0 ? 0.0F : 0.8F, .seed = i},
                       .max_tokens = static_cast<uint32_t>(5 + rng.below(60)),
                       .ignore_end = true});
    if (i % 4 == 1) options.back().drafter = make_prompt_lookup();
  }
  const auto expected = alone(*model, prompts, options);
  Scheduler scheduler(model, {.sequences = 6});
  std::vector<std::optional<Result<Generation>>> found(prompts.size());
  std::vector<std::string> streamed(prompts.size());
  std::mutex mutex;
  std::condition_variable arrived;
  size_t count = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    auto its = options[i];
    its.on_text = [&streamed, i](std::string_view text) {
      streamed[i] += text;
      return true;
    };
    const auto ticket = scheduler.generate(prompts[i], std::move(its), [&, i](Result<Generation> result) {
      std::lock_guard lock(mutex);
      found[i] = std::move(result);
      ++count;
      arrived.notify_one();
    });
    ASSERT_TRUE(ticket);
  }
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return count == prompts.size(); });
  for (size_t i = 0; i < prompts.size(); ++i) {
    ASSERT_TRUE(*found[i]) << found[i]->error().message;
    EXPECT_EQ((*found[i])->tokens, expected[i].tokens) << i;
    EXPECT_EQ((*found[i])->text, expected[i].text);
    EXPECT_EQ(streamed[i], expected[i].text);
    EXPECT_EQ((*found[i])->finish, expected[i].finish);
  }
}

TEST(Scheduler, RefusesEndsAndWithdraws) {
  const auto model = engine(64, 2, 1);
  Scheduler scheduler(model, {.sequences = 1, .waiting = 1});
  std::atomic<int> ended{0}, cancelled{0};
  std::stop_source stop;
  const auto count = [&](Result<Generation> result) {
    if (result && result->finish == Finish::kCancelled) ++cancelled;
    ++ended;
  };
  std::atomic<bool> held{true};
  GenerateOptions slow{.max_tokens = 200, .ignore_end = true};
  slow.cancel = stop.get_token();
  slow.paused = [&] { return held.load(); };
  const auto prompt = tokens_of(*model, "the quick");
  ASSERT_TRUE(scheduler.generate(prompt, slow, count));
  while (scheduler.load().running == 0) std::this_thread::yield();
  const auto waiting = scheduler.generate(prompt, {.max_tokens = 3}, count);
  ASSERT_TRUE(waiting);
  const auto over = scheduler.generate(prompt, {.max_tokens = 3}, count);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::kBusy);
  scheduler.withdraw(*waiting);
  EXPECT_EQ(scheduler.load().waiting, 0U);
  stop.request_stop();
  while (ended.load() == 0) std::this_thread::yield();
  EXPECT_EQ(cancelled.load(), 1);
  std::atomic<bool> refused{false};
  ASSERT_TRUE(scheduler.generate(std::vector<TokenId>(300, 5), {}, [&](Result<Generation> result) {
    refused = !result && result.error().code == Code::kLimit;
    ++ended;
  }));
  while (ended.load() < 2) std::this_thread::yield();
  EXPECT_TRUE(refused.load());
  std::atomic<bool> chosen{false};
  ASSERT_TRUE(scheduler.run(prompt, 8, [&](Result<Session*> session) {
    const std::vector<std::vector<TokenId>> choices{{5}, {6}};
    chosen = session && (*session)->choose(prompt, choices).has_value();
    ++ended;
  }));
  while (ended.load() < 3) std::this_thread::yield();
  EXPECT_TRUE(chosen.load());
}

/// A prompt whose beginning another one has read, be that idle or still running, is not read again; and what
/// is idle stays for those who continue it.
TEST(Scheduler, BeginningsAreCopied) {
  const auto model = engine(64, 2, 1);
  std::vector<TokenId> common;
  for (size_t i = 0; i < 60; ++i) common.push_back(static_cast<TokenId>(2 + i * 7 % 250));
  const auto with = [&common](TokenId last, size_t n) {
    std::vector<TokenId> out = common;
    out.resize(common.size() + n, last);
    return out;
  };
  const GenerateOptions few{.max_tokens = 6, .ignore_end = true};
  const auto expected = alone(*model, {with(5, 9), with(6, 4), with(7, 30)}, {few, few, few});
  Scheduler scheduler(model, {.sequences = 4});
  const auto ask = [&](std::vector<TokenId> prompt, GenerateOptions options) {
    std::promise<Generation> made;
    EXPECT_TRUE(scheduler.generate(std::move(prompt), std::move(options), [&made](Result<Generation> result) {
      made.set_value(std::move(*result));
    }));
    return made.get_future().get();
  };
  std::atomic<bool> held{true}, begun{false};
  std::promise<Generation> first;
  GenerateOptions slow = few;
  slow.on_text = [&](std::string_view) { return begun = true; };
  slow.paused = [&] { return held.load() && begun.load(); };
  slow.ignore_end = true;
  slow.max_tokens = 200;
  ASSERT_TRUE(scheduler.generate(
      with(5, 9), slow, [&first](Result<Generation> result) { first.set_value(std::move(*result)); }));
  while (!begun.load()) std::this_thread::yield();
  const Generation second = ask(with(6, 4), few);  // while the first one waits in its middle
  EXPECT_EQ(second.cached_tokens, common.size());
  EXPECT_EQ(second.tokens, expected[1].tokens);
  held = false;
  const Generation one = first.get_future().get();
  EXPECT_TRUE(std::equal(expected[0].tokens.begin(), expected[0].tokens.end(), one.tokens.begin()));
  const Generation third = ask(with(7, 30), few);
  EXPECT_EQ(third.cached_tokens, common.size());
  EXPECT_EQ(third.tokens, expected[2].tokens);
  // The second one's conversation goes on from its own cache.
  std::vector<TokenId> longer = with(6, 4);
  longer.insert(longer.end(), second.tokens.begin(), second.tokens.end());
  EXPECT_EQ(ask(longer, few).cached_tokens, longer.size() - 1);
}

/// Pages of a common beginning are held once, so that a second answer runs where there is no room for all of its own; and who writes
/// to such a page, because its context was full, leaves the other's as it was.
TEST(Scheduler, PagesAreSharedUntilWrittenTo) {
  const auto model = engine(64, 2, 1);
  const uint64_t page = model::KvCache::page_bytes(model->config(), tensor::DType::kF16);
  std::vector<TokenId> common;  // two whole pages and some
  for (size_t i = 0; i < 150; ++i) common.push_back(static_cast<TokenId>(2 + i * 7 % 250));
  std::vector<TokenId> one = common, two = common;
  one.resize(159, 5);
  two.resize(154, 6);
  const GenerateOptions shifting{.max_tokens = 150, .ignore_end = true, .shift = ContextShift{1}},
      few{.max_tokens = 30, .ignore_end = true};
  const auto expected = alone(*model, {one, two}, {shifting, few});
  ASSERT_GT(expected[0].shifts, 0U);
  Scheduler scheduler(model, {.sequences = 2, .kv_bytes = 5 * page});  // the first takes four
  struct Call {
    std::atomic<bool> held{true}, begun{false};
    std::promise<Result<Generation>> made;
  } calls[2];
  const auto start = [&](size_t i, std::vector<TokenId> prompt, GenerateOptions options) {
    Call& call = calls[i];
    options.on_text = [&call](std::string_view) { return call.begun = true; };
    options.paused = [&call] { return call.held.load() && call.begun.load(); };
    ASSERT_TRUE(scheduler.generate(std::move(prompt), std::move(options),
                                   [&call](Result<Generation> result) { call.made.set_value(std::move(result)); }));
  };
  const auto begins = [&](size_t i) {
    for (int wait = 0; wait < 60'000 && !calls[i].begun; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return calls[i].begun.load();
  };
  start(0, one, shifting);
  ASSERT_TRUE(begins(0));
  start(1, two, few);
  ASSERT_TRUE(begins(1)) << "waits for memory";
  calls[0].held = false;
  const auto first = calls[0].made.get_future().get();  // shifts while the second one has its pages
  calls[1].held = false;
  const auto second = calls[1].made.get_future().get();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->tokens, expected[0].tokens);
  EXPECT_EQ(second->tokens, expected[1].tokens);
  EXPECT_EQ(second->cached_tokens, common.size());
}

/// What an answer did not use of its room is free once it is over.
TEST(Scheduler, RoomThatWasNotUsedIsGivenBack) {
  const auto model = engine(64, 2, 1);
  const uint64_t page = model::KvCache::page_bytes(model->config(), tensor::DType::kF16);
  Scheduler scheduler(model, {.sequences = 3, .kv_bytes = 5 * page});
  const auto ask = [&](std::vector<TokenId> prompt, uint32_t most, std::vector<std::string> stop) {
    std::promise<Result<Generation>> made;
    EXPECT_TRUE(scheduler.generate(std::move(prompt), {.max_tokens = most, .stop = std::move(stop), .ignore_end = true},
                                   [&made](Result<Generation> result) { made.set_value(std::move(result)); }));
    return made.get_future().get();
  };
  std::vector<TokenId> prompts[2];
  for (size_t i = 0; i < 40; ++i) {
    prompts[0].push_back(static_cast<TokenId>(2 + i * 7 % 250));
    prompts[1].push_back(static_cast<TokenId>(3 + i * 11 % 250));
  }
  // Four pages each, of which they use one: what the first read is still there after the second.
  for (const auto& prompt : prompts) ASSERT_TRUE(ask(prompt, 200, {"a", "e", "i", "o", "u", " "}));
  const auto again = ask(prompts[0], 5, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->cached_tokens, prompts[0].size() - 1);
}

}  // namespace
}  // namespace bantam::runtime
