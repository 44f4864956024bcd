#include "chat/local_format.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace bantam::chat {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

Result<std::shared_ptr<const runtime::Grammar>> LocalFormats::compiled(const std::string& schema) {
  constexpr size_t kMostKept = 32;
  {
    std::lock_guard lock(mutex_);
    const auto place = std::ranges::find_if(kept_, [&](const auto& one) { return one.first == schema; });
    if (place != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, place);
      return kept_.front().second;
    }
  }
  BANTAM_ASSIGN(auto made, runtime::Grammar::json_schema(schema, engine_->vocabulary()));
  std::lock_guard lock(mutex_);
  kept_.emplace_front(schema, made);
  if (kept_.size() > kMostKept) kept_.pop_back();
  return made;
}

Result<std::shared_ptr<const runtime::Grammar>> LocalFormats::grammar(const ResponseFormat& format,
                                                                      std::vector<std::string>& notes) {
  if (format.kind == ResponseFormat::Kind::kText) return nullptr;
  const bool free = format.kind == ResponseFormat::Kind::kJsonObject || format.schema.empty();
  auto found = compiled(free ? R"({"type": "object"})" : format.schema);
  if (!found) return std::unexpected(std::move(found).error().in("response_format"));
  notes.insert(notes.end(), (*found)->notes().begin(), (*found)->notes().end());
  return found;
}

Result<std::shared_ptr<const runtime::Grammar>> LocalFormats::call_grammar(const std::vector<Tool>& tools,
                                                                           const ToolChoice& choice,
                                                                           std::vector<std::string>& notes) {
  Json calls = Json::array(), definitions = Json::object();
  for (const Tool& tool : tools) {
    if (choice.mode == ToolChoice::Mode::kFunction && tool.name != choice.function) continue;
    Json parameters = {{"type", "object"}};
    if (!tool.parameters.empty()) parameters = Json::parse(tool.parameters, nullptr, false);
    if (parameters.is_discarded()) {
      return fail(Code::kInvalidArgument, "tools: parameters of '{}': found text that is not JSON",
                  tool.name);
    }
    // A schema with references of its own is the root's business: they count from the root of its own
    // document.
    if (parameters.dump().find("\"$ref\":\"#") != std::string::npos) {
      if (tools.size() > 1 && choice.mode != ToolChoice::Mode::kFunction) {
        return fail(Code::kUnsupported,
                    "tools: parameters of '{}': $ref among several tools is not supported", tool.name);
      }
      for (const char* key : {"$defs", "definitions"}) {
        if (parameters.contains(key)) definitions[key] = parameters[key];
      }
    }
    calls.push_back({{"type", "object"},
                     {"properties", {{"name", {{"const", tool.name}}}, {"arguments", parameters}}},
                     {"required", {"name", "arguments"}},
                     {"additionalProperties", false}});
  }
  if (calls.empty()) {
    return fail(Code::kInvalidArgument, "tool_choice: found '{}', expected one of the {} tools",
                choice.function, tools.size());
  }
  Json schema = {{"anyOf", calls}};
  for (const auto& [key, value] : definitions.items()) schema[key] = value;
  auto found = compiled(schema.dump());
  if (!found) return std::unexpected(std::move(found).error().in("tools"));
  notes.insert(notes.end(), (*found)->notes().begin(), (*found)->notes().end());
  return found;
}

}  // namespace bantam::chat
