#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <numeric>

#include "base/rng.h"
#include "kernels/dispatch.h"
#include "model/family.h"
#include "model/learned_confidence.h"
#include "model/random_model.h"
#include "model/task.h"
#include "model/task_prompt.h"
#include "model/transformer.h"
#include "text/bpe.h"

namespace bantam::model {
namespace {

using formats::GgufFile;
using formats::GgufWriter;
using tensor::DType;

std::string temporary(std::string_view name) {
  return fmt::format("{}/bantam-{}-{}", std::filesystem::temp_directory_path().string(), ::getpid(), name);
}

Config small_config() {
  Config config;
  config.vocab_size = 320;
  config.context_length = 64;
  config.dim = 32;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 12;
  config.ffn_dim = 64;
  return config;
}

/// Writes metadata and tensors of a sound model after `change` has had its way with the metadata.
GgufFile changed(const std::function<void(GgufWriter&)>& change, std::string_view without = {}) {
  const auto path = temporary("sound.gguf"), out = temporary("changed.gguf");
  EXPECT_TRUE(write_random_model(path, small_config(), DType::kF32, 1));
  const auto file = GgufFile::open(path);
  GgufWriter writer;
  writer.copy_metadata(*file);
  for (const auto& tensor : file->tensors()) {
    if (tensor.name == without) continue;
    EXPECT_TRUE(writer.add_tensor(tensor.name, tensor.type, tensor.shape, file->data(tensor)));
  }
  change(writer);
  EXPECT_TRUE(writer.write(out));
  return std::move(*GgufFile::open(out));
}

TEST(Config, RoundTrips) {
  for (bool tied : {false, true}) {
    Config config = small_config();
    config.tied_head = tied;
    config.rms_eps = 1e-6F;
    config.rope_base = 5e5F;
    const auto path = temporary("config.gguf");
    ASSERT_TRUE(write_random_model(path, config, DType::kQ8_0, 1));
    const auto file = GgufFile::open(path);
    ASSERT_TRUE(file);
    const auto found = read_config(*file);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, config);
    uint64_t parameters = 0;
    for (const auto& tensor : file->tensors()) parameters += tensor.elements();
    EXPECT_EQ(parameter_count(config), parameters);
  }
}

TEST(Config, WrongValuesAreNamed) {
  struct Case {
    const char* key;
    formats::GgufValue value;
    Code code;
  };
  const Case cases[] = {
      {"general.architecture", std::string("gpt2"), Code::kUnsupported},
      {"llama.attention.head_count_kv", uint32_t{3}, Code::kCorrupt},
      {"llama.attention.key_length", uint32_t{7}, Code::kUnsupported},  // differs from value_length
      {"llama.rope.dimension_count", uint32_t{7}, Code::kCorrupt},
      {"llama.attention.sliding_window", std::string("wide"), Code::kCorrupt},
      {"llama.rope.scaling.factor", -2.0F, Code::kCorrupt},
      {"llama.block_count", uint32_t{0}, Code::kCorrupt},
      {"llama.block_count", uint32_t{1} << 20, Code::kCorrupt},
      {"llama.embedding_length", uint64_t{1} << 40, Code::kCorrupt},
      {"llama.embedding_length", std::string("x"), Code::kCorrupt},
      {"llama.rope.freq_base", 0.0F, Code::kCorrupt},
      {"llama.attention.layer_norm_rms_epsilon", -1.0F, Code::kCorrupt},
      {"llama.rope.scaling.type", std::string("sideways"), Code::kUnsupported},
      {"llama.expert_count", uint32_t{8}, Code::kUnsupported}};
  for (const auto& c : cases) {
    const auto file = changed([&](GgufWriter& writer) { writer.set(c.key, c.value); });
    const auto found = read_config(file);
    ASSERT_FALSE(found) << c.key;
    EXPECT_EQ(found.error().code, c.code) << found.error().message;
    EXPECT_NE(found.error().message.find("found"), std::string::npos) << found.error().message;
  }
  const auto odd = changed([](GgufWriter& writer) {
    for (const char* key :
         {"llama.attention.key_length", "llama.attention.value_length", "llama.rope.dimension_count"}) {
      writer.set(key, uint32_t{11});
    }
  });
  EXPECT_EQ(read_config(odd).error().code, Code::kCorrupt);
}

TEST(Config, OnlyPlainDecodersAreTrained) {
  const auto plain = changed([](GgufWriter&) {});
  EXPECT_TRUE(check_plain(plain, *read_config(plain)));
  const std::pair<const char*, formats::GgufValue> more[] = {{"llama.rope.scaling.factor", 2.0F},
                                                             {"llama.attention.sliding_window", uint32_t{8}},
                                                             {"llama.residual_scale", 0.5F},
                                                             {"llama.rope.dimension_count", uint32_t{6}}};
  for (const auto& [key, value] : more) {
    const auto file = changed([&](GgufWriter& writer) { writer.set(key, value); });
    const auto config = read_config(file);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(check_plain(file, *config).error().code, Code::kUnsupported) << key;
  }
  const std::vector<float> factors(6, 2.0F);
  const auto factored = changed([&](GgufWriter& writer) {
    EXPECT_TRUE(writer.add_tensor("rope_freqs.weight", DType::kF32, {6}, std::as_bytes(std::span(factors))));
  });
  EXPECT_TRUE(map_weights(factored, *read_config(factored)));
  EXPECT_EQ(check_plain(factored, *read_config(factored)).error().code, Code::kUnsupported);
}

TEST(Weights, MissingMisshapenAndUnusedTensorsAreNamed) {
  const auto missing = changed([](GgufWriter&) {}, "blk.1.ffn_up.weight");
  auto found = map_weights(missing, small_config());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kCorrupt);
  EXPECT_NE(found.error().message.find("blk.1.ffn_up.weight"), std::string::npos);

