#include "model/hf_import.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "formats/safetensors.h"
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

  std::string directory_;
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
