#include "train/pretrain.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/rng.h"
#include "runtime/engine.h"
#include "text/chat_template.h"
#include "train/chat_form.h"
#include "train/token_store.h"

namespace bantam::train {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

class PretrainTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("bantam_pretrain_test_{}", ::getpid());
    fs::create_directories(folder_);
    configure_torch(1);
    data_.parts = {{"tales", put("tales.txt", documents(60, 1)), 1.0},
                   {"talk", put("talk.txt", documents(40, 2)), 1.5}};
    data_.vocab_size = 400;
    data_.tokenizer_bytes = 1 << 20;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string put(const std::string& name, const std::string& text) {
    EXPECT_TRUE(write_file(path(name), text));
    return path(name);
  }
  static std::string documents(int count, uint64_t seed) {
    const char* words[] = {"the", "cat", "sat", "on",    "a",    "mat",
                           "and", "saw", "two", "birds", "over", "there"};
    Rng rng(seed);
    std::string out;
    for (int i = 0; i < count; ++i) {
      const uint64_t length = 5 + rng.below(120);
      for (uint64_t w = 0; w < length; ++w)
        out += fmt::format("{}{}", w == 0 ? "" : " ", words[rng.below(12)]);
      out += "\n<|endoftext|>\n";
    }
    return out;
  }
  static model::Config shape() {
    model::Config c;
    c.dim = 32;
    c.layers = 1;
    c.heads = c.kv_heads = 2;
    c.head_dim = 16;
    c.ffn_dim = 64;
    c.context_length = 32;
    c.tied_head = true;
    return c;
  }
  static PretrainOptions options() {
    PretrainOptions o;
    o.context = 32;
    o.batch = 4;
    o.accumulate = 2;
    o.tokens = 32 * 8 * 40;
    o.learning_rate = 0.01;
    o.evaluate_every = 20;
    o.evaluate_rows = 4;
    return o;
  }
  Result<PretrainReport> run(const std::string& out, ProgressSink progress = {},
                             std::stop_token cancel = {}) {
    return pretrain(data_, shape(), "", options(),
                    {.out = path(out),
                     .checkpoint_seconds = 0.02,
                     .threads = 1,
                     .progress = std::move(progress),
                     .cancel = cancel});
  }
  /// The log without what a clock said.
  std::vector<json> log(const std::string& out) {
    std::vector<json> lines;
    const std::string text = read_file(path(out) + ".log.jsonl").value();
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      lines.push_back(json::parse(text.substr(at, end - at)));
      lines.back().erase("seconds");
      at = end + 1;
    }
    return lines;
  }

  fs::path folder_;
  PretrainData data_;
};

TEST_F(PretrainTest, LearnsAndTheEngineReadsIt) {
  auto report = run("m.gguf");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->job.steps, 40U);
  EXPECT_EQ(report->job.tokens, 40U * 8U * 32U);
  ASSERT_EQ(report->bits_per_byte.size(), 2U);
  const auto lines = log("m.gguf");
  EXPECT_EQ(lines.size(), 42U);
  EXPECT_LT(lines[40]["loss"].get<double>(), 0.7 * lines[0]["loss"].get<double>());
  EXPECT_GT(lines[20]["bits_per_byte"]["talk"].get<double>(), report->bits_per_byte[1].second);
  auto engine = runtime::Engine::load(path("m.gguf"), {.threads = 1, .context_length = 0, .batch = 64});
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_FALSE(fs::exists(path("m.gguf.checkpoint")));
}

TEST_F(PretrainTest, AStoppedRunHasTheSameLossesAndTheSameModel) {
  ASSERT_TRUE(run("whole.gguf"));
  int sittings = 0;
  for (bool done = false; !done && sittings < 50; ++sittings) {
    std::stop_source stop;
    uint64_t first = 0;
    auto part = run(
        "parts.gguf",
        [&](const Progress& p) {
          if (p.step != "pretrain") return;
          if (first == 0) first = p.done;
          if (p.done > first + 3) stop.request_stop();
        },
        stop.get_token());
    done = part.has_value();
    if (!done) {
      ASSERT_EQ(part.error().code, Code::kCancelled) << part.error().message;
    }
    if (!done && sittings == 0) {  // as a kill -9 in the middle of a line leaves it
      std::string text = read_file(path("parts.gguf.log.jsonl")).value();
      ASSERT_TRUE(write_file(path("parts.gguf.log.jsonl"), text + "{\"step\": 5, \"lo"));
    }
  }
  EXPECT_EQ(log("parts.gguf"), log("whole.gguf"));
}

TEST_F(PretrainTest, EveryTokenOnceAnEpochAndHeldBackOnesNever) {
  ASSERT_TRUE(run("m.gguf"));
  auto file = formats::GgufFile::open(path("m.gguf"));
  auto loaded = text::load_tokenizer(*file);
  auto* bpe = dynamic_cast<text::BpeTokenizer*>(loaded->get());
  ASSERT_NE(bpe, nullptr);
  auto store = TokenStore::make(
      data_, *bpe,
      {.out = path("m.gguf"), .checkpoint_seconds = 1, .threads = 1, .progress = {}, .cancel = {}});
  ASSERT_TRUE(store) << store.error().message;
  std::map<int64_t, int64_t> expected, found;
  uint64_t total = 0, held = 0;
  for (size_t i = 0; i < store->size(); ++i) {
    const auto document = store->document(i);
    held += document.held_back ? 1 : 0;
    if (document.held_back) continue;
    ++expected[0];
    for (uint16_t id : document.tokens) ++expected[id];
    total += document.tokens.size() + 1;
  }
  EXPECT_EQ(held, 10U);
  const double weights[] = {1, 1};
  Windows windows(*store, weights, 16, 0, 7), again(*store, weights, 16, 0, 7);
  EXPECT_EQ(windows.epoch_tokens(), total);
  std::vector<int64_t> row(17), other(17);
  const uint64_t rows = (total - 1) / 16 - 1;
  for (uint64_t r = 0; r < rows; ++r) {
    windows.row(r, row);
    for (size_t i = 0; i < 16; ++i) ++found[row[i]];
  }
  // All but what the shift and the last incomplete windows leave out.
  int64_t missing = 0;
  for (const auto& [id, count] : expected) {
    EXPECT_LE(found[id], count);
    missing += count - found[id];
  }
  EXPECT_LT(missing, 16 * 4);
  again.row(3 * rows, other);  // any order of asking gives the same rows
  again.row(2, other);
  windows.row(2, row);
  EXPECT_EQ(row, other);
  EXPECT_TRUE(windows.held_back_row(1, 0, 2, row));
}