  const std::vector<float> values(32 * 48, 0.5F);
  const auto bytes = std::as_bytes(std::span(values));
  const auto misshapen = changed(
      [&](GgufWriter& writer) {
        EXPECT_TRUE(writer.add_tensor("blk.0.attn_q.weight", DType::kF32, {48, 32}, bytes));
      },
      "blk.0.attn_q.weight");
  found = map_weights(misshapen, small_config());
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("[48, 32], expected [32, 48]"), std::string::npos)
      << found.error().message;

  const auto unused = changed([&](GgufWriter& writer) {
    EXPECT_TRUE(writer.add_tensor("blk.0.extra.weight", DType::kF32, {6}, bytes.first(24)));
  });
  found = map_weights(unused, small_config());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kUnsupported);
  EXPECT_NE(found.error().message.find("blk.0.extra.weight"), std::string::npos);
}

TEST(Task, RoundTripsAndIsChecked) {
  Task task{.name = "tickets",
            .labels = {"a", "b"},
            .choices = {"A", "B"},
            .prompt = "<|x|>{input}",
            .calibration = {1.5, 0.7, 0.99, 100, 0.2, 0.1},
            .provenance = "{}"};
  const auto read = [](const Task& written) {
    return read_task(changed([&](GgufWriter& writer) { write_task(written, writer); }));
  };
  const auto found = read(task);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->labels, task.labels);
  EXPECT_EQ((*found)->choices, task.choices);
  EXPECT_EQ((*found)->prompt, task.prompt);
  EXPECT_EQ((*found)->calibration.temperature, 1.5);
  EXPECT_EQ((*found)->calibration.examples, 100U);
  EXPECT_FALSE(*read_task(changed([](GgufWriter&) {})));
  const std::function<void(Task&)> harm[] = {[](Task& t) { t.choices.pop_back(); },
                                             [](Task& t) { t.choices[1] = "A"; },
                                             [](Task& t) { t.labels[0] = ""; },
                                             [](Task& t) { t.labels = t.choices = {}; },
                                             [](Task& t) { t.prompt = "none"; },
                                             [](Task& t) { t.calibration.temperature = 0; },
                                             [](Task& t) { t.calibration.threshold = 1.5; },
                                             [](Task& t) { t.certificate->errors = 400; },
                                             [](Task& t) { t.certificate->reference = "guess"; },
                                             [](Task& t) { t.certificate->drift_counts[1] = 201; },
                                             [](Task& t) {
                                               t.certificate->drift_edges = {0.75, 0.5};
                                             }};
  EXPECT_FALSE((*found)->certificate);
  task.certificate = Certificate{.error = 0.01,
                                 .confidence = 0.95,
                                 .threshold = 0.7,
                                 .examples = 500,
                                 .kept = 350,
                                 .bound = 0.0085,
                                 .drift_edges = {0.5, 0.75},
                                 .drift_counts = {100, 200, 200}};
  const auto certified = read(task);
  ASSERT_TRUE(certified && *certified && (*certified)->certificate);
  EXPECT_EQ((*certified)->certificate->kept, 350U);
  EXPECT_EQ((*certified)->certificate->drift_edges, task.certificate->drift_edges);
  EXPECT_EQ((*certified)->certificate->drift_counts, task.certificate->drift_counts);
  EXPECT_TRUE((*certified)->calibrated());
  for (const auto& change : harm) {
    Task broken = task;
    change(broken);
    const auto result = read(broken);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kCorrupt);
  }
}

TEST(TaskPrompt, ControlTokensOfTheUserStayText) {
  const std::vector<std::string> texts{"where is my card", "my card has not arrived"};
  const auto tokenizer =
      text::train_bpe(texts, {.vocab_size = 300, .control = {"<|end|>", "<|answer|>"}, .whole = {"card"}});
  ASSERT_TRUE(tokenizer);
  const Task task{.labels = {"card", "other"}, .choices = {"card", "other"}, .prompt = "{input}<|answer|>"};
  const auto prompt = TaskPrompt::create(task, **tokenizer);
  ASSERT_TRUE(prompt);
  const auto tokens = prompt->encode("my <|answer|> card");
  ASSERT_TRUE(tokens);
  const auto answer = *(*tokenizer)->find("<|answer|>");
  EXPECT_EQ(tokens->front(), *(*tokenizer)->bos());
  EXPECT_EQ(tokens->back(), answer);
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), answer), 1);
  const auto choices = encode_choices(task, **tokenizer);
  ASSERT_TRUE(choices);
  EXPECT_EQ((*choices)[0], std::vector<text::TokenId>{*(*tokenizer)->find("card")});
  EXPECT_GT((*choices)[1].size(), 1U);
}

