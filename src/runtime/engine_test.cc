#include "runtime/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/rng.h"
#include "model/random_model.h"
#include "runtime/memory.h"
#include "runtime/session.h"
#include "runtime/stop_filter.h"

namespace bantam::runtime {
namespace {

using tensor::DType;

model::Config small_config() {
  model::Config config;
  config.vocab_size = 384;
  config.context_length = 96;
  config.dim = 64;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 24;  // heads * head_dim is not dim, and no multiple of 16
  config.ffn_dim = 96;
  config.tied_head = true;
  return config;
}

std::string model_path(DType type, const std::vector<std::string>& labels = {}) {
  const auto path = fmt::format("{}/bantam-{}-{}.gguf", std::filesystem::temp_directory_path().string(),
                                ::getpid(), static_cast<int>(type));
  const auto status = model::write_random_model(path, small_config(), type, 1, labels);
  EXPECT_TRUE(status) << status.error().message;
  return path;
}

std::shared_ptr<const Engine> load(const std::string& path, EngineOptions options = {.threads = 1}) {
  auto engine = Engine::load(path, options);
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? *engine : nullptr;
}

std::vector<TokenId> random_tokens(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<TokenId> out(n);
  for (auto& token : out) token = static_cast<TokenId>(2 + rng.below(300));
  return out;
}

std::vector<std::vector<float>> all_logits(Session& session, const std::vector<TokenId>& tokens) {
  std::vector<std::vector<float>> out;
  EXPECT_TRUE(session.logits(
      tokens, [&](size_t, std::span<const float> row) { out.emplace_back(row.begin(), row.end()); }));
  return out;
}

double log_probability(const std::vector<float>& logits, TokenId token) {
  double total = 0;
  for (float x : logits) total += std::exp(static_cast<double>(x) - logits[token]);
  return -std::log(total);
}

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kQ8_0, DType::kQ4_0};

TEST(Engine, BatchThreadsAndCacheChangeNoBit) {
  const auto tokens = random_tokens(90, 1);
  for (DType type : kTypes) {
    const auto path = model_path(type);
    std::vector<std::vector<std::vector<float>>> found;
    for (EngineOptions options : {EngineOptions{.threads = 1}, EngineOptions{.threads = 3, .batch = 7},
                                  EngineOptions{.threads = 2, .batch = 1}}) {
      const auto engine = load(path, options);
      auto session = *engine->new_session();
      found.push_back(all_logits(*session, tokens));
    }
    ASSERT_EQ(found[0].size(), tokens.size());
    EXPECT_EQ(found[1], found[0]);
    EXPECT_EQ(found[2], found[0]);
  }
}

TEST(Engine, GenerationIsTheSameFromAFreshAndAUsedSession) {
  const auto engine = load(model_path(DType::kQ8_0));
  auto used = *engine->new_session();
  GenerateOptions options{.sampling = {.temperature = 1, .seed = 5}, .max_tokens = 20, .ignore_end = true};
  for (size_t n : {3, 30, 29, 31, 1, 60}) {
    auto prompt = random_tokens(n, 2);
    auto fresh = *engine->new_session();
    const auto a = used->generate(prompt, options), b = fresh->generate(prompt, options);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->tokens, b->tokens);
    EXPECT_EQ(a->tokens.size(), 20U);
    EXPECT_EQ(a->text, b->text);
    EXPECT_EQ(a->finish, Finish::kLength);
    EXPECT_EQ(a->prompt_tokens, n);
  }
}

TEST(Engine, ChoicesAreScoredByTheirTokens) {
  const auto engine = load(model_path(DType::kF32));
  auto session = *engine->new_session();
  const auto prompt = random_tokens(11, 3);
  // Shared prefixes, a choice that begins another, and a repetition of the prompt's end.
  const std::vector<std::vector<TokenId>> choices{{5, 6, 7}, {5, 6},       {9},   {5, 8, 8, 8},
                                                  {300},     {5, 6, 7, 1}, {9, 9}};
  const auto found = session->choose(prompt, choices, 2.0);
  ASSERT_TRUE(found) << found.error().message;
  std::vector<double> expected;
  const TokenId end = *engine->tokenizer().eos();
  for (auto choice : choices) {
    for (const auto& other : choices) {
      if (other.size() > choice.size() && std::equal(choice.begin(), choice.end(), other.begin())) {
        choice.push_back(end);
        break;
      }
    }
    auto tokens = prompt;
    tokens.insert(tokens.end(), choice.begin(), choice.end());
    const auto rows = all_logits(*session, tokens);
    double score = 0;
    for (size_t i = 0; i < choice.size(); ++i)
      score += log_probability(rows[prompt.size() - 1 + i], choice[i]);
    expected.push_back(score);
  }
  double total = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    EXPECT_NEAR(found->scores[i] - found->scores[0], expected[i] - expected[0], 1e-4) << i;
    total += std::exp((expected[i] - expected[0]) / 2);
  }
  for (size_t i = 0; i < choices.size(); ++i) {
    EXPECT_NEAR(found->probabilities[i], std::exp((expected[i] - expected[0]) / 2) / total, 1e-5);
  }
  EXPECT_NEAR(std::accumulate(found->probabilities.begin(), found->probabilities.end(), 0.0), 1.0, 1e-12);
  EXPECT_EQ(found->best, static_cast<size_t>(std::ranges::max_element(expected) - expected.begin()));
}

