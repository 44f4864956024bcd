#include "server/messages_request.h"

#include <algorithm>

#include "net/json.h"
#include "server/generation_reader.h"
#include "server/messages_reply.h"

namespace bantam::server {
namespace {

constexpr size_t kMaxBlocks = 4096, kMaxStopSequences = 64;

class MessagesReader final : public GenerationReader {
 public:
  using GenerationReader::GenerationReader;
  /// `counting`: only the tokens of the prompt are wanted.
  std::expected<Generation, ApiError> read(const json& body, bool counting);

 private:
  static const Field<MessagesReader> kFields[], kCountFields[];

  void system(const std::string& name, const json& value);
  void messages(const std::string& name, const json& value);
  void message(const std::string& name, const json& value);
  void user(const std::string& name, const json& value);
  void assistant(const std::string& name, const json& value);
  void tool_result(const std::string& name, const json& value);
  /// The text of a block of text.
  std::string block_text(const std::string& name, const json& value);
  /// Blocks of a system prompt, each a paragraph of its own.
  std::string paragraphs(const std::string& name, const json& value);
  /// "" after a problem.
  std::string type_of(const std::string& name, const json& value);
  /// Members of a block beside `known` and those that change nothing.
  void block_members(const std::string& name, const json& value, std::initializer_list<const char*> known);

