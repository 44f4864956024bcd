#include "model/hf_import.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "formats/safetensors.h"
#include "model/hf_export.h"
#include "model/random_model.h"
#include "text/byte_level.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_gguf.h"

namespace bantam::model {
namespace {

using formats::GgufFile;
using testing::HasSubstr;
using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr uint32_t kHeadDim = 12;

class Import : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fmt::format("{}bantam-import-{}", testing::TempDir(), ::getpid());
    fs::create_directories(directory_);
    config_.vocab_size = 320;
    config_.context_length = 64;
    config_.dim = 32;
    config_.layers = 2;
    config_.heads = 4;
    config_.kv_heads = 2;
    config_.head_dim = kHeadDim;
    config_.ffn_dim = 64;
    ASSERT_TRUE(write_random_model(path("random.gguf"), config_, formats::GgmlType::kF32, 7));
    original_ = GgufFile::open(path("random.gguf")).value();
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  /// The original's tensor under its name at Hugging Face; rows of rotated heads go to (i, i + d/2).
  void add(const std::string& gguf, const std::string& name, bool rotated = false) {
    const auto* tensor = original_->find_tensor(gguf);
    ASSERT_NE(tensor, nullptr) << gguf;
    const auto data = original_->data(*tensor);
    auto& bytes = *bytes_.emplace_back(std::make_unique<std::vector<std::byte>>(data.begin(), data.end()));
    std::vector<uint64_t> shape(tensor->shape.rbegin(), tensor->shape.rend());
    if (rotated) {
      const size_t row = data.size() / shape[0];
      for (uint64_t from = 0; from < shape[0]; ++from) {
        const uint64_t i = from % kHeadDim, to = from - i + i / 2 + (i % 2 == 1 ? kHeadDim / 2 : 0);
        std::memcpy(bytes.data() + to * row, data.data() + from * row, row);
      }
    }
    tensors_.push_back({name, "F32", shape, bytes});
  }

  void write_directory() {
    add("token_embd.weight", "model.embed_tokens.weight");
    add("output_norm.weight", "model.norm.weight");
    if (original_->find_tensor("output.weight") != nullptr) add("output.weight", "lm_head.weight");
    ASSERT_TRUE(formats::write_safetensors(path("model-00001-of-00002.safetensors"), tensors_));
    tensors_.clear();
    for (int layer = 0; layer < 2; ++layer) {
      const std::string from = fmt::format("blk.{}.", layer), to = fmt::format("model.layers.{}.", layer);
      for (auto [a, b] : {std::pair("attn_norm", "input_layernorm"),
                          {"attn_q", "self_attn.q_proj"},
                          {"attn_k", "self_attn.k_proj"},
                          {"attn_v", "self_attn.v_proj"},
                          {"attn_output", "self_attn.o_proj"},
                          {"ffn_norm", "post_attention_layernorm"},
                          {"ffn_gate", "mlp.gate_proj"},
                          {"ffn_up", "mlp.up_proj"},
                          {"ffn_down", "mlp.down_proj"}})
        add(from + a + ".weight", to + b + ".weight",
            std::string_view(a) == "attn_q" || std::string_view(a) == "attn_k");
    }
    ASSERT_TRUE(formats::write_safetensors(path("model-00002-of-00002.safetensors"), tensors_));
    const bool tied = original_->find_tensor("output.weight") == nullptr;
    Json config = {{"model_type", "llama"},    {"vocab_size", 320},          {"max_position_embeddings", 64},
                   {"hidden_size", 32},        {"num_hidden_layers", 2},     {"num_attention_heads", 4},
                   {"num_key_value_heads", 2}, {"head_dim", kHeadDim},       {"intermediate_size", 64},
                   {"rms_norm_eps", 1e-5},     {"tie_word_embeddings", tied}};
    config.update(config_changes_);
    ASSERT_TRUE(write_file(path("config.json"), config.dump()));
    ASSERT_TRUE(write_file(path("tokenizer.json"), tokenizer().dump()));
    ASSERT_TRUE(write_file(
        path("tokenizer_config.json"),
        R"({"bos_token":"<|begin|>","eos_token":{"content":"<|end|>"},"chat_template":"{{ messages[0].content }}"})"));
  }