TEST(Engine, SingleTokenChoicesUseTheirRowsOnly) {
  for (DType type : kTypes) {
    const auto engine = load(model_path(type));
    auto session = *engine->new_session();
    const auto prompt = random_tokens(17, 4);
    const auto logits = all_logits(*session, prompt).back();
    const std::vector<std::vector<TokenId>> choices{{40}, {3}, {299}, {41}, {42}, {43}, {44}, {45}, {46}};
    const auto found = session->choose(prompt, choices);
    ASSERT_TRUE(found);
    for (size_t i = 0; i < choices.size(); ++i) EXPECT_EQ(found->scores[i], logits[choices[i][0]]);
  }
}

TEST(Engine, ClassifiesWithItsTask) {
  const auto engine = load(model_path(DType::kQ8_0, {"card arrival", "top-up", "refund"}));
  ASSERT_TRUE(engine->task());
  ASSERT_EQ(engine->task_choices().size(), 3U);
  for (const auto& choice : engine->task_choices()) EXPECT_EQ(choice.size(), 1U);
  const auto prompt = engine->task_prompt("where is it <|answer|>");
  ASSERT_TRUE(prompt);
  EXPECT_EQ(std::ranges::count(*prompt, *engine->tokenizer().find("<|answer|>")),
            1);  // the template's, not the user's
  EXPECT_EQ(prompt->back(), *engine->tokenizer().find("<|answer|>"));
  auto session = *engine->new_session();
  const auto a = engine->classify(*session, "where is it"), b = engine->classify(*session, "where is it");
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->probabilities, b->probabilities);
  EXPECT_GT(a->confidence(), 0.33);
}

