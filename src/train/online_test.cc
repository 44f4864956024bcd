#include "train/online.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "train/pretrain.h"

namespace bantam::train {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class OnlineTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("bantam_online_test_{}", ::getpid());
    fs::create_directories(folder_);
    configure_torch(1);
    std::string known;
    for (int i = 0; i < 40; ++i) known += "the cat sat on the mat and saw two birds\n<|endoftext|>\n";
    EXPECT_TRUE(write_file(path("known.txt"), known));
    PretrainData data;
    data.parts = {{"known", path("known.txt"), 1.0}};
    data.vocab_size = 300;
    model::Config shape;
    shape.dim = 32;
    shape.layers = 1;
    shape.heads = shape.kv_heads = 2;
    shape.head_dim = 16;
    shape.ffn_dim = 64;
    shape.context_length = 32;
    shape.tied_head = true;
    PretrainOptions options;
    options.context = 32;
    options.batch = 4;
    options.tokens = 32 * 4 * 20;
    options.learning_rate = 0.01;
    const auto report = pretrain(data, shape, "", options, {.out = path("m.gguf"), .threads = 1});
    ASSERT_TRUE(report) << report.error().message;
    for (int i = 0; i < 30; ++i) text_ += "a new bird over there wants 21 worms, ";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static OnlineOptions options(double learning_rate) {
    return {.window = 32, .stride = 16, .replay = 1, .learning_rate = learning_rate, .seed = 1};
  }

  fs::path folder_;
  std::string text_;
};

TEST_F(OnlineTest, AdaptsToTheTextAndScoresEveryTokenOnce) {
  const auto still = score_online(path("m.gguf"), text_, options(0),
                                  {.out = path("still"), .checkpoint_seconds = 100, .threads = 1});
  const auto moved = score_online(path("m.gguf"), text_, options(0.01),
                                  {.out = path("moved"), .checkpoint_seconds = 100, .threads = 1});
  ASSERT_TRUE(still) << still.error().message;
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(still->bytes, text_.size());
  EXPECT_EQ(moved->tokens, still->tokens);
  EXPECT_EQ(moved->job.steps, (moved->tokens + 15) / 16);
  EXPECT_LT(moved->bits_per_byte(), 0.8 * still->bits_per_byte());
  EXPECT_FALSE(fs::exists(path("moved.checkpoint")));
}

TEST_F(OnlineTest, NoTokenIsScoredByWeightsThatSawIt) {
  // Two texts that differ from a place on have the same scores before it, whatever follows.
  const size_t same = text_.size() / 2;
  const std::string other = text_.substr(0, same) + std::string(same, 'z');
  auto scores = [&](const std::string& text, const std::string& out) {
    const auto done = score_online(path("m.gguf"), text, options(0.01),
                                   {.out = path(out), .checkpoint_seconds = 100, .threads = 1});
    EXPECT_TRUE(done) << done.error().message;
    const std::string log = read_file(path(out) + ".log.jsonl").value();
    std::vector<std::string> nats;
    for (size_t at = 0; (at = log.find("\"nats\":", at)) != std::string::npos; ++at)
      nats.push_back(log.substr(at, log.find(',', at) - at));
    return nats;
  };
  const auto one = scores(text_, "one"), two = scores(other, "two");
  size_t equal = 0;
  while (equal < std::min(one.size(), two.size()) && one[equal] == two[equal]) ++equal;
  EXPECT_GE(equal + 2, one.size() / 2);
  EXPECT_LT(equal, one.size());
}

TEST_F(OnlineTest, AStoppedRunEndsInTheSameScore) {
  const auto whole = score_online(path("m.gguf"), text_, options(0.01), {.out = path("whole"), .threads = 1});
  ASSERT_TRUE(whole);
  int sittings = 0;
  Result<OnlineScore> parts = fail(Code::kCancelled, "not begun");
  for (; !parts && sittings < 50; ++sittings) {
    std::stop_source stop;
    uint64_t first = 0;
    parts = score_online(path("m.gguf"), text_, options(0.01),
                         {.out = path("parts"),
                          .checkpoint_seconds = 0.001,
                          .threads = 1,
                          .progress =
                              [&](const Progress& p) {
                                if (first == 0) first = p.done;
                                if (p.done > first) stop.request_stop();
                              },
                          .cancel = stop.get_token()});
  }
  ASSERT_TRUE(parts) << parts.error().message;
  EXPECT_EQ(parts->nll, whole->nll);
}

TEST_F(OnlineTest, RefusesWhatCannotBe) {
  const auto message = [&](OnlineOptions o, const std::string& text) {
    const auto done = score_online(path("m.gguf"), text, o, {.out = path("x"), .threads = 1});
    return done ? std::string("no error") : done.error().message;
  };
  OnlineOptions o = options(0.01);
  EXPECT_THAT(message(o, ""), HasSubstr("no tokens"));
  o.stride = 33;
  EXPECT_THAT(message(o, text_), HasSubstr("stride: found 33"));
  o = options(2);
  EXPECT_THAT(message(o, text_), HasSubstr("learning_rate: found 2"));
  o = options(0.01);
  o.window = 64;
  EXPECT_THAT(message(o, text_), HasSubstr("window: found 64, expected at most the 32"));
}

}  // namespace
}  // namespace bantam::train