  /// Bytes and two merges, split as GPT-2 does.
  static Json tokenizer() {
    Json vocab = Json::object();
    for (int byte = 0; byte < 256; ++byte)
      vocab[text::bytes_to_text(std::string(1, static_cast<char>(byte)))] = byte;
    vocab["he"] = 256;
    vocab["ll"] = 257;
    auto special = [](int id, const char* text) {
      return Json{{"id", id}, {"content", text}, {"special", true}, {"normalized", false}};
    };
    return {{"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"h e", "l l"}}}},
            {"added_tokens", {special(258, "<|begin|>"), special(259, "<|end|>")}},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
            {"decoder", {{"type", "ByteLevel"}}}};
  }

  /// The directory imports with this file; without it, as before.
  Result<GgufFile> with_file(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(path(name)).parent_path());
    EXPECT_TRUE(write_file(path(name), content));
    const auto report = import_hf(directory_, path("out.gguf"));
    fs::remove(path(name));
    if (!report) return std::unexpected(report.error());
    return GgufFile::open(path("out.gguf"));
  }
  /// What is in the directory and was not before.
  std::set<std::string> names() const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(directory_)) out.insert(entry.path().filename());
    return out;
  }

  std::string directory_;
  Json config_changes_ = Json::object();
  Config config_;
  std::optional<GgufFile> original_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> bytes_;
  std::vector<formats::SafeTensor> tensors_;
};

TEST_F(Import, ShardsTokenizerAndTemplate) {
  write_directory();
  const auto report = import_hf(directory_, path("out.gguf"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->files, 2U);
  EXPECT_EQ(report->tokenizer, "gpt2");
  EXPECT_TRUE(report->chat_template);
  EXPECT_THAT(report->notes, testing::IsEmpty());
  const auto file = GgufFile::open(path("out.gguf")).value();
  EXPECT_EQ(read_config(file).value(), read_config(*original_).value());
  ASSERT_EQ(file.tensors().size(), original_->tensors().size());
  for (const auto& tensor : original_->tensors()) {
    const auto* copy = file.find_tensor(tensor.name);
    ASSERT_NE(copy, nullptr) << tensor.name;
    EXPECT_EQ(copy->shape, tensor.shape) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(file.data(*copy), original_->data(tensor))) << tensor.name;
  }
  const auto loaded = text::load_tokenizer(file).value();
  EXPECT_EQ(loaded->vocab_size(), 320U);
  EXPECT_EQ(loaded->bos(), 258);
  EXPECT_EQ(loaded->eos(), 259);
  EXPECT_THAT(loaded->encode("hell", {.add_special = false}).value(), testing::ElementsAre(256, 257));
  EXPECT_EQ(file.get_string("tokenizer.chat_template").value(), "{{ messages[0].content }}");
}

TEST_F(Import, WhatIsBrokenIsNotPassedOver) {
  write_directory();
  ASSERT_TRUE(write_file(path("out.gguf"), "before"));
  const std::string deep = "{\"x\":" + std::string(1'000'000, '[');
  for (const char* name : {"tokenizer_config.json", "generation_config.json", "1_Pooling/config.json", "modules.json",
                           "tokenizer.json", "config.json"}) {
    const bool there = fs::exists(path(name));
    const std::string before = there ? read_file(path(name)).value() : "";
    for (const std::string& content : {std::string("{"), std::string(), std::string("3"), deep}) {
      const auto refused = with_file(name, content);
      ASSERT_FALSE(refused) << name << ": " << content.substr(0, 10);
      EXPECT_THAT(refused.error().message, HasSubstr(name));
      EXPECT_EQ(refused.error().code, content == deep ? Code::kLimit : Code::kCorrupt) << name;
    }
    if (there) {
      ASSERT_TRUE(write_file(path(name), before));
    }
  }
  EXPECT_EQ(read_file(path("out.gguf")).value(), "before");  // all that time
  EXPECT_TRUE(import_hf(directory_, path("out.gguf")));
}

