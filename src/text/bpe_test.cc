#include "text/bpe.h"

#include <gmock/gmock.h>

#include <map>
#include <thread>
#include <unordered_map>

#include "base/usage.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/byte_level_bpe.h"
#include "text/splitter_schemes.h"
#include "text/vectors_for_test.h"

namespace bantam::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kTexts = {
    "the card has not arrived",  "the card has arrived, the other card has not",
    "where is the card?",        "the top-up failed",
    "my top-up has not arrived", "why has the top-up failed <|end|>",
    "caf\xC3\xA9 caf\xC3\xA9"};

std::unique_ptr<BpeTokenizer> small_tokenizer() {
  auto out = train_bpe(kTexts, {.vocab_size = 330,
                                .control = {"<|end|>", "<|answer|>"},
                                .whole = {"card arrival", "card"},
                                .min_frequency = 2});
  EXPECT_TRUE(out) << out.error().message;
  return std::move(*out);
}

std::string random_text(Rng& rng) {
  std::string out;
  for (uint64_t n = rng.below(40); n > 0; --n) {
    switch (rng.below(4)) {
      case 0:
        out += kTexts[rng.below(kTexts.size())];
        break;
      case 1:
        append_utf8(out, static_cast<uint32_t>(0x20 + rng.below(0x2000)));
        break;
      default:
        out += static_cast<char>(rng.below(256));
    }
  }
  return out;
}

TEST(Bpe, EveryByteStringRoundTrips) {
  auto tokenizer = small_tokenizer();
  auto again = reload(*tokenizer);
  ASSERT_TRUE(again) << again.error().message;
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text = random_text(rng);
    auto ids = tokenizer->encode(text, {.add_special = false});
    ASSERT_TRUE(ids);
    EXPECT_EQ(tokenizer->decode(*ids), text);
    EXPECT_EQ((*again)->encode(text, {.add_special = false}).value(), *ids);
    EXPECT_EQ((*again)->decode(*ids), text);
  }
}

TEST(Bpe, ControlTokensAreParsedOnlyOnRequest) {
  auto tokenizer = small_tokenizer();
  auto plain = tokenizer->encode("a<|answer|>b", {.add_special = false}).value();
  EXPECT_THAT(plain, testing::Each(testing::Ge(2)));
  EXPECT_EQ(tokenizer->decode(plain), "a<|answer|>b");
  auto parsed = tokenizer->encode("a<|answer|>b", {.add_special = true, .parse_special = true}).value();
  EXPECT_THAT(parsed, ElementsAre(0, 2 + 'a', 1, 2 + 'b'));
  EXPECT_EQ(tokenizer->decode(parsed), "ab");
  EXPECT_EQ(tokenizer->decode(parsed, true), "<|end|>a<|answer|>b");
  EXPECT_EQ(tokenizer->find("<|answer|>"), 1);
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_EQ(tokenizer->eos(), 0);
  EXPECT_TRUE(tokenizer->is_end(0));
  EXPECT_FALSE(tokenizer->is_end(5));
  EXPECT_THAT(tokenizer->encode("").value(), ElementsAre(0));
  // a text of the training data that looks like a control token became no merge
  auto end = tokenizer->encode("<|end|>", {.add_special = false}).value();
  EXPECT_GT(end.size(), 1U);
}

TEST(Bpe, WholeTokensAreReachedByNoText) {
  auto tokenizer = small_tokenizer();
  auto arrival = tokenizer->find("card arrival"), card = tokenizer->find("card");
  ASSERT_TRUE(arrival && card);
  EXPECT_EQ(*arrival, static_cast<TokenId>(tokenizer->vocab_size() - 2));
  EXPECT_EQ(tokenizer->piece(*arrival), "card arrival");
  for (const char* text : {"card", "card arrival", " card", "the card card", "card "}) {
    auto ids = tokenizer->encode(text).value();
    EXPECT_THAT(ids, testing::Not(testing::Contains(*arrival)));
    EXPECT_THAT(ids, testing::Not(testing::Contains(*card)));
  }
  auto again = reload(*tokenizer);
  EXPECT_THAT((*again)->encode("card").value(), testing::Not(testing::Contains(*card)));
  EXPECT_EQ((*again)->find("card arrival"), arrival);
}