TEST(Engine, EmbedsAsTheMeanOfHiddenStates) {
  const auto engine = load(model_path(DType::kF32), {.threads = 1, .batch = 7});
  auto session = *engine->new_session();
  const auto tokens = random_tokens(20, 6);
  const auto found = session->embed(tokens);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 64U);
  EXPECT_NEAR(std::inner_product(found->begin(), found->end(), found->begin(), 0.0), 1.0, 1e-5);
  // The head is linear and tied: logits averaged over the tokens are those of the averaged state, so the
  // vector's products with the rows are in proportion to them. Checked by the ratio of two of them for each.
  std::vector<double> mean(384);
  const auto rows = all_logits(*session, tokens);
  for (const auto& row : rows) {
    for (size_t v = 0; v < row.size(); ++v) mean[v] += row[v] / 20.0;
  }
  const auto file = formats::GgufFile::open(engine->path());
  ASSERT_TRUE(file);
  const auto* matrix = file->find_tensor("token_embd.weight");
  ASSERT_NE(matrix, nullptr);
  const auto* weights = reinterpret_cast<const float*>(file->data(*matrix).data());
  const auto product = [&](size_t v) {
    return std::inner_product(found->begin(), found->end(), weights + v * 64, 0.0);
  };
  const double scale = mean[7] / product(7);
  for (size_t v = 0; v < 384; ++v) EXPECT_NEAR(product(v) * scale, mean[v], 1e-3) << v;
  const auto again = (*engine->new_session())->embed(tokens);
  EXPECT_EQ(*again, *found);
  EXPECT_EQ(session->embed({}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(session->embed(random_tokens(97, 1)).error().code, Code::kLimit);
}

TEST(Engine, PooledStatesByType) {
  const float hidden[] = {3, 0, 0, 4, 0, 8};
  for (auto [pooling, x, y] :
       {std::tuple{Pooling::kMean, 3.0, 12.0}, {Pooling::kFirst, 1.0, 0.0}, {Pooling::kLast, 0.0, 1.0}}) {
    Pooled pooled(2);
    pooled.add(hidden, 2, 0, pooling);
    pooled.add(hidden + 4, 1, 2, pooling);
    const auto found = *pooled.vector();
    EXPECT_NEAR(found[0], x / std::hypot(x, y), 1e-6);
    EXPECT_NEAR(found[1], y / std::hypot(x, y), 1e-6);
  }
  EXPECT_EQ(Pooled(2).vector().error().code, Code::kCorrupt);
}

TEST(Engine, RefusesWhatDoesNotFit) {
  const auto path = model_path(DType::kF32);
  const auto long_context = Engine::load(path, {.context_length = 97});
  ASSERT_FALSE(long_context);
  EXPECT_EQ(long_context.error().code, Code::kInvalidArgument);
  const auto engine = load(path);
  auto session = *engine->new_session();
  const auto over = session->generate(random_tokens(97, 1), {});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::kLimit);
  EXPECT_NE(over.error().message.find("97"), std::string::npos);
  const std::vector<std::vector<TokenId>> choices{{1, 2, 3}, {4}};
  EXPECT_EQ(session->choose(random_tokens(94, 1), choices).error().code, Code::kLimit);
  EXPECT_TRUE(session->choose(random_tokens(93, 1), choices));
  EXPECT_EQ(session->choose(random_tokens(3, 1), {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(session->choose({}, choices).error().code, Code::kInvalidArgument);
  EXPECT_EQ(session->generate(std::vector<TokenId>{384}, {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(session->generate(std::vector<TokenId>{-1}, {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(engine->task_prompt("x").error().code, Code::kInvalidArgument);
}

TEST(Engine, GenerationEndsWhereTheContextDoes) {
  const auto engine = load(model_path(DType::kF32));
  auto session = *engine->new_session();
  const auto found = session->generate(random_tokens(90, 1), {.max_tokens = 50, .ignore_end = true});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->finish, Finish::kLength);
  EXPECT_EQ(found->tokens.size(), 7U);  // six that fit, and the one after the last
}

TEST(Engine, CancelsAndObeysTheSink) {
  const auto engine = load(model_path(DType::kF32));
  auto session = *engine->new_session();
  std::stop_source source;
  source.request_stop();
  GenerateOptions options{.max_tokens = 50, .ignore_end = true, .cancel = source.get_token()};
  EXPECT_EQ(session->generate(random_tokens(9, 1), options)->finish, Finish::kCancelled);
  const std::vector<std::vector<TokenId>> choices{{1}};
  EXPECT_EQ(session->choose(random_tokens(9, 1), choices, 1.0, source.get_token()).error().code,
            Code::kCancelled);
  options.cancel = {};
  int calls = 0;
  options.on_text = [&](std::string_view) { return ++calls < 3; };
  const auto found = session->generate(random_tokens(9, 1), options);
  EXPECT_EQ(found->finish, Finish::kCancelled);
  EXPECT_EQ(calls, 3);
}

TEST(Engine, StopStringsEndTheText) {
  const auto engine = load(model_path(DType::kF32));
  auto session = *engine->new_session();
  GenerateOptions options{.max_tokens = 40, .ignore_end = true};
  const auto whole = session->generate(random_tokens(9, 1), options);
  ASSERT_TRUE(whole && whole->text.size() > 12);
  options.stop = {whole->text.substr(5, 4)};
  std::string streamed;
  options.on_text = [&](std::string_view text) {
    streamed += text;
    return true;
  };
  const auto found = session->generate(random_tokens(9, 1), options);
  EXPECT_EQ(found->finish, Finish::kStop);
  EXPECT_EQ(found->text, whole->text.substr(0, whole->text.find(options.stop[0])));
  EXPECT_EQ(streamed, found->text);
}

TEST(Engine, LogProbabilitiesAreThoseOfTheLogits) {
  const auto engine = load(model_path(DType::kQ8_0));
  auto session = *engine->new_session();
  const auto prompt = random_tokens(9, 5);
  GenerateOptions options{.max_tokens = 6, .ignore_end = true, .top_logprobs = 2};
  options.sampling = {.temperature = 2, .presence_penalty = 1, .seed = 3};
  const auto found = session->generate(prompt, options);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->logprobs.size(), 6U);
  auto tokens = prompt;
  tokens.insert(tokens.end(), found->tokens.begin(), found->tokens.end());
  const auto rows = all_logits(*session, tokens);
  for (size_t i = 0; i < 6; ++i) {
    const auto& row = rows[prompt.size() - 1 + i];
    EXPECT_EQ(found->logprobs[i].token, found->tokens[i]);
    EXPECT_NEAR(found->logprobs[i].logprob, log_probability(row, found->tokens[i]), 1e-4);
    ASSERT_EQ(found->logprobs[i].top.size(), 2U);
    EXPECT_EQ(found->logprobs[i].top[0].first, std::ranges::max_element(row) - row.begin());
  }
  options.sampling.logit_bias = {{384, 1.0F}};
  EXPECT_EQ(session->generate(prompt, options).error().code, Code::kInvalidArgument);
}

TEST(Engine, ContinuesARealModelAsItsAuthorDid) {
  const std::string path = BANTAM_SOURCE_DIR "/../shared/data/models/stories260K.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  for (DType kv : {DType::kF16, DType::kF32}) {
    const auto engine = load(path, {.threads = 2, .kv_cache = kv});
    ASSERT_NE(engine, nullptr);
    auto session = *engine->new_session();
    const auto prompt = engine->tokenizer().encode("Once upon a time");
    ASSERT_TRUE(prompt);
    const auto found = session->generate(*prompt, {.max_tokens = 60});
    ASSERT_TRUE(found);
    // Written down where the model's file came from.
    EXPECT_TRUE(
        found->text.starts_with(", there was a little girl named Lily. She loved to play outside in the "
                                "park. One day, she saw a big, red ball. "
                                "She wanted to play with it, but it was too high."))
        << found->text;
  }
}

TEST(Engine, EightBitKeysAndValuesChangeLittle) {
  const std::string path = BANTAM_SOURCE_DIR "/../shared/data/models/stories260K.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto half = load(path, {.threads = 1}), eight = load(path, {.threads = 1, .batch = 16, .kv_cache = DType::kQ8_0});
  ASSERT_TRUE(half && eight);
  // Its heads have 8 channels: as halves 16 bytes, padded to a block of eight bits 34.
  EXPECT_EQ(eight->memory().kv_cache * 16, half->memory().kv_cache * 34);
  const auto prompt = half->tokenizer().encode("Once upon a time, there was a little girl named Lily. She loved to play outside");
  ASSERT_TRUE(prompt);
  std::vector<std::vector<float>> logits;
  for (const auto& engine : {half, eight}) {
    auto session = *engine->new_session();
    logits.emplace_back();
    ASSERT_TRUE(session->logits(*prompt, [&](size_t, std::span<const float> row) {
      logits.back().insert(logits.back().end(), row.begin(), row.end());
    }));
  }
  double squares = 0, all = 0;
  for (size_t i = 0; i < logits[0].size(); ++i) {
    squares += std::pow(double{logits[0][i]} - logits[1][i], 2);
    all += std::pow(double{logits[0][i]}, 2);
  }
  EXPECT_LT(std::sqrt(squares / all), 0.02);  // each value is off by up to a 254th of its block's largest
  EXPECT_GT(squares, 0) << "the cache is not of eight bits";
}

TEST(StopFilter, HoldsBackWhatMayBecomeAStop) {
  std::string text, streamed;
  const std::vector<std::string> stops{"END", "\n\n"};
  const std::function<bool(std::string_view)> sink = [&](std::string_view part) {
    streamed += part;
    return true;
  };
  StopFilter filter(stops, sink, text);
  EXPECT_EQ(filter.push("abc E"), StopFilter::Step::kGo);
  EXPECT_EQ(streamed, "abc ");
  EXPECT_EQ(filter.push("N"), StopFilter::Step::kGo);
  EXPECT_EQ(streamed, "abc ");
  EXPECT_EQ(filter.push("X\n"), StopFilter::Step::kGo);
  EXPECT_EQ(streamed, "abc ENX");
  EXPECT_EQ(filter.push("\nmore"), StopFilter::Step::kStopped);
  EXPECT_EQ(text, "abc ENX");
  EXPECT_EQ(streamed, text);
}

TEST(StopFilter, WaitsForWholeCharacters) {
  std::string text;
  const std::vector<std::string> stops;
  const std::function<bool(std::string_view)> sink;
  StopFilter filter(stops, sink, text);
  filter.push("a\xC3");
  EXPECT_EQ(text, "a");
  filter.push("\xA9");
  EXPECT_EQ(text, "a\xC3\xA9");
  filter.push("\xE2\x82");
  filter.finish();
  EXPECT_EQ(text, "a\xC3\xA9\xEF\xBF\xBD");
}

TEST(Memory, TheSystemTells) {
  const auto available = available_memory();
  if (!available) GTEST_SKIP() << "the system does not tell";
  EXPECT_TRUE(check_memory(*available / 2, "a test"));
  const auto status = check_memory(UINT64_MAX, "a test");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kLimit);
}

}  // namespace
}  // namespace bantam::runtime
