#include "model/hf_import.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/json.h"
#include "kernels/convert.h"
#include "model/encoder.h"
#include "model/hf_config.h"
#include "model/hf_source.h"
#include "model/json_fields.h"
#include "model/weights.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_gguf.h"
#include "text/special_tokens.h"

namespace bantam::model {
namespace {

namespace fs = std::filesystem;
using formats::GgufWriter;
using Json = nlohmann::json;

/// Which file of the directory, as messages name it.
const char* const kTokenizerConfig = "tokenizer_config.json";
const char* const kGeneration = "generation_config.json";
const char* const kModules = "modules.json";

/// The file's text, or nothing where it is not there.
Result<std::optional<std::string>> optional_file(const std::string& path) {
  auto text = read_file(path);
  if (text) return std::optional(std::move(*text));
  if (text.error().code == Code::kNotFound) return std::nullopt;
  return std::unexpected(std::move(text).error());
}

/// The same as JSON of that type; null where the file is not there. A broken one is an error: what it would have
/// said is not known.
Result<Json> optional_json(const std::string& directory, const std::string& name,
                           Json::value_t type = Json::value_t::object) {
  BANTAM_ASSIGN(const auto text, optional_file(directory + "/" + name));
  if (!text) return Json();
  BANTAM_ASSIGN(Json json, formats::parse_json(*text, name));
  if (json.type() != type)
    return fail(Code::kCorrupt, "{}: found {}, expected {}", name, json.type_name(), Json(type).type_name());
  return json;
}

/// A matrix as it is stored; a vector as floats, as llama.cpp wants it. `file` borrows what stays as it is.
Status write_tensor(const HfTensor& to, const formats::SafeTensor& tensor, const Config& config,
                    GgufWriter& file) {
  BANTAM_ASSIGN(auto type, formats::ggml_type_from_name(tensor.dtype));
  const std::vector<uint64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
  std::span<const std::byte> bytes = tensor.data;
  std::vector<float> values;
  if (shape.size() == 1) {
    values.resize(shape[0]);
    kernels::dequantize_row(kernels::ref::table(), type, bytes.data(), values.size(), values.data());
    if (to.change == HfChange::kPlusOne) std::ranges::for_each(values, [](float& x) { x += 1; });
    bytes = std::as_bytes(std::span(values));
    type = formats::GgmlType::kF32;
  }
  if (to.change == HfChange::kRotated) {
    const auto turned = reorder_heads(bytes, bytes.size() / tensor.shape[0], config.head_dim, /*to_gguf=*/true);
    return file.add_tensor(to.gguf, type, shape, turned);
  }
  return shape.size() == 1 ? file.add_tensor(to.gguf, type, shape, bytes)
                           : file.borrow_tensor(to.gguf, type, shape, bytes);
}

Status write_factors(const std::string& name, const std::vector<float>& factors, GgufWriter& file) {
  if (factors.empty()) return {};
  return file.add_tensor(name, formats::GgmlType::kF32, {factors.size()}, std::as_bytes(std::span(factors)));
}

Status write_tensors(const HfConfig& hf, HfSource& source, GgufWriter& file, ImportReport& report) {
  BANTAM_ASSIGN(const auto wanted, hf_tensors(hf));
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

/// The folder of the pooling that sentence-transformers adds to the model; empty where it adds none. Errors:
/// kUnsupported for another step, which would change the vectors.
Result<std::string> pooling_folder(const std::string& directory) {
  BANTAM_ASSIGN(const Json modules, optional_json(directory, kModules, Json::value_t::array));
  std::error_code ignored;
  if (modules.is_null()) return fs::exists(directory + "/1_Pooling/config.json", ignored) ? "1_Pooling" : "";
  std::string out;
  for (size_t i = 0; i < modules.size(); ++i) {
    if (!modules[i].is_object())
      return fail(Code::kCorrupt, "{}: [{}]: found {}, expected an object", kModules, i, modules[i].type_name());
    const JsonFields module(modules[i], fmt::format("{}: [{}].", kModules, i));
    BANTAM_ASSIGN(const std::string type, module.text("type"));
    const std::string name = type.substr(type.rfind('.') + 1);
    if (name == "Transformer" || name == "Normalize") continue;  // vectors are scaled to length 1 anyway
    if (name != "Pooling" || !out.empty())
      return module.wrong("type", "Transformer, one Pooling and Normalize", Code::kUnsupported);
    BANTAM_ASSIGN(out, module.text("path"));
    if (out.empty() || out.starts_with('.') || out.find('/') != std::string::npos)
      return module.wrong("path", "the name of a folder");
  }
  return out;
}

/// How sentence-transformers makes one vector of a text, where the directory says so.
Status import_pooling(const std::string& directory, const Config& config, GgufWriter& file,
                      ImportReport& report) {
  BANTAM_ASSIGN(const std::string folder, pooling_folder(directory));
  if (folder.empty()) return {};
  const std::string name = folder + "/config.json";
  BANTAM_ASSIGN(const Json json, optional_json(directory, name));
  if (json.is_null())
    return fail(Code::kNotFound, "{}: found no such file, expected it as {} names it", name, kModules);
  const JsonFields fields(json, name + ": ");
  constexpr std::string_view kFlag = "pooling_mode_";
  std::vector<std::string> modes;
  if (fields.has("pooling_mode")) {  // later files; it stands above the flags
    BANTAM_ASSIGN(modes.emplace_back(), fields.text("pooling_mode"));
  } else {
    for (const auto& [key, value] : json.items()) {
      if (!key.starts_with(kFlag)) continue;
      BANTAM_ASSIGN(const bool on, fields.flag(key.c_str(), false));
      if (on) modes.push_back(key.substr(kFlag.size()));
    }
  }
  constexpr std::pair<std::string_view, uint32_t> kTypes[] = {
      {"mean_tokens", 1}, {"mean", 1}, {"cls_token", 2}, {"cls", 2}, {"lasttoken", 3}};
  const auto type = modes.size() != 1 ? std::end(kTypes)
                                      : std::ranges::find(kTypes, modes[0], [](const auto& t) { return t.first; });
  if (type == std::end(kTypes))
    return fail(Code::kUnsupported, "{}: pooling_mode: found {}, expected one of mean_tokens, cls_token and lasttoken",
                name, modes.empty() ? "none" : fmt::format("{}", fmt::join(modes, " and ")));
  file.set(config.architecture + ".pooling_type", type->second);
  BANTAM_ASSIGN(const bool prompts, fields.flag("include_prompt", true));
  if (!prompts)
    report.notes.push_back(name + ": include_prompt: a prompt's tokens count in a vector here, and did not there");
  return {};
}

/// chat_template.jinja, or "chat_template" of tokenizer_config.json: a text, or a list of which "default"
/// counts.
Result<std::string> chat_template_of(const std::string& directory, const Json& config) {
  BANTAM_ASSIGN(auto text, optional_file(directory + "/chat_template.jinja"));
  if (text && !text->empty()) return std::move(*text);
  const JsonFields fields(config, fmt::format("{}: ", kTokenizerConfig));
  if (!fields.has("chat_template")) return std::string();
  const Json& value = fields.at("chat_template");
  if (!value.is_array()) return fields.text("chat_template");
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_object()) return fields.wrong("chat_template", "a text, or a list of named ones");
    const JsonFields item(value[i], fmt::format("{}: chat_template[{}].", kTokenizerConfig, i));
    BANTAM_ASSIGN(const std::string name, item.text("name"));
    if (name == "default") return item.text("template");
  }
  return std::string();
}

/// The tokens that end an answer: those of generation_config.json, or else of config.json.
Result<std::vector<uint32_t>> ends_of(const std::string& directory, const HfConfig& hf) {
  BANTAM_ASSIGN(const Json json, optional_json(directory, kGeneration));
  std::vector<uint32_t> out = hf.ends;
  std::string_view name = "config.json";
  if (json.is_object() && json.contains("eos_token_id")) {
    BANTAM_ASSIGN(out, JsonFields(json, fmt::format("{}: ", kGeneration)).ids("eos_token_id"));
    name = kGeneration;
  }
  for (uint32_t id : out) {
    if (id >= hf.config.vocab_size)
      return fail(Code::kCorrupt, "{}: eos_token_id: found {}, expected ids below {}", name, id, hf.config.vocab_size);
  }
  return out;
}

/// GGUF has keys for the EOS and two more. Others are found by their well-known names, or listed.
void write_ends(const std::vector<uint32_t>& ends, const text::PipelineTokenizer& tokenizer, GgufWriter& file,
                ImportReport& report) {
  const auto key = [](std::string_view role) { return fmt::format("tokenizer.ggml.{}_token_id", role); };
  const auto is = [&](std::string_view role, uint32_t id) {
    const auto* value = file.find(key(role));
    return value != nullptr && *value == formats::GgufValue(id);
  };
  const auto& added = tokenizer.parts().added;
  std::vector<std::string> listed;
  for (uint32_t id : ends) {
    if (is("eos", id) || is("eot", id) || is("eom", id)) continue;
    const std::string text(tokenizer.stored(static_cast<int32_t>(id)));
    const bool special = std::ranges::any_of(
        added, [&](const text::AddedToken& t) { return t.special && static_cast<uint32_t>(t.id) == id; });
    if (special && text::ends_turn_by_name(text)) continue;
    const bool message = special && text.find("eom") != std::string::npos;
    const char* role = file.find(key("eos")) == nullptr              ? "eos"
                       : message || file.find(key("eot")) != nullptr ? "eom"
                                                                     : "eot";
    if (file.find(key(role)) == nullptr) {
      file.set(key(role), id);
    } else {
      listed.push_back(text);
    }
  }
  if (listed.empty()) return;
  file.set("tokenizer.ggml.eos_token_ids", formats::GgufArray(std::vector<int32_t>(ends.begin(), ends.end())));
  report.notes.push_back(fmt::format("{} end an answer, too, which the key tokenizer.ggml.eos_token_ids says: "
                                     "llama.cpp does not read it",
                                     fmt::join(listed, " ")));
}

/// What is written must be usable: the config and all tensors, the vocabulary and its ends.
Status check_imported(const formats::GgufFile& file, const text::PipelineTokenizer& original,
                      const std::vector<uint32_t>& ends, ImportReport& report) {
  report.bytes = file.file_bytes();
  BANTAM_ASSIGN(const Config config, read_config(file));
  if (config.encoder) {
    BANTAM_TRY(map_encoder(file, config));
  } else {
    BANTAM_TRY(map_weights(file, config));
  }
  BANTAM_ASSIGN(report.tokenizer, file.get_string("tokenizer.ggml.model"));
  BANTAM_ASSIGN(const auto written, text::load_tokenizer(file));
  for (uint32_t id : ends) {
    if (!written->is_end(static_cast<int32_t>(id)))
      return fail(Code::kInternal, "{}: found that token {} does not end an answer, expected it", file.path(), id);
  }
  const auto different = text::first_difference(original, *written);
  if (!different) return {};
  if (!original.parts().normalizer)
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
  BANTAM_ASSIGN(Json tokenizer_config, optional_json(directory, kTokenizerConfig));
  if (tokenizer_config.is_null()) tokenizer_config = Json::object();

  ImportReport report;
  report.files = source.files();
  GgufWriter file;
  write_config(hf.config, file);
  file.set("general.name", fs::path(directory).lexically_normal().filename().string());
  BANTAM_TRY(import_pooling(directory, hf.config, file, report));
  BANTAM_ASSIGN(auto vocabulary, text::tokenizer_json_to_gguf(tokenizer, tokenizer_config, tokenizer_path,
                                                              hf.config.vocab_size, file));
  report.notes.insert(report.notes.end(), vocabulary.notes.begin(), vocabulary.notes.end());
  if (hf.token_types > 0) file.set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(hf.token_types));
  BANTAM_ASSIGN(const std::string chat_template, chat_template_of(directory, tokenizer_config));
  report.chat_template = !chat_template.empty();
  if (report.chat_template) file.set("tokenizer.chat_template", chat_template);
  std::vector<uint32_t> ends;
  if (!hf.config.encoder) {
    BANTAM_ASSIGN(ends, ends_of(directory, hf));
    write_ends(ends, *vocabulary.original, file, report);
  }
  BANTAM_TRY(write_tensors(hf, source, file, report));
  BANTAM_TRY(file.write(out, [&](const formats::GgufFile& written) {
    return check_imported(written, *vocabulary.original, ends, report);
  }));
  return report;
}

}  // namespace bantam::model
