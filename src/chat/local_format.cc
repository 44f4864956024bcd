#include "chat/local_format.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "chat/prompt.h"
#include "net/json.h"

namespace bantam::chat {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAnyObject = R"({"type": "object"})";

/// What the whole text must be JSON of; empty for plain text.
std::string format_schema(const ResponseFormat& format) {
  if (format.kind == ResponseFormat::Kind::kText) return "";
  const bool free = format.kind == ResponseFormat::Kind::kJsonObject || format.schema.empty();
  return free ? kAnyObject : format.schema;
}

}  // namespace

LocalFormats::Made LocalFormats::kept(const std::string& key, const std::function<Made()>& make) {
  constexpr size_t kMostKept = 32;
  {
    std::lock_guard lock(mutex_);
    const auto place = std::ranges::find_if(kept_, [&](const auto& one) { return one.first == key; });
    if (place != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, place);
      return kept_.front().second;
    }
  }
  BANTAM_ASSIGN(auto made, make());
  std::lock_guard lock(mutex_);
  kept_.emplace_front(key, made);
  if (kept_.size() > kMostKept) kept_.pop_back();
  return made;
}

LocalFormats::Made LocalFormats::compiled(const std::string& schema) {
  return kept(schema, [&] { return runtime::Grammar::json_schema(schema, engine_->vocabulary()); });
}

LocalFormats::Made LocalFormats::grammar(const ResponseFormat& format, std::vector<std::string>& notes) {
  if (format.kind == ResponseFormat::Kind::kText) return nullptr;
  // No schema begins with a slash.
  auto found = format.kind == ResponseFormat::Kind::kPattern
                   ? kept("/" + format.schema,
                          [&] { return runtime::Grammar::pattern(format.schema, engine_->vocabulary()); })
                   : compiled(format_schema(format));
  if (!found) return std::unexpected(std::move(found).error().in("response_format"));
  notes.insert(notes.end(), (*found)->notes().begin(), (*found)->notes().end());
  return found;
}

/// Whether the vocabulary can spell the form, its control tokens included.
bool LocalFormats::fit(text::CallForm form, CallStyle& out) const {
  const text::Tokenizer& tokenizer = engine_->tokenizer();
  std::vector<text::TokenId> shown;  // control tokens that spell parts of it
  for (std::string* literal : {&form.open, &form.after_name, &form.between, &form.close}) {
    auto ids = tokenizer.encode(*literal, {.add_special = false, .parse_special = true});
    if (!ids) return false;
    for (text::TokenId id : *ids) {
      if (tokenizer.is_end(id)) {  // the end of the turn is the model's to say, not the form's
        if (literal != &form.close) return false;
        literal->resize(std::min(literal->size(), literal->find(tokenizer.piece(id, /*special=*/true))));
        break;
      }
      const bool control = tokenizer.piece(id).empty();
      if (control && std::ranges::find(shown, id) == shown.end()) shown.push_back(id);
    }
  }
  out.form = std::move(form);
  out.vocabulary = shown.empty() ? engine_->vocabulary() : engine_->vocabulary(shown);
  return true;
}

void LocalFormats::find_styles() {
  if (!fit(stated_form(), stated_)) stated_ = {.form = stated_form(), .vocabulary = engine_->vocabulary()};
  auto form = text::find_call_form(engine_->chat_template(), text::chat_options(engine_->tokenizer()));
  native_.native = form && fit(std::move(*form), native_);
  if (!native_.native) native_ = stated_;
}

const CallStyle& LocalFormats::call_style() {
  std::call_once(styles_found_, [this] { find_styles(); });
  return native_;
}

const CallStyle& LocalFormats::stated_style() {
  call_style();
  return stated_;
}

Result<std::string> LocalFormats::arguments_schema(const Tool& tool, std::vector<std::string>& notes) {
  // As OpenAI's API has it: a function without parameters takes none.
  Json schema = {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  if (!tool.parameters.empty()) {
    auto given = net::parse_ordered_json(tool.parameters, "parameters");
    if (!given || !given->is_object()) {
      return fail(Code::kInvalidArgument, "tools: the parameters of '{}' are no JSON object", tool.name);
    }
    schema = std::move(*given);
  }
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != "object") {
    return fail(Code::kInvalidArgument, "tools: the parameters of '{}' have type {}, expected \"object\"",
                tool.name, net::ordered_text(schema["type"]));
  }
  std::string text = net::ordered_text(schema);
  if (auto found = compiled(text); !found) {
    if (tool.strict || found.error().code != Code::kUnsupported)
      return std::unexpected(
          std::move(found).error().in("the parameters of '" + tool.name + "'").in("tools"));
    notes.push_back(
        fmt::format("the arguments of '{}' are any object, not held to its schema, which is not strict: {}",
                    tool.name, found.error().message));
    return kAnyObject;
  }
  return text;
}

LocalFormats::Made LocalFormats::call_grammar(const Request& request, const CallStyle& style,
                                              std::vector<std::string>& notes) {
  runtime::CallRules rules;
  rules.form = style.form;
  rules.several = request.parallel_tool_calls;
  rules.required = request.tool_choice.mode != ToolChoice::Mode::kAuto;
  rules.text_schema = rules.required ? "" : format_schema(request.format);
  Json key = {style.native, rules.several, rules.required, rules.text_schema};
  for (const Tool& tool : request.tools) {
    if (!may_be_called(tool, request.tool_choice)) continue;
    BANTAM_ASSIGN(std::string schema, arguments_schema(tool, notes));
    key.push_back({tool.name, schema});
    rules.functions.push_back({tool.name, std::move(schema)});
  }
  auto found = kept("tools " + net::ordered_text(key),
                    [&] { return runtime::Grammar::calls(rules, style.vocabulary); });
  if (!found) return std::unexpected(std::move(found).error().in("tools"));
  notes.insert(notes.end(), (*found)->notes().begin(), (*found)->notes().end());
  return found;
}

}  // namespace bantam::chat
