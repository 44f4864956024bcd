// Seeds of the engine's fuzzers: adapters, session states, the C API.

#include "seeds.h"

#include <filesystem>
#include <vector>

#include "base/file.h"
#include "formats/gguf.h"
#include "runtime/state_file.h"

using bantam::Result;
using bantam::Status;
using bantam::formats::GgmlType;
using bantam::formats::GgufArray;
using bantam::formats::GgufWriter;

namespace {

std::span<const std::byte> bytes_of(const auto& items) { return std::as_bytes(std::span(items)); }

/// The smallest decoder that can be run: four channels, ten tokens.
Status small_decoder(const std::string& path) {
  GgufWriter file;
  file.set("general.architecture", std::string("llama"));
  const std::pair<const char*, uint32_t> sizes[] = {{"context_length", 64},
                                                    {"embedding_length", 4},
                                                    {"block_count", 1},
                                                    {"feed_forward_length", 4},
                                                    {"attention.head_count", 2}};
  for (const auto& [key, value] : sizes) file.set(std::string("llama.") + key, value);
  file.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  const std::vector<std::string> tokens{"<unk>", "<s>", "</s>",  "\xE2\x96\x81", "a",
                                        "b",     "ab",  "<end>", "<0x0A>",       "c"};
  file.set("tokenizer.ggml.model", std::string("llama"));
  file.set("tokenizer.ggml.tokens", GgufArray(tokens));
  file.set("tokenizer.ggml.scores", GgufArray(std::vector<float>{0, 0, 0, -1, -1, -1, -2, 0, 0, -1}));
  file.set("tokenizer.ggml.token_type", GgufArray(std::vector<int32_t>{2, 3, 3, 1, 1, 1, 1, 4, 6, 1}));
  file.set("tokenizer.chat_template", std::string("{% for m in messages %}{{ m.content }}{% endfor %}"));
  const std::pair<const char*, std::vector<uint64_t>> tensors[] = {
      {"token_embd.weight", {4, 10}},    {"output_norm.weight", {4}},
      {"blk.0.attn_norm.weight", {4}},   {"blk.0.ffn_norm.weight", {4}},
      {"blk.0.attn_q.weight", {4, 4}},   {"blk.0.attn_k.weight", {4, 4}},
      {"blk.0.attn_v.weight", {4, 4}},   {"blk.0.attn_output.weight", {4, 4}},
      {"blk.0.ffn_gate.weight", {4, 4}}, {"blk.0.ffn_up.weight", {4, 4}},
      {"blk.0.ffn_down.weight", {4, 4}}};
  for (const auto& [name, shape] : tensors) {
    std::vector<float> values(shape.size() == 1 ? shape[0] : shape[0] * shape[1]);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) - 3;
    BANTAM_TRY(file.add_tensor(name, GgmlType::kF32, shape, bytes_of(values)));
  }
  return file.write(path);
}

}  // namespace

Status write_all(const std::string& folder, std::span<const std::string> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    BANTAM_TRY(bantam::write_file(folder + "/" + std::to_string(i), inputs[i]));
  return {};
}

/// Pairs for the small model of adapter_fuzzer.
Status adapter_seeds(const std::string& folder) {
  const std::vector<float> values(16, 0.5F);
  GgufWriter file;
  file.set("general.type", std::string("adapter"));
  file.set("general.architecture", std::string("llama"));
  file.set("adapter.type", std::string("lora"));
  file.set("adapter.lora.alpha", 2.0F);
  const std::pair<const char*, std::vector<uint64_t>> tensors[] = {{"blk.0.attn_q.weight.lora_a", {2, 1}},
                                                                   {"blk.0.attn_q.weight.lora_b", {1, 4}},
                                                                   {"token_embd.weight.lora_a", {2, 4}},
                                                                   {"token_embd.weight.lora_b", {2, 2}}};
  for (const auto& [name, shape] : tensors)
    BANTAM_TRY(file.add_tensor(name, GgmlType::kF32, shape, bytes_of(values).first(4 * shape[0] * shape[1])));
  return file.write(folder + "/pairs");
}

Status state_seeds(const std::string& folder) {
  using bantam::runtime::StateKey;
  std::vector<std::string> inputs;
  for (const uint32_t tokens : {1U, 3U}) {
    const StateKey key{.model = std::string(64, 'a'),
                       .adapters = std::string(64, 'b'),
                       .type = 1,
                       .layers = 2,
                       .heads = 1,
                       .row_bytes = 4};
    const std::vector<bantam::text::TokenId> ids(tokens, 5);
    inputs.push_back(bantam::runtime::state_header(key, ids) + std::string(size_t{2} * 2 * 4 * tokens, 'k') +
                     "checksum");
  }
  return write_all(folder, inputs);
}

/// The first byte is capi_fuzzer's choice: odd, a text and a model; even, calls.
Status capi_seeds(const std::string& folder) {
  BANTAM_TRY(small_decoder(folder + "/model"));
  BANTAM_ASSIGN(const std::string model, bantam::read_file(folder + "/model"));
  std::filesystem::remove(folder + "/model");
  const std::string text("\0\3the\0", 6);  // tokenize
  const std::string inputs[] = {
      std::string("\1\3aba") + model,
      std::string(1, 0) + text + "\2\1",
      std::string(1, 0) + text +
          std::string("\2\x31\x80\x10\0\x80\x80\x82\1\0\1\0\x14{\"enum\":[1,\"left\"]}  ", 33),
      std::string(1, 0) + text + "\2\x41\5[a-c]+",
      std::string(1, 0) + text + "\3\3yes\2no\7yes sir",
      std::string(1, 0) + text + "\4\5\4user\2hi\1\6\4\5\6\7\10\1\60",
      std::string(1, 0) + text + "\1\4\5\6\7\10\2\xbf\x80\x10\5\x80\x80\x82\1\2\1a\1b\1c\7\x80\x80\1"};
  return write_all(folder, inputs);
}