TEST_F(Import, AllEndTokensEndAnAnswer) {
  write_directory();
  const auto ends = [](const GgufFile& file) {
    const auto tokenizer = text::load_tokenizer(file).value();
    std::set<int> out;
    for (int id = 0; id < 320; ++id) {
      if (tokenizer->is_end(id)) out.insert(id);
    }
    return out;
  };
  EXPECT_EQ(ends(with_file("generation_config.json", R"({"eos_token_id": 65})").value()), (std::set{65, 259}));
  const auto many = with_file("generation_config.json", R"({"eos_token_id": [259, 65, 66, 67, 68]})");
  ASSERT_TRUE(many) << many.error().message;
  EXPECT_EQ(ends(*many), (std::set{65, 66, 67, 68, 259}));
  const auto report = export_hf(path("out.gguf"), path("hf"));
  ASSERT_TRUE(report) << report.error().message;
  const auto written = Json::parse(read_file(path("hf/generation_config.json")).value())["eos_token_id"];
  EXPECT_EQ(written, Json({259, 65, 66, 67, 68}));
  ASSERT_TRUE(import_hf(path("hf"), path("again.gguf")));
  EXPECT_EQ(ends(GgufFile::open(path("again.gguf")).value()), ends(*many));
  const auto outside = with_file("generation_config.json", R"({"eos_token_id": [259, 320]})");
  ASSERT_FALSE(outside);
  EXPECT_THAT(outside.error().message, HasSubstr("generation_config.json: eos_token_id: found 320"));
}

TEST_F(Import, PoolingOfDecoders) {
  write_directory();
  const char* name = "1_Pooling/config.json";
  const std::pair<const char*, uint64_t> modes[] = {
      {R"({"pooling_mode_mean_tokens": false, "pooling_mode_lasttoken": true})", 3},
      {R"({"pooling_mode_mean_tokens": true})", 1},
      {R"({"pooling_mode_cls_token": true})", 2},
      {R"({"pooling_mode": "lasttoken"})", 3}};
  for (const auto& [json, type] : modes) {
    const auto file = with_file(name, json);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->get_uint("llama.pooling_type").value(), type) << json;
  }
  ASSERT_TRUE(export_hf(path("out.gguf"), path("hf")));
  EXPECT_EQ(Json::parse(read_file(path("hf/1_Pooling/config.json")).value())["pooling_mode_lasttoken"], true);
  for (const char* json : {R"({"pooling_mode_mean_tokens": true, "pooling_mode_lasttoken": true})",
                           R"({"pooling_mode_max_tokens": true})", R"({"pooling_mode_mean_tokens": false})",
                           R"({"pooling_mode": "max"})"}) {
    const auto refused = with_file(name, json);
    ASSERT_FALSE(refused) << json;
    EXPECT_EQ(refused.error().code, Code::kUnsupported) << json;
    EXPECT_THAT(refused.error().message, HasSubstr("1_Pooling/config.json: pooling_mode: found "));
  }
  const std::string modules = R"([{"type":"sentence_transformers.models.Transformer","path":""},
      {"type":"sentence_transformers.models.Pooling","path":"1_Pooling"},{"type":"sentence_transformers.models.)";
  ASSERT_TRUE(write_file(path(name), modes[0].first));
  EXPECT_TRUE(with_file("modules.json", modules + R"(Normalize","path":"2_Normalize"}])"));
  const auto dense = with_file("modules.json", modules + R"(Dense","path":"2_Dense"}])");
  ASSERT_FALSE(dense);
  EXPECT_THAT(dense.error().message, HasSubstr("models.Dense"));
  fs::remove(path(name));
  EXPECT_FALSE(with_file("modules.json", modules + R"(Normalize","path":"2_Normalize"}])"));
}