TEST(Bpe, Dropout) {
  auto tokenizer = small_tokenizer();
  Rng rng(7);
  std::string text = "the card has not arrived";
  const Segment whole[] = {{.text = text}};
  auto plain = tokenizer->encode(text, {.add_special = false}).value();
  EXPECT_EQ(tokenizer->encode_with_dropout(whole, 0, rng).value(), plain);
  EXPECT_EQ(tokenizer->encode_with_dropout(whole, 1, rng).value().size(), text.size());
  double sum = 0;
  for (int i = 0; i < 300; ++i) {
    auto ids = tokenizer->encode_with_dropout(whole, 0.2, rng).value();
    EXPECT_EQ(tokenizer->decode(ids), text);
    sum += static_cast<double>(ids.size());
  }
  EXPECT_GT(sum / 300, static_cast<double>(plain.size()) + 0.5);
  Rng a(3), b(3);
  EXPECT_EQ(tokenizer->encode_with_dropout(whole, 0.5, a).value(),
            tokenizer->encode_with_dropout(whole, 0.5, b).value());
}

/// Training as its definition reads: count all pairs anew for each merge.
std::vector<std::string> merges_by_definition(const std::vector<std::string>& texts, size_t count,
                                              int64_t least) {
  auto splitter = Splitter::create("gpt-2");
  std::map<std::string, int64_t> counts;
  for (const auto& text : texts)
    EXPECT_TRUE(splitter->split(text, [&](std::string_view word) { ++counts[std::string(word)]; }));
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  std::vector<std::pair<std::vector<size_t>, int64_t>> words;
  for (const auto& [word, n] : counts) words.push_back({std::vector<size_t>(), n});
  size_t w = 0;
  for (const auto& [word, n] : counts) {
    for (unsigned char byte : word) words[w].first.push_back(byte);
    ++w;
  }
  std::vector<std::string> out;
  while (out.size() < count) {
    std::map<std::pair<size_t, size_t>, int64_t> pairs;
    for (const auto& [ids, n] : words) {
      for (size_t i = 1; i < ids.size(); ++i) pairs[{ids[i - 1], ids[i]}] += n;
    }
    std::pair<size_t, size_t> best;
    int64_t most = 0;
    for (const auto& [pair, n] : pairs) {
      if (n > most) most = n, best = pair;
    }
    if (most < least) break;
    out.push_back(bytes_to_text(tokens[best.first]) + " " + bytes_to_text(tokens[best.second]));
    std::string text = tokens[best.first] + tokens[best.second];
    auto known = std::ranges::find(tokens, text);
    size_t id = known - tokens.begin();
    if (known == tokens.end()) tokens.push_back(text);
    for (auto& [ids, n] : words) {
      std::vector<size_t> next;
      for (size_t i = 0; i < ids.size(); ++i) {
        bool hit = i + 1 < ids.size() && ids[i] == best.first && ids[i + 1] == best.second;
        next.push_back(hit ? id : ids[i]);
        i += hit ? 1 : 0;
      }
      ids = next;
    }
  }
  return out;
}

TEST(BpeTraining, EqualsTheDefinition) {
  std::vector<std::string> texts = kTexts;
  Rng rng(11);
  for (int i = 0; i < 60; ++i) {
    std::string text;
    for (int j = 0; j < 30; ++j)
      text += static_cast<char>("ab c"[rng.below(4)]);  // runs of equal letters, many ties
    texts.push_back(text);
  }
  auto tokenizer =
      train_bpe(texts, {.vocab_size = 256 + 120, .control = {}, .whole = {}, .min_frequency = 2});
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  formats::GgufWriter file;
  (*tokenizer)->save(file);
  const auto& merges =
      std::get<std::vector<std::string>>(std::get<formats::GgufArray>(*file.find("tokenizer.ggml.merges")));
  EXPECT_GE(merges.size(), 100U);
  EXPECT_EQ(merges, merges_by_definition(texts, merges.size(), 2));
}

