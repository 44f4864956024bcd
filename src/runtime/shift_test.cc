// Answers that go on past the context's end.

#include <gmock/gmock.h>

#include <future>

#include "runtime/drafter.h"
#include "runtime/random_engine_for_test.h"
#include "runtime/scheduler.h"

namespace bantam::runtime {
namespace {

using testing::HasSubstr;

std::shared_ptr<const Engine> small_context() {
  return random_engine({.options = {.threads = 1, .context_length = 64, .batch = 16}});
}

std::vector<TokenId> prompt_of(size_t n) {
  std::vector<TokenId> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<TokenId>((i * 31 + 3) % 280);
  return out;
}

TEST(ContextShift, OnlyWhenAsked) {
  auto session = *small_context()->new_session();
  const auto made = session->generate(prompt_of(40), {.max_tokens = 100, .ignore_end = true});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->finish, Finish::kLength);
  EXPECT_EQ(made->tokens.size(), 25u) << "24 places and the token after the last one";
  EXPECT_EQ(made->shifted, 0u);
  EXPECT_EQ(session->generate(prompt_of(65), {.max_tokens = 1, .shift = ContextShift{}}).error().code,
            Code::kLimit)
      << "a prompt is never cut";
}

/// What is kept is read again, so that the rest of the answer is the one that the shorter text has by itself.
TEST(ContextShift, IsTheShorterTextsAnswer) {
  const auto engine = small_context();
  for (const uint32_t keep : {0U, 1U, 7U, 40U, 62U}) {
    auto session = *engine->new_session();
    const auto made =
        session->generate(prompt_of(40), {.max_tokens = 90, .ignore_end = true, .shift = ContextShift{keep}});
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->finish, Finish::kLength);
    ASSERT_EQ(made->tokens.size(), 90u);
    EXPECT_GT(made->shifts, 0u);
    // By hand, one token after the other in sessions of their own.
    std::vector<TokenId> text = prompt_of(40), answer;
    uint32_t shifts = 0, shifted = 0;
    while (answer.size() < 90) {
      if (text.size() > 64) {
        const size_t dropped = (text.size() - keep + 1) / 2;
        text.erase(text.begin() + keep, text.begin() + keep + static_cast<std::ptrdiff_t>(dropped));
        ++shifts;
        shifted += static_cast<uint32_t>(dropped);
      }
      const auto next = session->generate(text, {.max_tokens = 1, .ignore_end = true});
      ASSERT_TRUE(next);
      answer.push_back(next->tokens[0]);
      text.push_back(next->tokens[0]);
    }
    EXPECT_EQ(made->tokens, answer) << "keep " << keep;
    EXPECT_EQ(made->shifts, shifts);
    EXPECT_EQ(made->shifted, shifted);
  }
}

TEST(ContextShift, BesideOthers) {
  const auto engine = small_context();
  GenerateOptions options{.max_tokens = 150, .ignore_end = true, .shift = ContextShift{4}};
  options.sampling.temperature = 1;
  const auto alone = (*engine->new_session())->generate(prompt_of(30), options);
  ASSERT_TRUE(alone);
  Scheduler scheduler(engine, {.sequences = 3});
  std::vector<std::promise<Result<Generation>>> made(4);
  for (auto& one : made) {
    ASSERT_TRUE(scheduler.generate(prompt_of(30), options,
                                   [&one](Result<Generation> result) { one.set_value(std::move(result)); }));
  }
  for (auto& one : made) {
    auto result = one.get_future().get();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->tokens, alone->tokens);
    EXPECT_EQ(result->shifted, alone->shifted);
  }
}

TEST(ContextShift, WithADraft) {
  const auto engine = small_context();
  GenerateOptions options{.max_tokens = 150, .ignore_end = true, .shift = ContextShift{4}};
  const auto without = (*engine->new_session())->generate(prompt_of(30), options);
  options.drafter = make_prompt_lookup();
  const auto with = (*engine->new_session())->generate(prompt_of(30), options);
  ASSERT_TRUE(without && with);
  EXPECT_EQ(with->tokens, without->tokens);
  EXPECT_GT(with->kept, 0u);
}

TEST(ContextShift, KeepingTooMuch) {
  auto session = *small_context()->new_session();
  const auto made = session->generate(prompt_of(30), {.shift = ContextShift{63}});
  EXPECT_THAT(made.error().message, HasSubstr("found 63 tokens to keep, expected at most 62"));
}

}  // namespace
}  // namespace bantam::runtime
