#include <memory>

#include "base/utf8.h"
#include "cli/verbs.h"
#include "formats/gguf.h"
#include "model/config.h"
#include "model/task.h"

namespace bantam::cli {
namespace {

constexpr size_t kShownItems = 8;    // of an array, as text
constexpr size_t kShownBytes = 120;  // of a string, as text

struct ShowVerbOptions {
  std::string model;
  bool memory = false, tensors = false;
  runtime::EngineOptions engine;
};

Json value_json(const formats::GgufValue& value) {
  return std::visit(
      [](const auto& item) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(item)>, formats::GgufArray>) {
          return std::visit([](const auto& list) { return Json(list); }, item);
        } else {
          return Json(item);
        }
      },
      value);
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// One line; long lists and strings are shortened and say so.
std::string as_line(const Json& value) {
  if (value.is_array() && value.size() > kShownItems) {
    Json head = Json::array();
    for (size_t i = 0; i < kShownItems; ++i) head.push_back(value[i]);
    std::string text = dump(head);
    return fmt::format("{}, … {} in all]", text.substr(0, text.size() - 1), with_commas(value.size()));
  }
  std::string text = dump(value);
  if (text.size() <= kShownBytes) return text;
  return fmt::format("{}… {} bytes in all", text.substr(0, utf8_cut(text, kShownBytes)),
                     with_commas(text.size()));
}

Json describe_tensors(const formats::GgufFile& file) {
  Json out = Json::array();
  for (const auto& tensor : file.tensors()) {
    out.push_back({{"name", tensor.name},
                   {"type", formats::ggml_type_name(static_cast<uint32_t>(tensor.type))},
                   {"shape", tensor.shape},
                   {"bytes", tensor.bytes}});
  }
  return out;
}

Json describe_types(const formats::GgufFile& file) {
  Json out = Json::object();
  for (const auto& tensor : file.tensors()) {
    Json& entry = out[formats::ggml_type_name(static_cast<uint32_t>(tensor.type))];
    if (entry.is_null()) entry = {{"tensors", 0}, {"bytes", 0}};
    entry["tensors"] = entry["tensors"].get<uint64_t>() + 1;
    entry["bytes"] = entry["bytes"].get<uint64_t>() + tensor.bytes;
  }
  return out;
}

Result<Json> describe_memory(const ShowVerbOptions& options) {
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(options.model, options.engine));
  runtime::MemoryPlan plan = engine->memory();
  return Json{{"context", engine->context_length()},
              {"weights", plan.weights},
              {"text", plan.text},
              {"kv_cache", plan.kv_cache},
              {"buffers", plan.buffers},
              {"total", plan.total()}};
}

Result<Json> describe(const ShowVerbOptions& options) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(options.model));
  BANTAM_ASSIGN(auto task, model::read_task(file));
  Json out = {{"path", file.path()}, {"bytes", file.file_bytes()}};
  if (auto config = model::read_config(file)) {
    uint64_t parameters = 0;
    for (const auto& tensor : file.tensors()) parameters += tensor.elements();
    out["parameters"] = parameters;
  } else {
    out["not_runnable"] = config.error().message;  // its metadata is still worth showing
  }
  out["types"] = describe_types(file);
  if (task) {
    out["task"] = {{"name", task->name}, {"kind", task->kind}, {"labels", task->labels}};
    if (task->calibrated()) {
      out["task"]["threshold"] = task->calibration.threshold;
      if (task->calibration.target > 0) out["task"]["target"] = task->calibration.target;
      out["task"]["temperature"] = task->calibration.temperature;
    }
    if (const auto& c = task->certificate) {
      out["task"]["certificate"] = {{"error", c->error},         {"confidence", c->confidence},
                                    {"reference", c->reference}, {"examples", c->examples},
                                    {"kept", c->kept},           {"errors", c->errors},
                                    {"bound", c->bound}};
    }
    Json provenance = Json::parse(task->provenance, nullptr, false);
    if (!provenance.is_discarded()) out["task"]["provenance"] = provenance;
  }
  Json& metadata = out["metadata"] = Json::object();
  for (const auto& [key, value] : file.metadata()) metadata[key] = value_json(value);
  out["tensors"] = describe_tensors(file);
  if (options.memory) {
    BANTAM_ASSIGN(out["memory"], describe_memory(options));
  }
  return out;
}

std::string memory_text(const Json& memory) {
  auto size = [&](const char* key) { return human_bytes(memory[key].get<uint64_t>()); };
  return fmt::format("\nmemory, planned for a context of {} tokens\n", memory["context"].get<uint64_t>()) +
         text_table({{"  weights", size("weights")},
                     {"  metadata, tokenizer", size("text")},
                     {"  KV cache", size("kv_cache")},
                     {"  buffers", size("buffers")},
                     {"  total", size("total")}});
}

std::string file_text(const Json& json, bool tensors) {
  std::string out =
      fmt::format("{}: {}", json["path"].get<std::string>(), human_bytes(json["bytes"].get<uint64_t>()));
  if (json.contains("parameters"))
    out += fmt::format(", {} parameters", with_commas(json["parameters"].get<uint64_t>()));
  out += '\n';
  if (json.contains("not_runnable"))
    out += fmt::format("cannot run here: {}\n", json["not_runnable"].get<std::string>());
  for (const auto& [type, entry] : json["types"].items()) {
    out += fmt::format("  {}: {} tensors, {}\n", type, entry["tensors"].get<uint64_t>(),
                       human_bytes(entry["bytes"].get<uint64_t>()));
  }
  out += "\nmetadata\n";
  for (const auto& [key, value] : json["metadata"].items())
    out += fmt::format("  {} = {}\n", key, as_line(value));
  if (tensors) {
    std::vector<std::vector<std::string>> rows = {{"\ntensor", "type", "shape", "bytes"}};
    for (const Json& tensor : json["tensors"]) {
      rows.push_back({tensor["name"].get<std::string>(), tensor["type"].get<std::string>(),
                      dump(tensor["shape"]), with_commas(tensor["bytes"].get<uint64_t>())});
    }
    out += text_table(rows);
  }
  if (json.contains("memory")) out += memory_text(json["memory"]);
  return out;
}

}  // namespace

Action add_show(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<ShowVerbOptions>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  verb.add_flag("--memory", options->memory,
                "Load it and print the memory it plans: weights, KV cache, buffers");
  verb.add_flag("--tensors", options->tensors, "List the tensors (always in --json)");
  add_engine_options(verb, options->engine);
  add_json(verb, common);
  verb.footer("Examples:\n  bantam show tickets.gguf --memory\n  bantam show tickets.gguf --json");
  return [options, &common] {
    auto description = describe(*options);
    if (!description) return report(description.error());
    return common.json ? print_json(*description) : print_text(file_text(*description, options->tensors));
  };
}

}  // namespace bantam::cli
