#include "train/text_pairs.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "runtime/engine.h"
#include "train/embed.h"

namespace bantam::train {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class EmbedTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("bantam_embed_test_{}", ::getpid());
    fs::create_directories(folder_);
    configure_torch(1);
    data_.parts = {{"tales", put("tales.txt", documents()), 1.0}};
    data_.vocab_size = 400;
    data_.tokenizer_bytes = 1 << 20;
    model::Config shape;
    shape.dim = 32, shape.layers = 1, shape.heads = shape.kv_heads = 2, shape.head_dim = 16;
    shape.ffn_dim = 64, shape.context_length = 64, shape.tied_head = true;
    PretrainOptions options;
    options.context = 32, options.batch = 4, options.tokens = 32 * 4 * 10;
    auto base = pretrain(data_, shape, "", options, {.out = path("base.gguf"), .threads = 1});
    ASSERT_TRUE(base) << base.error().message;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string put(const std::string& name, const std::string& text) {
    EXPECT_TRUE(write_file(path(name), text));
    return path(name);
  }
  /// Each document talks of one animal, so that neighbouring sentences share a word that others lack.
  static std::string documents() {
    const char* animals[] = {"cat", "dog", "horse", "bird", "fish", "cow", "mouse", "lion"};
    std::string out;
    Rng rng(3);
    for (int i = 0; i < 80; ++i) {
      const std::string animal = animals[i % 8];
      out += "About the " + animal + "\n";
      for (int s = 0; s < 6; ++s)
        out += fmt::format("The {} saw {} {}s. ", animal, rng.below(90) + 10, animal);
      out += "\n<|endoftext|>\n";
    }
    return out;
  }
  static EmbedOptions options() {
    EmbedOptions o;
    o.pairs = 8 * 2 * 60;
    o.batch = 8, o.groups = 2, o.max_tokens = 24;
    o.learning_rate = 0.005;
    o.evaluate_every = 30, o.evaluate_pairs = 8;
    return o;
  }

  fs::path folder_;
  PretrainData data_;
};

TEST_F(EmbedTest, TextsOfOneDocumentComeCloser) {
  auto report = train_embedder(data_, path("base.gguf"), options(), {.out = path("e.gguf"), .threads = 1});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->job.steps, 60U);
  ASSERT_EQ(report->found.size(), 1U);
  const std::string log = read_file(path("e.gguf.log.jsonl")).value();
  EXPECT_THAT(log, HasSubstr("\"found\""));
  auto file = formats::GgufFile::open(path("e.gguf"));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->get_uint("llama.pooling_type").value_or(0), 1U);
  auto engine = runtime::Engine::load(path("e.gguf"), {.threads = 1, .context_length = 0, .batch = 64});
  ASSERT_TRUE(engine) << engine.error().message;
}

TEST_F(EmbedTest, AStoppedRunEndsInTheSameFile) {
  ASSERT_TRUE(train_embedder(data_, path("base.gguf"), options(), {.out = path("a.gguf"), .threads = 1}));
  std::stop_source stop;
  auto stopped = train_embedder(data_, path("base.gguf"), options(),
                                {.out = path("b.gguf"),
                                 .threads = 1,
                                 .progress =
                                     [&](const Progress& p) {
                                       if (p.done > 20) stop.request_stop();
                                     },
                                 .cancel = stop.get_token()});
  if (!stopped) {  // a quick machine may be done before it is told
    EXPECT_EQ(stopped.error().code, Code::kCancelled);
    ASSERT_TRUE(train_embedder(data_, path("base.gguf"), options(), {.out = path("b.gguf"), .threads = 1}));
  }
  // Provenance holds CPU seconds: the weights are what has to be equal.
  auto a = formats::GgufFile::open(path("a.gguf")), b = formats::GgufFile::open(path("b.gguf"));
  ASSERT_TRUE(a && b);
  for (const auto& tensor : a->tensors()) {
    const auto* other = b->find_tensor(tensor.name);
    ASSERT_NE(other, nullptr);
    EXPECT_TRUE(std::ranges::equal(a->data(tensor), b->data(*other))) << tensor.name;
  }
}

TEST_F(EmbedTest, PairsAreOfOneDocument) {
  auto vocabulary = formats::GgufFile::open(path("base.gguf"));
  ASSERT_TRUE(vocabulary);
  auto tokenizer = text::load_tokenizer(*vocabulary);
  ASSERT_TRUE(tokenizer);
  auto* bpe = dynamic_cast<text::BpeTokenizer*>(tokenizer->get());
  ASSERT_NE(bpe, nullptr);
  auto store = TokenStore::make(data_, *bpe, {.out = path("s")});
  ASSERT_TRUE(store) << store.error().message;
  const double weight = 1;
  auto pairs = TextPairs::create(*store, {&weight, 1}, *bpe, 24);
  ASSERT_TRUE(pairs) << pairs.error().message;
  Rng rng(5);
  for (int i = 0; i < 300; ++i) {
    const TextPair pair = pairs->draw(rng);
    EXPECT_LE(pair.first.size(), 24U);
    EXPECT_LE(pair.second.size(), 24U);
    const std::string first = bpe->decode(pair.first), second = bpe->decode(pair.second);
    for (const char* animal : {"cat", "dog", "horse", "bird", "cow", "mouse", "lion"}) {
      if (first.find(animal) != std::string::npos && second.find("The ") != std::string::npos &&
          second.size() > 24) {
        EXPECT_NE(second.find(animal), std::string::npos) << first << " | " << second;
      }
    }
  }
}

TEST_F(EmbedTest, SaysWhatIsWrong) {
  EmbedOptions o = options();
  o.temperature = 0;
  auto bad = train_embedder(data_, path("base.gguf"), o, {.out = path("x.gguf"), .threads = 1});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("temperature: found 0"));
  o = options();
  o.max_tokens = 64;
  bad = train_embedder(data_, path("base.gguf"), o, {.out = path("x.gguf"), .threads = 1});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("max_tokens: found 64, expected below the 64"));
}

}  // namespace
}  // namespace bantam::train