TEST(Transformer, AllInstructionSetsAgree) {
  for (DType type : {DType::kF32, DType::kF16, DType::kQ8_0, DType::kQ4_0}) {
    Config config = small_config();
    const auto path = temporary("isa.gguf");
    ASSERT_TRUE(write_random_model(path, config, type, 5));
    const auto file = GgufFile::open(path);
    std::vector<std::vector<float>> found;
    for (const char* isa : {"ref", "avx2", "avx512", "neon", "neon_dotprod", "neon_i8mm"}) {
      const auto table = kernels::table_by_name(isa);
      if (!table) continue;  // not on this machine
      ThreadPool pool(1);
      auto weights = map_weights(*file, config);
      ASSERT_TRUE(weights);
      const auto panels = interleave(*file, weights->products(), **table, pool);
      ASSERT_TRUE(panels);
      const Transformer transformer(config, *weights, **table, pool, config.context_length);
      auto workspace = Workspace::create(config, 16);
      auto page = tensor::Storage::allocate(KvCache::page_bytes(config, DType::kF16));
      std::byte* const pages[] = {page->data()};
      const KvCache cache{DType::kF16, kPageTokens, pages};
      const std::vector<int32_t> tokens{3, 200, 17, 17, 90, 4, 250};
      std::vector<uint32_t> outputs(tokens.size());
      std::iota(outputs.begin(), outputs.end(), 0U);
      std::vector<float> hidden(tokens.size() * config.dim), logits(tokens.size() * config.vocab_size);
      transformer.forward({tokens, 0, outputs}, cache, *workspace, hidden.data());
      transformer.logits(hidden.data(), tokens.size(), {}, *workspace, logits.data());
      found.push_back(logits);
    }
    // Rounding of activations to int8 may fall to either side of a tie, which moves a logit by a step of the
    // block.
    const float bound = tensor::block_elements(type) > 1 ? 0.05F : 2e-3F;
    EXPECT_GE(found.size(), 2u) << "this machine has the reference only";
    for (size_t k = 1; k < found.size(); ++k) {
      for (size_t i = 0; i < found[0].size(); ++i) ASSERT_NEAR(found[0][i], found[k][i], bound) << k;
    }
  }
}

TEST(LearnedConfidence, SurvivesAFileAndIsChecked) {
  LearnedConfidence learned{.weights = {0.5, -0.25, 2},
                            .samples = 4,
                            .sample_temperature = 0.75,
                            .agreement = "words",
                            .agreement_bound = 0.5,
                            .self_check = true,
                            .self_check_prompt = "{request} {draft}",
                            .yes = "ja",
                            .no = "nein",
                            .fitted = 100,
                            .tested = 200,
                            .ece_before = 0.25,
                            .ece_after = 0.125,
                            .certificate = Certificate{.error = 0.01, .confidence = 0.95, .examples = 9}};
  const auto read = [](const std::optional<LearnedConfidence>& written) {
    return read_learned_confidence(
        changed([&](GgufWriter& writer) { write_learned_confidence(written, writer); }));
  };
  const auto found = read(learned);
  ASSERT_TRUE(found && *found) << found.error().message;
  EXPECT_EQ((*found)->weights, learned.weights);
  EXPECT_EQ((*found)->samples, 4U);
  EXPECT_EQ((*found)->agreement, "words");
  EXPECT_TRUE((*found)->self_check);
  EXPECT_EQ((*found)->yes, "ja");
  EXPECT_EQ((*found)->tested, 200U);
  EXPECT_EQ((*found)->ece_after, 0.125);
  ASSERT_TRUE((*found)->certificate);
  EXPECT_EQ((*found)->certificate->examples, 9U);
  // It is no certificate of the task's own confidence.
  EXPECT_FALSE(
      *read_certificate(changed([&](GgufWriter& writer) { write_learned_confidence(learned, writer); })));
  EXPECT_FALSE(*read(std::nullopt));
  const std::function<void(LearnedConfidence&)> harm[] = {
      [](LearnedConfidence& c) { c.weights[1] = std::nan(""); },
      [](LearnedConfidence& c) { c.samples = 65; },
      [](LearnedConfidence& c) { c.sample_temperature = 0; },
      [](LearnedConfidence& c) { c.agreement = "taste"; },
      [](LearnedConfidence& c) { c.ece_before = -1; },
      [](LearnedConfidence& c) { c.certificate->kept = 10; }};
  for (const auto& change : harm) {
    LearnedConfidence broken = learned;
    change(broken);
    const auto result = read(broken);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kCorrupt);
  }
}

}  // namespace
}  // namespace bantam::model
