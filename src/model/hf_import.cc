#include "model/hf_import.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "model/hf_config.h"
#include "model/hf_source.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_gguf.h"

namespace bantam::model {
namespace {

namespace fs = std::filesystem;
using formats::GgufWriter;
using Json = nlohmann::json;

/// The file's text, or nothing where it is not there.
Result<std::string> optional_file(const std::string& path) {
  auto text = read_file(path);
  if (!text && text.error().code == Code::kNotFound) return std::string();
  return text;
}

/// A matrix as it is stored; a vector as floats, as llama.cpp wants it.
Status write_tensor(const HfTensor& to, const formats::SafeTensor& tensor, const Config& config,
                    GgufWriter& file) {
  std::span<const std::byte> bytes = tensor.data;
  std::vector<float> values;
  auto type = tensor.dtype == "F16"    ? formats::GgmlType::kF16
              : tensor.dtype == "BF16" ? formats::GgmlType::kBF16
                                       : formats::GgmlType::kF32;
  if (tensor.shape.size() == 1) {
    values = widened(tensor);
    if (to.change == HfChange::kPlusOne) std::ranges::for_each(values, [](float& x) { x += 1; });
    bytes = std::as_bytes(std::span(values));
    type = formats::GgmlType::kF32;
  }
  std::vector<std::byte> turned;
  if (to.change == HfChange::kRotated) {
    turned = reorder_heads(bytes, bytes.size() / tensor.shape[0], config.head_dim, /*to_gguf=*/true);
    bytes = turned;
  }
  return file.add_tensor(to.gguf, type, {tensor.shape.rbegin(), tensor.shape.rend()}, bytes);
}

Status write_factors(const std::string& name, const std::vector<float>& factors, GgufWriter& file) {
  if (factors.empty()) return {};
  return file.add_tensor(name, formats::GgmlType::kF32, {factors.size()}, std::as_bytes(std::span(factors)));
}

Status write_tensors(const HfConfig& hf, HfSource& source, GgufWriter& file, ImportReport& report) {
  BANTAM_ASSIGN(const auto wanted, hf_tensors(hf.config, hf.token_types));
  for (const auto& tensor : wanted) {
    BANTAM_ASSIGN(const auto* found, source.take(tensor));
    if (found == nullptr) continue;
    BANTAM_TRY(write_tensor(tensor, *found, hf.config, file));
    ++report.tensors;
    report.parameters += found->data.size() / (found->dtype == "F32" ? sizeof(float) : sizeof(uint16_t));
  }
  for (const auto& [name, factors] : {std::pair("rope_freqs.weight", &hf.rope_factors),
                                      std::pair("rope_factors_short.weight", &hf.rope_short),
                                      std::pair("rope_factors_long.weight", &hf.rope_long)}) {
    report.tensors += factors->empty() ? 0 : 1;
    BANTAM_TRY(write_factors(name, *factors, file));
  }
  if (hf.config.tied_head) source.ignore("lm_head.weight");
  if (hf.config.encoder && source.leave_out("pooler.") + source.leave_out("cls.") > 0)
    report.notes.emplace_back(
        "the pooler and the heads of other tasks are left out: vectors come from the layers");
  return source.finish();
}

/// How sentence-transformers makes one vector of a text, where the directory says so.
Status write_pooling(const std::string& directory, const Config& config, GgufWriter& file) {
  BANTAM_ASSIGN(const std::string text, optional_file(directory + "/1_Pooling/config.json"));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return {};
  constexpr std::pair<const char*, uint32_t> kTypes[] = {
      {"pooling_mode_mean_tokens", 1}, {"pooling_mode_cls_token", 2}, {"pooling_mode_lasttoken", 3}};
  for (const auto& [key, type] : kTypes) {
    if (json.contains(key) && json[key] == true) {
      file.set(config.architecture + ".pooling_type", type);
      return {};
    }
  }
  return fail(Code::kUnsupported,
              "1_Pooling/config.json: found another pooling, expected mean, first or last token");
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

/// generation_config.json may name more tokens that end an answer than the EOS.
Status write_ends(const std::string& directory, const text::PipelineTokenizer& tokenizer, GgufWriter& file) {
  BANTAM_ASSIGN(const std::string text, optional_file(directory + "/generation_config.json"));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("eos_token_id") || !json["eos_token_id"].is_array()) return {};
  const auto* eos = file.find("tokenizer.ggml.eos_token_id");
  for (const auto& item : json["eos_token_id"]) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() >= tokenizer.vocab_size())
      return fail(Code::kCorrupt,
                  "generation_config.json: eos_token_id: found an id that is none of the vocabulary");
    const auto id = item.get<uint32_t>();
    if (eos != nullptr && *eos == formats::GgufValue(id)) continue;
    const bool message = tokenizer.stored(static_cast<int32_t>(id)).find("eom") != std::string_view::npos;
    const char* turn = "tokenizer.ggml.eot_token_id";
    const char* key = message || file.find(turn) != nullptr ? "tokenizer.ggml.eom_token_id" : turn;
    if (file.find(key) == nullptr) file.set(key, id);
  }
  return {};
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
  BANTAM_ASSIGN(HfSource source, HfSource::open(directory));
  BANTAM_ASSIGN(const HfConfig hf, read_hf_config(config));
  const std::string tokenizer_path = directory + "/tokenizer.json";
  BANTAM_ASSIGN(const std::string tokenizer, read_file(tokenizer_path));
  BANTAM_ASSIGN(const std::string tokenizer_config, optional_file(directory + "/tokenizer_config.json"));
  const Json parsed = Json::parse(tokenizer_config, nullptr, /*allow_exceptions=*/false);

  ImportReport report;
  report.files = source.files();
  GgufWriter file;
  write_config(hf.config, file);
  file.set("general.name", fs::path(directory).lexically_normal().filename().string());
  if (hf.config.encoder) BANTAM_TRY(write_pooling(directory, hf.config, file));
  BANTAM_ASSIGN(report.notes, text::tokenizer_json_to_gguf(tokenizer, tokenizer_config, tokenizer_path,
                                                           hf.config.vocab_size, file));
  if (hf.token_types > 0) file.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(hf.token_types));
  BANTAM_ASSIGN(const std::string chat_template, chat_template_of(directory, parsed));
  report.chat_template = !chat_template.empty();
  if (report.chat_template) file.set("tokenizer.chat_template", chat_template);
  BANTAM_ASSIGN(const auto original, text::tokenizer_from_json(tokenizer, tokenizer_path));
  BANTAM_TRY(write_ends(directory, *original, file));
  BANTAM_TRY(write_tensors(hf, source, file, report));
  BANTAM_TRY(file.write(out));
  if (auto same = check_vocabulary(out, *original, static_cast<bool>(original->parts().normalizer), report);
      !same) {
    std::error_code ignored;
    fs::remove(out, ignored);
    return std::unexpected(std::move(same).error());
  }
  return report;
}

}  // namespace bantam::model