  void max(const std::string& name, const json& value) { max_tokens(name, value); }
  void warmth(const std::string& name, const json& value) {
    set(chat_.sampling.temperature, number(name, value, 0, 1));
  }
  void stop_sequences(const std::string& name, const json& value) {
    if (!(value.is_array() && value.empty())) chat_.stop = texts(name, value, kMaxStopSequences);
  }
  void tools(const std::string& name, const json& value);
  chat::Tool own_tool(const std::string& name, const json& value);
  void choose_tool(const std::string& name, const json& value);
  void output_config(const std::string& name, const json& value);
  void thinking(const std::string& name, const json& value) {
    if (const json* type = required(name, value, "type")) only(name + ".type", *type, {"disabled"});
  }
  void tier(const std::string& name, const json& value) { only(name, value, {"auto", "standard_only"}); }
  void speed(const std::string& name, const json& value) { only(name, value, {"standard"}); }
};

const GenerationReader::Field<MessagesReader> MessagesReader::kFields[] = {
    {"model", &MessagesReader::model},
    {"max_tokens", &MessagesReader::max},
    {"messages", &MessagesReader::messages},
    {"system", &MessagesReader::system},
    {"stop_sequences", &MessagesReader::stop_sequences},
    {"stream", &MessagesReader::stream},
    {"temperature", &MessagesReader::warmth},
    {"top_k", &MessagesReader::top_k},
    {"top_p", &MessagesReader::top_p},
    {"tools", &MessagesReader::tools},
    {"tool_choice", &MessagesReader::choose_tool},
    {"output_config", &MessagesReader::output_config},
    {"metadata", &MessagesReader::metadata},
    {"cache_control", &MessagesReader::any_object},
    {"service_tier", &MessagesReader::tier},
    {"speed", &MessagesReader::speed},
    {"thinking", &MessagesReader::thinking},
    {"container", &MessagesReader::refused},
    {"diagnostics", &MessagesReader::refused},
    {"inference_geo", &MessagesReader::refused},
    {"user_profile_id", &MessagesReader::label},
    {"workspace_id", &MessagesReader::label},
};

const GenerationReader::Field<MessagesReader> MessagesReader::kCountFields[] = {
    {"model", &MessagesReader::model},
    {"messages", &MessagesReader::messages},
    {"system", &MessagesReader::system},
    {"tools", &MessagesReader::tools},
    {"tool_choice", &MessagesReader::choose_tool},
    {"output_config", &MessagesReader::output_config},
    {"cache_control", &MessagesReader::any_object},
    {"speed", &MessagesReader::speed},
    {"thinking", &MessagesReader::thinking},
    {"user_profile_id", &MessagesReader::label},
    {"workspace_id", &MessagesReader::label},
};

std::string MessagesReader::type_of(const std::string& name, const json& value) {
  if (!is_object(name, value)) return "";
  const json* type = required(name, value, "type");
  return type ? text(name + ".type", *type).value_or("") : "";
}

void MessagesReader::block_members(const std::string& name, const json& value,
                                   std::initializer_list<const char*> known) {
  for (const auto& [key, part] : value.items()) {
    // What the prompt's cache is told has no effect here; citations and the like come back as null or empty.
    bool neutral =
        part.is_null() || key == "type" || key == "cache_control" || (part.is_array() && part.empty());
    if (neutral) continue;
    if (key == "caller" && member(part, "type") && part["type"] == "direct") continue;
    if (std::find(known.begin(), known.end(), key) == known.end())
      return refused(name + "." + key.substr(0, 100));
  }
}

std::string MessagesReader::block_text(const std::string& name, const json& value) {
  std::string type = type_of(name, value);
  if (!ok()) return "";
  if (type != "text") {
    only(name + ".type", type, {"text"});
    return "";
  }
  block_members(name, value, {"text"});
  const json* words = required(name, value, "text");
  return words ? text(name + ".text", *words).value_or("") : "";
}

std::string MessagesReader::paragraphs(const std::string& name, const json& value) {
  std::string out;
  for (size_t i = 0; i < value.size() && ok(); ++i)
    out += (i ? "\n\n" : "") + block_text(fmt::format("{}[{}]", name, i), value[i]);
  return out;
}

void MessagesReader::system(const std::string& name, const json& value) {
  std::string out;
  if (value.is_string()) {
    out = value.get<std::string>();
  } else if (!value.is_array()) {
    return wrong_type(name, "a string or an array of text blocks", value);
  } else if (is_array(name, value, 0, kMaxBlocks)) {
    out = paragraphs(name, value);
  }
  if (!out.empty()) chat_.messages.insert(chat_.messages.begin(), {.role = "system", .content = out});
}

void MessagesReader::messages(const std::string& name, const json& value) {
  if (!is_array(name, value, 1, kMaxMessages)) return;
  for (size_t i = 0; i < value.size() && ok(); ++i) message(fmt::format("{}[{}]", name, i), value[i]);
  if (ok() && chat_.messages.back().role == "assistant") {
    problem(
        name, "unsupported_value",
        "Unsupported value: 'messages' ends with the assistant's turn; this server does not continue one.");
  }
}

void MessagesReader::message(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  const json* role = required(name, value, "role");
  const json* said = required(name, value, "content");
  if (!role || !said) return;
  for (const auto& [key, part] : value.items()) {
    if (key != "role" && key != "content" && !part.is_null()) return unknown(name + "." + key.substr(0, 100));
  }
  if (*role != "user" && *role != "assistant" && *role != "system")
    return wrong_value(name + ".role", shown(*role), "'user', 'assistant' or 'system'");
  std::string path = name + ".content";
  if (said->is_string()) {
    chat_.messages.push_back({.role = role->get<std::string>(), .content = said->get<std::string>()});
  } else if (!said->is_array()) {
    wrong_type(path, "a string or an array of content blocks", *said);
  } else if (is_array(path, *said, 1, kMaxBlocks)) {
    if (*role == "assistant")
      assistant(path, *said);
    else if (*role == "user")
      user(path, *said);
    else
      chat_.messages.push_back({.role = "system", .content = paragraphs(path, *said)});
  }
}

/// Results of tools are messages of their own, which stand before the rest of the turn.
void MessagesReader::user(const std::string& name, const json& value) {
  std::string said;
  bool has_text = false;
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    std::string type = type_of(entry, value[i]);
    if (type == "tool_result") {
      if (has_text)
        return wrong_value(entry, "a tool_result after text", "results of tools first, as the API has it");
      tool_result(entry, value[i]);
    } else if (type == "text") {
      said += block_text(entry, value[i]);
      has_text = true;
    } else if (ok()) {
      only(entry + ".type", type, {"text", "tool_result"});
    }
  }
  if (has_text) chat_.messages.push_back({.role = "user", .content = std::move(said)});
}

void MessagesReader::tool_result(const std::string& name, const json& value) {
  block_members(name, value, {"tool_use_id", "content", "is_error"});
  const json* id = required(name, value, "tool_use_id");
  if (!id) return;
  chat::Message out;
  out.role = "tool";
  out.tool_call_id = text(name + ".tool_use_id", *id).value_or("");
  if (const json* error = member(value, "is_error");
      error && flag(name + ".is_error", *error).value_or(false))
    out.content = "Error: ";  // OpenAI's form of the message has no field for it
  const json* said = member(value, "content");
  if (said && said->is_string()) {
    out.content += said->get<std::string>();
  } else if (said && is_array(name + ".content", *said, 0, kMaxBlocks)) {
    for (size_t i = 0; i < said->size() && ok(); ++i)
      out.content += block_text(fmt::format("{}.content[{}]", name, i), (*said)[i]);
  }
  chat_.messages.push_back(std::move(out));
}

void MessagesReader::assistant(const std::string& name, const json& value) {
  chat::Message out;
  out.role = "assistant";
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    std::string type = type_of(entry, value[i]);
    if (type == "text") {
      out.content += block_text(entry, value[i]);
    } else if (type == "tool_use") {
      block_members(entry, value[i], {"id", "name", "input"});
      const json* id = required(entry, value[i], "id");
      const json* called = required(entry, value[i], "name");
      const json* input = required(entry, value[i], "input");
      if (!id || !called || !input) return;
      out.tool_calls.push_back({text(entry + ".id", *id).value_or(""),
                                text(entry + ".name", *called).value_or(""),
                                object_text(entry + ".input", *input)});
    } else if (ok()) {
      only(entry + ".type", type, {"text", "tool_use"});
    }
  }
  chat_.messages.push_back(std::move(out));
}

