#include "train/train.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "formats/gguf.h"
#include "runtime/engine.h"

namespace bantam::train {
namespace {

using formats::Example;
using testing::HasSubstr;
namespace fs = std::filesystem;

/// Three labels that need word order: "a before b", "b before a", neither.
std::vector<Example> ordered_words(size_t count, uint64_t seed) {
  const char* fillers[] = {"the", "old", "red", "tiny", "house", "runs", "slowly", "far", "today", "again"};
  std::vector<Example> out;
  Rng rng(seed);
  for (size_t i = 0; i < count; ++i) {
    std::vector<std::string> words;
    for (int k = 0; k < 6; ++k) words.push_back(fillers[rng.below(10)]);
    const auto label = static_cast<int32_t>(i % 3);
    if (label < 2) {
      words[rng.below(3)] = label == 0 ? "apple" : "banana";
      words[3 + rng.below(3)] = label == 0 ? "banana" : "apple";
    }
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    out.push_back({text, label, i + 2});
  }
  return out;
}

const std::vector<std::string> kLabels{"ab", "ba", "none"};

class TrainTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("bantam_train_test_{}", ::getpid());
    fs::create_directories(folder_);
    configure_torch(1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  static model::Config shape() {
    model::Config c;
    c.dim = 64;
    c.layers = 2;
    c.heads = c.kv_heads = 2;
    c.head_dim = 32;
    c.ffn_dim = 96;
    c.context_length = 64;
    c.tied_head = true;
    return c;
  }
  static OptimOptions quick(double epochs) {
    OptimOptions o;
    o.epochs = epochs;
    o.batch = 32;
    o.learning_rate = 4e-3;
    o.dropout = 0.05;
    return o;
  }

  Result<JobReport> train(const std::string& out, double epochs, ProgressSink progress = {},
                          std::stop_token cancel = {}) {
    auto text = prepare_task("order", kLabels, examples_, 320);
    if (!text) return std::unexpected(text.error());
    return train_classifier(examples_, *text, shape(), quick(epochs),
                            {.out = out,
                             .checkpoint_seconds = 0.05,
                             .threads = 1,
                             .progress = std::move(progress),
                             .cancel = cancel});
  }

  static double accuracy(const std::string& model, std::span<const Example> examples) {
    auto engine = runtime::Engine::load(model, {.threads = 1, .context_length = 0, .batch = 64});
    if (!engine) {
      ADD_FAILURE() << engine.error().message;
      return 0;
    }
    auto session = (*engine)->new_session();
    double right = 0;
    for (const auto& example : examples) {
      auto choice = (*engine)->classify(**session, example.text);
      right += choice && static_cast<int32_t>(choice->best) == example.label ? 1 : 0;
    }
    return right / static_cast<double>(examples.size());
  }

  fs::path folder_;
  std::vector<Example> examples_ = ordered_words(600, 1);
};

TEST_F(TrainTest, LearnsOrderAndTheEngineAgrees) {
  auto report = train(path("m.gguf"), 14);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->steps, 14U * 19U);
  EXPECT_GT(accuracy(path("m.gguf"), ordered_words(300, 2)), 0.9);
  EXPECT_FALSE(fs::exists(path("m.gguf.checkpoint")));
}

TEST_F(TrainTest, AnOpinionIsLearnedByItsShare) {
  auto text = prepare_task("order", kLabels, examples_, 320);
  ASSERT_TRUE(text);
  // It holds that every label is the next one, and says so of the example that it is asked about.
  const auto next = [&](size_t item) {
    std::vector<float> p(3);
    p[static_cast<size_t>(examples_[item].label + 1) % 3] = 1;
    return p;
  };
  std::vector<Example> shifted = ordered_words(200, 2);
  for (auto& example : shifted) example.label = (example.label + 1) % 3;
  const Opinion whole{
      .ask = [&](size_t item, std::string_view) { return next(item); }, .share = 1, .print = "next"};
  OptimOptions options = quick(10);
  options.consistency = 0.5;
  ASSERT_TRUE(
      train_classifier(examples_, *text, shape(), options, {.out = path("t.gguf"), .threads = 1}, "", whole));
  EXPECT_GT(accuracy(path("t.gguf"), shifted), 0.9);
  // A teacher and an opinion that outweighs it: the student says what the opinion says.
  ASSERT_TRUE(
      train_classifier(examples_, *text, shape(), quick(10), {.out = path("own.gguf"), .threads = 1}));
  DistillOptions how;
  how.optim = quick(10);
  how.hard_weight = 0;
  how.variants = 2;
  const Opinion most{.ask = whole.ask, .share = 0.9, .print = "next"};
  ASSERT_TRUE(distill(examples_, path("own.gguf"), "", shape(), how, path("answers"),
                      {.out = path("s.gguf"), .threads = 1}, most));
  EXPECT_GT(accuracy(path("s.gguf"), shifted), 0.9);
  // Answers belong to the opinion they were made with.
  const auto other = distill(examples_, path("own.gguf"), "", shape(), how, path("answers"),
                             {.out = path("o.gguf"), .threads = 1});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("answers to other data or by another teacher"));
}

