// Adapters, states and texts beyond the context of local models.

#include <gmock/gmock.h>

#include <filesystem>

#include "chat/local_for_test.h"
#include "model/adapter_for_test.h"

namespace bantam::chat {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

TEST(LocalChat, AdaptersOfARequest) {
  const std::string base = model::adapter_scratch("base"), path = model::adapter_scratch("adapter");
  ASSERT_TRUE(model::write_random_model(base, model::tiny_config(), tensor::DType::kF32, 3));
  model::AdapterDraft draft;
  draft.all(*formats::GgufFile::open(base), 2);
  ASSERT_TRUE(draft.file.write(path));
  auto loaded = runtime::Engine::load(base, {.threads = 1, .adapters = {{path, 1}}});
  auto bare = runtime::Engine::load(base, {.threads = 1});
  std::filesystem::remove(base);
  std::filesystem::remove(path);
  ASSERT_TRUE(loaded && bare);
  auto model = *make_local(*loaded, {.name = "tuned"});
  auto plain = *make_local(*bare, {.name = "plain"});
  Request r = user("the quick");
  r.max_tokens = 12;
  const std::string without = answer(*plain, r)->text, with = answer(*model, r)->text;
  EXPECT_NE(with, without);
  r.adapters.emplace();
  EXPECT_EQ(answer(*model, r)->text, without) << "those not named have a scale of 0";
  EXPECT_EQ(answer(*plain, r)->text, without);
  r.adapters = {{0, 1.0F}};
  EXPECT_EQ(answer(*model, r)->text, with);
  r.choices = {"brown fox", "dog"};
  EXPECT_TRUE(answer(*model, r));
  r.adapters = {{1, 1.0F}};
  EXPECT_THAT(answer(*model, r).error().message, StartsWith("lora: found the id 1"));
}

TEST(LocalChat, ContextShiftOnlyWhereAllowed) {
  const auto small = engine({}, 64);
  Request r = user("the quick");
  r.max_tokens = 200;
  r.sampling.logit_bias = {{0, -100.0F}};  // no end
  auto strict = *make_local(small, {.name = "strict"});
  EXPECT_EQ(answer(*strict, r)->finish_reason, "length");
  r.context_shift = true;
  EXPECT_THAT(answer(*strict, r).error().message, StartsWith("context_shift: "));
  auto model = *make_local(small, {.name = "long", .context_shift = true});
  const auto reply = answer(*model, r);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->usage.completion_tokens, 200u);
  EXPECT_THAT(reply->notes, Contains(HasSubstr("were forgotten")));
}

TEST(LocalChat, ItsStateToAFileAndBack) {
  const auto shared = engine({});
  const std::string path = model::adapter_scratch("state");
  auto first = *make_local(shared, {.name = "first"});
  EXPECT_FALSE(first->save_state(path));
  Request r = user("the quick brown fox jumps over");
  r.max_tokens = 5;
  const auto before = answer(*first, r);
  ASSERT_TRUE(before);
  const Status saved = first->save_state(path);
  ASSERT_TRUE(saved) << saved.error().message;
  auto second = *make_local(shared, {.name = "second"});
  ASSERT_TRUE(second->load_state(path));
  const auto after = answer(*second, r);
  std::filesystem::remove(path);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->text, before->text);
  EXPECT_EQ(after->usage.cached_tokens, after->usage.prompt_tokens - 1);
}

}  // namespace
}  // namespace bantam::chat
