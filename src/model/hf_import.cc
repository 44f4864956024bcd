#include "model/hf_import.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/hf_weights.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_gguf.h"

namespace bantam::model {
namespace {

namespace fs = std::filesystem;
using formats::GgufWriter;
using Json = nlohmann::json;

Result<std::vector<formats::SafeTensorsFile>> open_weights(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path().string());
  }
  if (error) return fail(Code::kNotFound, "{}: {}", directory, error.message());
  if (paths.empty())
    return fail(Code::kNotFound, "{}: found no .safetensors file, expected the model's weights", directory);
  std::ranges::sort(paths);
  std::vector<formats::SafeTensorsFile> out;
  for (const auto& path : paths) {
    BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(path));
    out.push_back(std::move(file));
  }
  return out;
}

/// The file's text, or nothing where it is not there.
Result<std::string> optional_file(const std::string& path) {
  auto text = read_file(path);
  if (!text && text.error().code == Code::kNotFound) return std::string();
  return text;
}

class TensorWriter {
 public:
  explicit TensorWriter(GgufWriter& file) : file_(file) {}

  Status matrix(const std::string& name, const MatrixView& view) {
    ++count_;
    return file_.add_tensor(name, view.type, {view.columns, view.rows}, {view.data, bytes_of(view)});
  }

  /// Rows (i, i + d/2) of each head as (2i, 2i + 1).
  Status interleaved(const std::string& name, const MatrixView& view, uint64_t head_dim) {
    const size_t row = tensor::row_bytes(view.type, view.columns);
    std::vector<std::byte> bytes(bytes_of(view));
    for (uint64_t to = 0; to < view.rows; ++to) {
      const uint64_t head = to / head_dim, i = to % head_dim;
      const uint64_t from = head * head_dim + i / 2 + (i % 2 == 1 ? head_dim / 2 : 0);
      std::memcpy(bytes.data() + to * row, view.data + from * row, row);
    }
    ++count_;
    return file_.add_tensor(name, view.type, {view.columns, view.rows}, bytes);
  }

  Status vector(const std::string& name, const std::vector<float>& values) {
    ++count_;
    return file_.add_tensor(name, formats::GgmlType::kF32, {values.size()}, std::as_bytes(std::span(values)));
  }

  size_t count() const { return count_; }

 private:
  static size_t bytes_of(const MatrixView& view) {
    return view.rows * tensor::row_bytes(view.type, view.columns);
  }
  GgufWriter& file_;
  size_t count_ = 0;
};

Status write_layer(TensorWriter& out, const LayerWeights& layer, const Config& config, size_t index) {
  const auto name = [index](std::string_view part) { return fmt::format("blk.{}.{}.weight", index, part); };
  BANTAM_TRY(out.vector(name("attn_norm"), layer.attention_norm));
  BANTAM_TRY(out.interleaved(name("attn_q"), layer.q, config.head_dim));
  BANTAM_TRY(out.interleaved(name("attn_k"), layer.k, config.head_dim));
  BANTAM_TRY(out.matrix(name("attn_v"), layer.v));
  BANTAM_TRY(out.matrix(name("attn_output"), layer.attention_output));
  BANTAM_TRY(out.vector(name("ffn_norm"), layer.ffn_norm));
  BANTAM_TRY(out.matrix(name("ffn_gate"), layer.gate));
  BANTAM_TRY(out.matrix(name("ffn_up"), layer.up));
  return out.matrix(name("ffn_down"), layer.down);
}

Result<size_t> write_tensors(const LoadedModel& model, GgufWriter& file) {
  TensorWriter out(file);
  BANTAM_TRY(out.matrix("token_embd.weight", model.weights.token_embedding));
  for (size_t i = 0; i < model.weights.layers.size(); ++i)
    BANTAM_TRY(write_layer(out, model.weights.layers[i], model.config, i));
  BANTAM_TRY(out.vector("output_norm.weight", model.weights.output_norm));
  if (!model.config.tied_head) BANTAM_TRY(out.matrix("output.weight", model.weights.output));
  return out.count();
}

/// chat_template.jinja, or "chat_template" of tokenizer_config.json: a text, or a list of which "default"
/// counts.
Result<std::string> chat_template_of(const std::string& directory, const Json& config) {
  BANTAM_ASSIGN(std::string text, optional_file(directory + "/chat_template.jinja"));
  if (!text.empty() || !config.is_object() || !config.contains("chat_template")) return text;
  const Json& value = config["chat_template"];
  if (value.is_string()) return value.get<std::string>();
  for (const auto& item : value.is_array() ? value : Json::array()) {
    if (item.is_object() && item.value("name", Json()) == "default" && item.contains("template") &&
        item["template"].is_string())
      return item["template"].get<std::string>();
  }
  return text;
}

Status check_vocabulary(const std::string& out, const text::Tokenizer& original, bool normalised,
                        ImportReport& report) {
  BANTAM_ASSIGN(const auto file, formats::GgufFile::open(out));
  report.bytes = file.file_bytes();
  BANTAM_ASSIGN(report.tokenizer, file.get_string("tokenizer.ggml.model"));
  BANTAM_ASSIGN(const auto written, text::load_tokenizer(file));
  const auto different = text::first_difference(original, *written);
  if (!different) return {};
  if (!normalised)
    return fail(Code::kUnsupported,
                "tokenizer.json: found a vocabulary that GGUF cannot hold: \"{}\" has other ids there",
                *different);
  report.notes.push_back(fmt::format("texts such as \"{}\" have other ids than in the original", *different));
  return {};
}

}  // namespace

Result<ImportReport> import_hf(const std::string& directory, const std::string& out) {
  BANTAM_ASSIGN(const std::string config, read_file(directory + "/config.json"));
  BANTAM_ASSIGN(const auto files, open_weights(directory));
  BANTAM_ASSIGN(const LoadedModel model, load_hf_weights(config, files));
  const std::string tokenizer_path = directory + "/tokenizer.json";
  BANTAM_ASSIGN(const std::string tokenizer, read_file(tokenizer_path));
  BANTAM_ASSIGN(const std::string tokenizer_config, optional_file(directory + "/tokenizer_config.json"));
  const Json parsed = Json::parse(tokenizer_config, nullptr, /*allow_exceptions=*/false);

  ImportReport report;
  report.files = files.size();
  report.parameters = parameter_count(model.config);
  GgufWriter file;
  write_config(model.config, file);
  file.set("general.name", fs::path(directory).lexically_normal().filename().string());
  BANTAM_ASSIGN(report.notes, text::tokenizer_json_to_gguf(tokenizer, tokenizer_config, tokenizer_path,
                                                           model.config.vocab_size, file));
  BANTAM_ASSIGN(const std::string chat_template, chat_template_of(directory, parsed));
  report.chat_template = !chat_template.empty();
  if (report.chat_template) file.set("tokenizer.chat_template", chat_template);
  BANTAM_ASSIGN(report.tensors, write_tensors(model, file));
  BANTAM_TRY(file.write(out));
  BANTAM_ASSIGN(const auto original, text::tokenizer_from_json(tokenizer, tokenizer_path));
  if (auto same = check_vocabulary(out, *original, static_cast<bool>(original->parts().normalizer), report);
      !same) {
    std::error_code ignored;
    fs::remove(out, ignored);
    return std::unexpected(std::move(same).error());
  }
  return report;
}

}  // namespace bantam::model