void MessagesReader::tools(const std::string& name, const json& value) {
  if (!is_array(name, value, 0, kMaxTools)) return;
  for (size_t i = 0; i < value.size() && ok(); ++i)
    chat_.tools.push_back(own_tool(fmt::format("{}[{}]", name, i), value[i]));
}

chat::Tool MessagesReader::own_tool(const std::string& name, const json& value) {
  if (!is_object(name, value)) return {};
  if (const json* type = member(value, "type")) only(name + ".type", *type, {"custom"});
  if (!ok() || !required(name, value, "input_schema")) return {};
  return tool(name, value, "input_schema",
              [this](const std::string& param, const std::string& key, const json& part) {
                if (key == "cache_control") return;
                if (key == "eager_input_streaming")
                  any_flag(param, part);
                else if (key == "defer_loading")
                  only_false(param, part);
                else if (key == "allowed_callers")
                  only(param, part, {json::array({"direct"})});
                else
                  refused(param);
              });
}

void MessagesReader::choose_tool(const std::string& name, const json& value) {
  using Mode = chat::ToolChoice::Mode;
  std::string type = type_of(name, value);
  if (!ok()) return;
  chat::ToolChoice& choice = chat_.tool_choice;
  if (type == "tool") {
    const json* called = required(name, value, "name");
    choice.mode = Mode::kFunction;
    if (called) choice.function = text(name + ".name", *called).value_or("");
  } else if (type == "any") {
    choice.mode = Mode::kRequired;
  } else if (!(type == "auto" || type == "none") || !tool_mode(type)) {
    return only(name + ".type", type, {"auto", "any", "tool", "none"});
  }
  block_members(name, value, {"name", "disable_parallel_tool_use"});
  if (const json* single = member(value, "disable_parallel_tool_use"))
    chat_.parallel_tool_calls = !flag(name + ".disable_parallel_tool_use", *single).value_or(false);
}

void MessagesReader::output_config(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  for (const auto& [key, part] : value.items()) {
    std::string param = name + "." + key.substr(0, 100);
    if (part.is_null()) continue;
    if (key == "effort") {
      only(param, part, {"high"});  // the API's default
    } else if (key == "format") {
      std::string type = type_of(param, part);
      if (ok() && type != "json_schema") return only(param + ".type", type, {"json_schema"});
      if (ok()) json_schema(param, part);
      if (chat_.format.name.empty()) chat_.format.name = "answer";  // other APIs need one
    } else {
      unknown(param);
    }
  }
}

std::expected<Generation, ApiError> MessagesReader::read(const json& body, bool counting) {
  for (const char* key : {"model", "messages"}) required("", body, key);
  if (counting) {
    read_members(*this, "", body, kCountFields);
  } else {
    required("", body, "max_tokens");
    read_members(*this, "", body, kFields);
  }
  check_together(body);
  if (error_) return std::unexpected(*error_);
  Generation out;
  out.model = model_;
  out.stream = stream_;
  out.format = make_messages_reply(model_);
  out.chats = answers(std::move(chat_));
  return out;
}

}  // namespace

std::expected<Generation, ApiError> read_messages_request(std::string_view text, const WireLimits& limits) {
  return read_body(text, MessagesReader(limits), false);
}

std::expected<Generation, ApiError> read_count_request(std::string_view text, const WireLimits& limits) {
  return read_body(text, MessagesReader(limits), true);
}

}  // namespace bantam::server