TEST_F(Import, BiasesAreThoseThatTheConfigSays) {
  config_changes_ = {{"attention_bias", true}};
  write_directory();
  const auto missing = import_hf(directory_, path("out.gguf"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("q_proj.bias: found no such tensor"));
}

TEST_F(Import, OnlyWhatReadsBackTakesTheName) {
  // What config.json may say and a GGUF's reader refuses.
  config_changes_ = {{"model_type", "granite"}, {"logits_scaling", 0}};
  write_directory();
  ASSERT_TRUE(write_file(path("out.gguf"), "before"));
  const auto before = names();
  const auto refused = import_hf(directory_, path("out.gguf"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("/out.gguf: granite.logit_scale: found 0"));
  EXPECT_EQ(read_file(path("out.gguf")).value(), "before");
  EXPECT_EQ(names(), before);
}

TEST_F(Import, ExportTakesANameThatNobodyHas) {
  const auto partial = [&](int i) { return path(fmt::format("hf.{}-{}.partial", ::getpid(), i)); };
  for (const std::string& mine : {path("hf.partial"), partial(0), partial(1)}) {
    fs::create_directories(mine);
    ASSERT_TRUE(write_file(mine + "/precious", "x"));
  }
  const auto before = names();
  const auto report = export_hf(path("random.gguf"), path("hf"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(fs::exists(path("hf/config.json")));
  for (const std::string& mine : {path("hf.partial"), partial(0), partial(1)})
    EXPECT_TRUE(fs::exists(mine + "/precious")) << mine;
  fs::remove_all(path("hf"));
  EXPECT_EQ(names(), before);
}

TEST_F(Import, AnExportThatFailsLeavesNothing) {
  // Fails at the weights, when the folder and all other files are there.
  formats::GgufWriter writer;
  writer.copy_metadata(*original_);
  const std::vector<float> large(32 * 320, 1e6F);
  for (const auto& tensor : original_->tensors()) {
    const bool table = tensor.name == "token_embd.weight";
    ASSERT_TRUE(writer.add_tensor(tensor.name, tensor.type, tensor.shape,
                                  table ? std::as_bytes(std::span(large)) : original_->data(tensor)));
  }
  ASSERT_TRUE(writer.write(path("large.gguf")));
  const auto before = names();
  ExportOptions half;
  half.type = formats::GgmlType::kF16;
  const auto failed = export_hf(path("large.gguf"), path("hf"), half);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("expected values that F16 holds"));
  EXPECT_EQ(names(), before);
  // An empty folder stays one, and a link a link.
  fs::create_directory(path("empty"));
  fs::create_directory_symlink(path("empty"), path("link"));
  EXPECT_FALSE(export_hf(path("large.gguf"), path("empty"), half));
  EXPECT_TRUE(fs::is_empty(path("empty")));
  ASSERT_TRUE(export_hf(path("random.gguf"), path("link")));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_TRUE(fs::exists(path("empty/config.json")));
}

TEST_F(Import, BadRopeFactorsAreNotExported) {
  const auto before = names();
  const std::pair<std::vector<float>, const char*> cases[] = {
      {{1, 2, 0, 4, 5, 6}, "rope_freqs.weight: found 0, expected above 0"},
      {{1, 2, -3, 4, 5, 6}, "rope_freqs.weight: found -3, expected above 0"},
      {{1, 2, INFINITY, 4, 5, 6}, "rope_freqs.weight: found inf, expected above 0"},
      {{1, 2, 3}, "rope_freqs.weight: found shape [3], expected [6]"}};
  for (const auto& [factors, message] : cases) {
    formats::GgufWriter writer;
    writer.copy_metadata(*original_);
    for (const auto& tensor : original_->tensors())
      ASSERT_TRUE(writer.add_tensor(tensor.name, tensor.type, tensor.shape, original_->data(tensor)));
    ASSERT_TRUE(writer.add_tensor("rope_freqs.weight", formats::GgmlType::kF32, {factors.size()},
                                  std::as_bytes(std::span(factors))));
    ASSERT_TRUE(writer.write(path("bad.gguf")));
    const auto refused = export_hf(path("bad.gguf"), path("hf"));
    fs::remove(path("bad.gguf"));
    ASSERT_FALSE(refused) << message;
    EXPECT_THAT(refused.error().message, HasSubstr("/bad.gguf: "));
    EXPECT_THAT(refused.error().message, HasSubstr(message));
    EXPECT_EQ(names(), before);
  }
}

TEST_F(Import, Errors) {
  EXPECT_EQ(import_hf(directory_ + "/nothing", path("out.gguf")).error().code, Code::kNotFound);
  write_directory();
  fs::remove(path("model-00002-of-00002.safetensors"));
  auto missing = import_hf(directory_, path("out.gguf"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("input_layernorm"));
  EXPECT_FALSE(fs::exists(path("out.gguf")));
}

}  // namespace
}  // namespace bantam::model