TEST_F(TrainTest, AStoppedRunEndsInTheSameFile) {
  ASSERT_TRUE(train(path("whole.gguf"), 2));
  int sittings = 0;
  for (bool done = false; !done && sittings < 100; ++sittings) {
    std::stop_source stop;
    uint64_t first = 0;
    auto part = train(
        path("parts.gguf"), 2,
        [&](const Progress& p) {
          if (first == 0) first = p.done;
          if (p.done > first + 5) stop.request_stop();
        },
        stop.get_token());
    done = part.has_value();
    if (!done) {
      ASSERT_EQ(part.error().code, Code::kCancelled) << part.error().message;
    }
  }
  EXPECT_EQ(read_file(path("whole.gguf")).value(), read_file(path("parts.gguf")).value())
      << "after " << sittings << " sittings";
}

TEST_F(TrainTest, ACheckpointOfAnotherJobIsRefused) {
  std::stop_source stop;
  stop.request_stop();
  ASSERT_FALSE(train(path("m.gguf"), 2, {}, stop.get_token()));
  auto other = train(path("m.gguf"), 3);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("m.gguf.checkpoint"));
}

TEST_F(TrainTest, PrunesAndRecovers) {
  ASSERT_TRUE(train(path("teacher.gguf"), 14));
  JobOptions job{.out = path("same.gguf"), .threads = 1, .progress = {}, .cancel = {}};
  ASSERT_TRUE(prune(examples_, path("teacher.gguf"), {}, job));
  EXPECT_EQ(read_file(path("same.gguf")).value(), read_file(path("teacher.gguf")).value())
      << "keeping everything changes nothing";

  job.out = path("pruned.gguf");
  auto report =
      prune(examples_, path("teacher.gguf"), {.dim = 32, .ffn_dim = 32, .heads = 1, .layers = 1}, job);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->after.dim, 32U);
  EXPECT_EQ(report->after.heads, 1U);
  ASSERT_EQ(report->layers_kept.size(), 1U);

  DistillOptions options;
  options.optim = quick(24);
  options.variants = 4;
  job.out = path("student.gguf");
  auto recovered =
      distill(examples_, path("teacher.gguf"), path("pruned.gguf"), {}, options, path("answers"), job);
  ASSERT_TRUE(recovered) << recovered.error().message;
  const auto fresh = ordered_words(300, 2);
  EXPECT_GE(accuracy(path("student.gguf"), fresh), accuracy(path("pruned.gguf"), fresh));
  EXPECT_GT(accuracy(path("student.gguf"), fresh), 0.8);
}

TEST_F(TrainTest, RefusesWhatCannotBe) {
  auto text = prepare_task("order", kLabels, examples_, 320);
  ASSERT_TRUE(text);
  const JobOptions job{.out = path("m.gguf"), .threads = 1, .progress = {}, .cancel = {}};
  auto empty = train_classifier({}, *text, shape(), quick(1), job);
  ASSERT_FALSE(empty);
  EXPECT_THAT(empty.error().message, HasSubstr("found no examples"));

  std::vector<Example> unlabelled{{"a text", -1, 7}};
  auto missing = train_classifier(unlabelled, *text, shape(), quick(1), job);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("line 7"));

  std::vector<Example> long_text{{std::string(4000, 'x'), 0, 9}};
  auto too_long = train_classifier(long_text, *text, shape(), quick(1), job);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, Code::kLimit);
  EXPECT_THAT(too_long.error().message, HasSubstr("line 9"));

  OptimOptions wrong = quick(1);
  wrong.dropout = 1.5;
  auto range = train_classifier(examples_, *text, shape(), wrong, job);
  ASSERT_FALSE(range);
  EXPECT_THAT(range.error().message, HasSubstr("dropout: found 1.5"));

  OptimOptions wild = quick(3);
  wild.learning_rate = 1;
  wild.clip = 1e30;
  auto diverged = train_classifier(examples_, *text, shape(), wild, job);
  EXPECT_FALSE(fs::exists(path("m.gguf")) && !diverged) << "a run that failed leaves no model";

  ASSERT_TRUE(train(path("t.gguf"), 1));
  auto uneven = prune(examples_, path("t.gguf"), {.dim = 40, .ffn_dim = 0, .heads = 0, .layers = 0}, job);
  ASSERT_FALSE(uneven);
  EXPECT_THAT(uneven.error().message, HasSubstr("prune.dim: found 40, expected a multiple of 32"));
}

TEST(Augment, KeepsSomethingAndIsReproducible) {
  const AugmentOptions options{
      .lower = 0.5, .drop_word = 0.9, .swap_words = 0.5, .typo = 0.2, .bpe_dropout = 0};
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng a(seed), b(seed);
    const std::string first = augment("Where is my Card?", options, a);
    EXPECT_FALSE(first.empty());
    EXPECT_EQ(first, augment("Where is my Card?", options, b));
  }
  Rng rng(1);
  EXPECT_EQ(
      augment("As it is", {.lower = 0, .drop_word = 0, .swap_words = 0, .typo = 0, .bpe_dropout = 0}, rng),
      "As it is");
}

}  // namespace
}  // namespace bantam::train