TEST_F(PretrainTest, RefusesWhatCannotBe) {
  auto error_of = [&](const PretrainData& data, PretrainOptions o, model::Config c) {
    auto report = pretrain(
        data, c, "", o,
        {.out = path("x.gguf"), .checkpoint_seconds = 1, .threads = 1, .progress = {}, .cancel = {}});
    return report ? std::string("no error") : report.error().message;
  };
  PretrainData empty = data_;
  empty.parts[0].file = put("empty.txt", "");
  EXPECT_THAT(error_of(empty, options(), shape()), HasSubstr("empty.txt: found no document"));
  empty.parts[0].file = path("none.txt");
  EXPECT_THAT(error_of(empty, options(), shape()), HasSubstr("none.txt"));
  PretrainOptions o = options();
  o.precision = "int3";
  EXPECT_THAT(error_of(data_, o, shape()), HasSubstr("precision: found int3"));
  data_.vocab_size = 100;
  EXPECT_THAT(error_of(data_, options(), shape()), HasSubstr("vocab_size: found 100"));
}

TEST_F(PretrainTest, ConversationsAreWhatTheirTemplateWrites) {
  data_.control = {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    lines += json{{"messages",
                   {{{"role", "user"}, {"content", fmt::format("the cat saw {} birds?", i)}},
                    {{"role", "assistant"}, {"content", "two <|end|> birds over there"}}}}}
                 .dump() +
             "\n";
  }
  data_.parts.push_back({"chat", put("chat.jsonl", lines), 1.0});
  PretrainOptions o = options();
  o.answers_only = true;
  o.keep_every = 25;
  auto report = pretrain(data_, shape(), "", o, {.out = path("m.gguf"), .threads = 1});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(fs::exists(path("m.step-25.gguf")));
  auto engine = runtime::Engine::load(path("m.gguf"), {.threads = 1, .context_length = 0, .batch = 64});
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ((*engine)->chat_template(), kChatTemplate);
  // As the server builds a prompt, so the trainer builds its texts.
  const std::vector<text::ChatTurn> turns{{"user", "the cat saw 7 birds?"}};
  auto prompt = text::render_chat((*engine)->chat_template(), turns, true);
  ASSERT_TRUE(prompt) << prompt.error().message;
  auto asked = text::encode_chat((*engine)->tokenizer(), *prompt);
  ASSERT_TRUE(asked);
  if (asked->front() == (*engine)->tokenizer().bos()) asked->erase(asked->begin());
  auto learned = encode_conversation(
      R"({"messages":[{"role":"user","content":"the cat saw 7 birds?"},{"role":"assistant","content":"a<|end|>"}]})",
      (*engine)->tokenizer());
  ASSERT_TRUE(learned) << learned.error().message;
  ASSERT_GT(learned->size(), asked->size());
  EXPECT_TRUE(std::equal(asked->begin(), asked->end(), learned->begin()));
  // A control token in a content is text: one <|end|> for each turn.
  EXPECT_EQ(std::ranges::count(*learned, *(*engine)->tokenizer().find("<|end|>")), 2);
}

TEST_F(PretrainTest, OnlyAnswersAreLearned) {
  auto tokenizer =
      text::train_bpe(std::vector<std::string>{"hello there"},
                      {.vocab_size = 270,
                       .control = {"<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"},
                       .whole = {}});
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const int64_t start = 0, user = *(*tokenizer)->find("<|user|>"),
                assistant = *(*tokenizer)->find("<|assistant|>"), end = *(*tokenizer)->find("<|end|>");
  const AnswerMask mask(**tokenizer, 0);
  const auto learned = [&](std::vector<int64_t> row) {
    std::vector<int64_t> targets(row.begin() + 1, row.end());
    row.pop_back();
    mask.apply(row, targets);
    return targets;
  };
  using testing::ElementsAre;
  EXPECT_THAT(learned({start, user, 9, end, assistant, 8, 7, end, user, 6}),
              ElementsAre(-1, -1, -1, -1, 8, 7, end, -1, -1));
  // In the middle of nobody knows whose turn; then a plain document.
  EXPECT_THAT(learned({9, 9, end, start, 5, 6, start, user, 7}),
              ElementsAre(-1, -1, -1, 5, 6, start, -1, -1));
  EXPECT_THAT(learned({9, 9, start, 5, 6}), ElementsAre(9, start, 5, 6));
}

TEST_F(PretrainTest, SaysWhatIsWrongWithAConversation) {
  data_.control = {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};
  data_.parts.push_back({"chat", put("chat.jsonl", "{\"messages\":[{\"role\":\"user\"}]}\n"), 1.0});
  auto report = run("m.gguf");
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message,
              HasSubstr("chat.jsonl: document 1: found a message without role or content"));
}

}  // namespace
}  // namespace bantam::train