TEST(BpeTraining, Refusals) {
  EXPECT_EQ(train_bpe({}, {}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(train_bpe(kTexts, {.vocab_size = 256, .control = {"<|end|>"}, .whole = {}}).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(train_bpe(kTexts, {.control = {"x", "x"}, .whole = {}}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(train_bpe(kTexts, {.control = {"xy"}, .whole = {"xy"}}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(train_bpe(kTexts, {.control = {}, .whole = {"x"}}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(train_bpe(kTexts, {.control = {""}, .whole = {}}).error().code, Code::kInvalidArgument);
}

TEST(BpeTraining, TenThousandTexts) {
  Rng rng(5);
  std::vector<std::string> words;
  for (int i = 0; i < 3000; ++i) {
    std::string word;
    for (uint64_t n = 2 + rng.below(8); n > 0; --n) word += static_cast<char>('a' + rng.below(26));
    words.push_back(word);
  }
  std::vector<std::string> texts;
  for (int i = 0; i < 10000; ++i) {
    std::string text;
    for (int j = 0; j < 12; ++j) text += words[rng.below(1 + rng.below(words.size()))] + " ";
    texts.push_back(text);
  }
  double start = process_cpu_seconds();
  auto tokenizer = train_bpe(texts, {.vocab_size = 4096, .control = {"<|end|>"}, .whole = {}});
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 4096U);
  EXPECT_LT(process_cpu_seconds() - start, 5.0);
}

TEST(Bpe, LongWordsAreNotQuadratic) {
  auto tokenizer = small_tokenizer();
  std::string text(2000000, 'a');
  for (size_t i = 0; i < text.size(); i += 3) text[i] = 'c';
  double start = process_cpu_seconds();
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text).value()), text);
  std::string blanks(2000000, ' ');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(blanks + "x").value()), blanks + "x");
  EXPECT_LT(process_cpu_seconds() - start, 10.0);
}

TEST(Bpe, ManyThreadsGiveTheSame) {
  auto tokenizer = small_tokenizer();
  auto expected = tokenizer->encode(kTexts[1]).value();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) wrong += tokenizer->encode(kTexts[1]).value() == expected ? 0 : 1;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Bpe, ListedEndsEndAndAreKept) {
  formats::GgufWriter file;
  small_tokenizer()->save(file);
  file.set("tokenizer.ggml.eos_token_ids", formats::GgufArray(std::vector<int32_t>{0, 5, 7}));
  const std::string path = fmt::format("{}bantam-{}-ends.gguf", testing::TempDir(), ::getpid());
  for (int i = 0; i < 2; ++i) {  // from the keys, and from what save() makes of them
    ASSERT_TRUE(file.write(path));
    const auto tokenizer = load_tokenizer(formats::GgufFile::open(path).value());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    for (TokenId id : {0, 5, 7}) EXPECT_TRUE((*tokenizer)->is_end(id)) << id;
    EXPECT_FALSE((*tokenizer)->is_end(6));
    EXPECT_FALSE((*tokenizer)->is_end(-1));
    file = {};
    (*tokenizer)->save(file);
  }
  std::filesystem::remove(path);
}

TEST(Bpe, CorruptKeys) {
  auto load = [](auto change) {
    formats::GgufWriter file;
    small_tokenizer()->save(file);
    change(file);
    std::string path = fmt::format("{}bantam-{}-corrupt.gguf", testing::TempDir(), ::getpid());
    EXPECT_TRUE(file.write(path));
    auto parsed = formats::GgufFile::open(path);
    std::filesystem::remove(path);
    auto out = load_tokenizer(parsed.value());
    return out ? Error{Code::kInternal, "loaded"} : out.error();
  };
  using formats::GgufArray;
  using formats::GgufWriter;
  EXPECT_EQ(load([](GgufWriter&) {}).message, "loaded");
  EXPECT_EQ(load([](GgufWriter& f) { f.remove("tokenizer.ggml.model"); }).code, Code::kNotFound);
  EXPECT_EQ(load([](GgufWriter& f) { f.set("tokenizer.ggml.model", "rwkv"); }).code, Code::kUnsupported);
  Error pre = load([](GgufWriter& f) { f.set("tokenizer.ggml.pre", "nosuch"); });
  EXPECT_EQ(pre.code, Code::kUnsupported);
  EXPECT_THAT(pre.message, HasSubstr("\"nosuch\""));
  EXPECT_EQ(load([](GgufWriter& f) { f.remove("tokenizer.ggml.tokens"); }).code, Code::kNotFound);
  EXPECT_EQ(load([](GgufWriter& f) { f.set("tokenizer.ggml.bos_token_id", uint32_t{100000}); }).code,
            Code::kCorrupt);
  EXPECT_EQ(load([](GgufWriter& f) { f.remove("tokenizer.ggml.bos_token_id"); }).code, Code::kCorrupt);
  for (int32_t id : {-1, 100000}) {
    const Error ends = load(
        [id](GgufWriter& f) { f.set("tokenizer.ggml.eos_token_ids", GgufArray(std::vector<int32_t>{0, id})); });
    EXPECT_EQ(ends.code, Code::kCorrupt);
    EXPECT_THAT(ends.message, HasSubstr(fmt::format("tokenizer.ggml.eos_token_ids: found {}", id)));
  }
  for (const char* merge : {"zzz q", "a", "", " ", "a  b"}) {
    EXPECT_EQ(load([&](GgufWriter& f) {
                f.set("tokenizer.ggml.merges", GgufArray(std::vector<std::string>{merge}));
              }).code,
              Code::kCorrupt);
  }
  EXPECT_EQ(load([](GgufWriter& f) {
              f.set("tokenizer.ggml.token_type", GgufArray(std::vector<int32_t>{1, 2}));
            }).code,
            Code::kCorrupt);
}

TEST(Bpe, MissingBytesAreAnErrorNotACrash) {
  BpeVocabulary vocab;
  vocab.texts = {"a", "b", "ab"};
  vocab.types.assign(3, TokenType::kNormal);
  vocab.merges = {{0, 1}};
  auto tokenizer = ByteLevelBpe::create(vocab, "test").value();
  EXPECT_THAT(tokenizer->encode("aba", {}).value(), ElementsAre(2, 0));
  EXPECT_EQ(tokenizer->encode("abc", {}).error().code, Code::kInvalidArgument);
}

class BpeVectors : public testing::TestWithParam<const char*> {};

TEST_P(BpeVectors, SameIdsAsLlamaCpp) {
  std::string base = kData + "tokenizers/gguf/ggml-vocab-" + GetParam() + ".gguf";
  if (!std::filesystem::exists(base)) GTEST_SKIP() << base << " is not there";
  auto file = formats::GgufFile::open(base);
  ASSERT_TRUE(file) << file.error().message;
  auto tokenizer = load_tokenizer(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(**tokenizer, base);
  auto again = reload(**tokenizer);
  ASSERT_TRUE(again) << again.error().message;
  expect_vectors(**again, base);
}
INSTANTIATE_TEST_SUITE_P(Files, BpeVectors,
                         testing::Values("gpt-2", "falcon", "mpt", "refact", "starcoder", "deepseek-coder",
                                         "deepseek-llm"));

std::string base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                : c >= 'a' && c <= 'z' ? c - 'a' + 26
                : c >= '0' && c <= '9' ? c - '0' + 52
                : c == '+'             ? 62
                : c == '/'             ? 63
                                       : -1;
    if (value < 0) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((held += 6) >= 8) out += static_cast<char>(bits >> (held -= 8));
  }
  return out;
}

/// Lines "base64 rank" list tokens only; the pair that makes a token is what the lower ranks leave of it.
BpeVocabulary from_ranks(const std::string& path) {
  BpeVocabulary out;
  std::istringstream lines(read_file(path).value());
  std::string token, rank;
  std::unordered_map<std::string, TokenId> ids;
  while (lines >> token >> rank) {
    out.texts.push_back(base64(token));
    ids.emplace(out.texts.back(), std::stoi(rank));
  }
  out.types.assign(out.texts.size(), TokenType::kNormal);
  for (size_t id = 0; id < out.texts.size(); ++id) {
    const auto& text = out.texts[id];
    MergeState state;
    for (size_t i = 0; i < text.size(); ++i) state.add(0, static_cast<uint32_t>(i), 1);
    merge_all(state, [&](const MergeSymbol& l, const MergeSymbol& r) -> std::optional<MergeResult> {
      auto found = ids.find(text.substr(l.begin, l.length + r.length));
      if (found == ids.end() || found->second >= static_cast<TokenId>(id)) return std::nullopt;
      return MergeResult{static_cast<double>(found->second), found->second};
    });
    int32_t second = state.symbols[0].next;
    if (second < 0 || state.symbols[second].next >= 0) continue;  // a byte, or reached as a whole word only
    out.merges.emplace_back(ids.at(text.substr(0, state.symbols[0].length)),
                            ids.at(text.substr(state.symbols[0].length)));
  }
  return out;
}

class RankVectors : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(RankVectors, SameIdsAsLlamaCpp) {
  auto [pre, ranks] = GetParam();
  std::string path = kData + "tokenizers/" + ranks;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  BpeVocabulary vocab = from_ranks(path);
  vocab.pre = pre;
  auto tokenizer = ByteLevelBpe::create(std::move(vocab), path);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  expect_vectors(**tokenizer, kData + "tokenizers/gguf/ggml-vocab-" + pre + ".gguf");
}
INSTANTIATE_TEST_SUITE_P(Files, RankVectors,
                         testing::Values(std::pair("llama-bpe", "llama3/tokenizer.model"),
                                         std::pair("qwen2", "qwen/qwen.tiktoken")));

TEST(Splitter, PartsAreTheWhole) {
  Rng rng(2);
  for (const auto& scheme : split_schemes()) {
    auto splitter = Splitter::create(scheme.names[0]);
    ASSERT_TRUE(splitter) << splitter.error().message;
    for (int i = 0; i < 300; ++i) {
      std::string text = random_text(rng), joined;
      ASSERT_TRUE(splitter->split(text, [&](std::string_view piece) {
        EXPECT_FALSE(piece.empty());
        if (find_broken_utf8(piece) != std::string_view::npos) {
          EXPECT_EQ(piece.size(), 1U);
        }
        joined += piece;
      }));
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(ByteLevel, RoundTrips) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(text_to_bytes(bytes_to_text(all)), all);
  EXPECT_EQ(bytes_to_text(" a\n"),
            "\xC4\xA0"
            "a\xC4\x8A");
  EXPECT_FALSE(text_to_bytes(" "));
  EXPECT_FALSE(text_to_bytes("\xFF"));
}

}  // namespace
}  // namespace bantam::text
