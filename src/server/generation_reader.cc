#include "server/generation_reader.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "net/json.h"

namespace bantam::server {
namespace {

constexpr size_t kMaxChoices = 4096, kMaxStops = 4, kMaxBiases = 4096, kMaxAdapters = 256;

}  // namespace

void GenerationReader::top_p(const std::string& name, const json& value) {
  auto v = number(name, value, 0, 1);
  if (v == 0.0) return wrong_value(name, "0", "a number above 0");
  set(chat_.sampling.top_p, v);
}

void GenerationReader::top_k(const std::string& name, const json& value) {
  if (auto v = whole(name, value, 0, 1'000'000)) chat_.sampling.top_k = static_cast<uint32_t>(*v);
}

void GenerationReader::seed(const std::string& name, const json& value) {
  if (!value.is_number_integer()) return wrong_type(name, "an integer", value);
  // Negative seeds are allowed and are as good as any other.
  chat_.sampling.seed =
      value.is_number_unsigned() ? value.get<uint64_t>() : static_cast<uint64_t>(value.get<int64_t>());
}

void GenerationReader::logit_bias(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  if (value.size() > kMaxBiases)
    return wrong_value(name, fmt::format("{} entries", value.size()), fmt::format("at most {}", kMaxBiases));
  for (const auto& [key, entry] : value.items()) {
    uint32_t id = 0;
    auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size())
      return wrong_value(name, "'" + key.substr(0, 100) + "'", "the id of a token");
    auto bias = number(name + "." + key, entry, -100, 100);
    if (!bias) return;
    chat_.sampling.logit_bias.emplace_back(id, static_cast<float>(*bias));
  }
}

void GenerationReader::lora(const std::string& name, const json& value) {
  if (!is_array(name, value, 0, kMaxAdapters)) return;
  auto& adapters = chat_.adapters.emplace();
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    const std::string entry = fmt::format("{}[{}]", name, i);
    if (!is_object(entry, value[i])) return;
    for (const auto& [key, part] : value[i].items()) {
      if (key != "id" && key != "scale") return unknown(entry + "." + key.substr(0, 100));
    }
    const json *id = required(entry, value[i], "id"), *scale = required(entry, value[i], "scale");
    if (!id || !scale) return;
    const auto index = whole(entry + ".id", *id, 0, kMaxAdapters);
    const auto share = number(entry + ".scale", *scale, -1e6, 1e6);
    if (index && share) adapters.emplace_back(static_cast<uint32_t>(*index), static_cast<float>(*share));
  }
}

void GenerationReader::max_tokens(const std::string& name, const json& value) {
  auto v = whole(name, value, 1, UINT32_MAX);
  if (!v) return;
  auto& max = chat_.max_tokens;
  if (max && *max != *v)
    return wrong_value(name, value.dump(), fmt::format("the same as its other name, {}", *max));
  max = static_cast<uint32_t>(*v);
}

void GenerationReader::stop(const std::string& name, const json& value) {
  if (value.is_array() && value.empty()) return;  // as LangChain sends it where there is none
  if (!value.is_string()) {
    chat_.stop = texts(name, value, kMaxStops);
  } else if (value.get_ref<const std::string&>().empty()) {
    wrong_value(name, "an empty string", "text");
  } else {
    chat_.stop = {value.get<std::string>()};
  }
}

void GenerationReader::stream_options(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  for (const auto& [key, option] : value.items()) {
    std::string param = name + "." + key;
    if (key == "include_usage") {
      include_usage_ = flag(param, option).value_or(false);
    } else if (key == "include_obfuscation") {
      only_false(param, option);
    } else {
      unknown(param);
    }
  }
}

void GenerationReader::n(const std::string& name, const json& value) {
  if (value == 1) return;  // 1.0 as well
  if (auto v = whole(name, value, 1, limits_.max_answers)) n_ = static_cast<uint32_t>(*v);
}

void GenerationReader::guided_choice(const std::string& name, const json& value) {
  chat_.choices = texts(name, value, kMaxChoices);
  std::set<std::string_view> seen;
  for (const std::string& choice : chat_.choices) {
    if (!seen.insert(choice).second) wrong_value(name, "'" + choice + "' twice", "different choices");
  }
}

chat::Tool GenerationReader::tool(
    const std::string& name, const json& value, const char* schema,
    const std::function<void(const std::string& param, const std::string& key, const json&)>& other) {
  chat::Tool out;
  if (!is_object(name, value) || !required(name, value, "name")) return out;
  for (const auto& [key, part] : value.items()) {
    std::string param = name + "." + key.substr(0, 100);
    if (part.is_null() || key == "type") continue;
    if (key == "name") {
      out.name = identifier(param, part);
    } else if (key == "description") {
      out.description = text(param, part).value_or("");
    } else if (key == schema) {
      out.parameters = object_text(param, part);
    } else if (key == "strict") {
      out.strict = flag(param, part).value_or(false);
    } else {
      other(param, key, part);
    }
  }
  for (const chat::Tool& before : chat_.tools) {
    if (before.name == out.name) wrong_value(name + ".name", "'" + out.name + "' twice", "different names");
  }
  return out;
}

void GenerationReader::functions(const std::string& name, const json& value, Members members) {
  if (!is_array(name, value, 0, kMaxTools)) return;
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    if (!is_object(entry, value[i])) return;
    const json* type = required(entry, value[i], "type");
    if (!type) return;
    if (*type != "function") return only(entry + ".type", *type, {"function"});
    const bool nested = members == Members::kNested;
    const json* function = nested ? required(entry, value[i], "function") : &value[i];
    if (!function) return;
    chat_.tools.push_back(
        tool(nested ? entry + ".function" : entry, *function, "parameters",
             [this](const std::string& param, const std::string&, const json&) { unknown(param); }));
  }
}

std::string GenerationReader::function_name(const std::string& name, const json& value, Members members) {
  const bool nested = members == Members::kNested;
  const json* function = nested ? required(name, value, "function") : &value;
  const std::string path = nested ? name + ".function" : name;
  const json* called = function ? required(path, *function, "name") : nullptr;
  return called ? text(path + ".name", *called).value_or("") : "";
}

void GenerationReader::read_tool_choice(Members members) {
  const auto& [name, place] = tool_choice_;
  if (!place || !ok()) return;
  const json& value = *place;
  if (value.is_string() && tool_mode(value.get<std::string>())) return;
  const json* type = member(value, "type");
  if (!type)
    return wrong_value(name, shown(value), "'none', 'auto', 'required' or an object that names a function");
  if (*type == "allowed_tools") {
    const json* allowed = members == Members::kNested ? required(name, value, "allowed_tools") : &value;
    if (allowed)
      allowed_tools(members == Members::kNested ? name + ".allowed_tools" : name, *allowed, members);
    return;
  }
  if (*type != "function") return only(name + ".type", *type, {"function", "allowed_tools"});
  chat_.tool_choice = {chat::ToolChoice::Mode::kFunction, function_name(name, value, members)};
}

void GenerationReader::allowed_tools(const std::string& name, const json& value, Members members) {
  const json* mode = required(name, value, "mode");
  const json* list = required(name, value, "tools");
  if (!mode || !list || !is_array(name + ".tools", *list, 1, kMaxTools)) return;
  if (!mode->is_string() || *mode == "none" || !tool_mode(mode->get<std::string>()))
    return wrong_value(name + ".mode", shown(*mode), "'auto' or 'required'");
  std::vector<std::string> allowed;
  for (size_t i = 0; i < list->size() && ok(); ++i)
    allowed.push_back(function_name(fmt::format("{}.tools[{}]", name, i), (*list)[i], members));
  if (ok()) allow_tools(name + ".tools", allowed);
}

void GenerationReader::format(const std::string& name, const json& value, Members members) {
  if (!is_object(name, value)) return;
  const json* type = required(name, value, "type");
  if (!type) return;
  if (*type == "json_schema") {
    const bool nested = members == Members::kNested;
    const std::string path = nested ? name + ".json_schema" : name;
    const json* schema = nested ? required(name, value, "json_schema") : &value;
    if (schema && is_object(path, *schema) && required(path, *schema, "name")) json_schema(path, *schema);
  } else if (*type == "json_object") {
    chat_.format.kind = chat::ResponseFormat::Kind::kJsonObject;
  } else {
    only(name + ".type", *type, {"text", "json_object", "json_schema"});
  }
}

bool GenerationReader::tool_mode(const std::string& word) {
  using Mode = chat::ToolChoice::Mode;
  if (word == "none")
    chat_.tool_choice.mode = Mode::kNone;
  else if (word == "auto")
    chat_.tool_choice.mode = Mode::kAuto;
  else if (word == "required")
    chat_.tool_choice.mode = Mode::kRequired;
  else
    return false;
  return true;
}

void GenerationReader::json_schema(const std::string& name, const json& value) {
  const json* schema = required(name, value, "schema");
  if (!schema || !is_object(name + ".schema", *schema)) return;
  chat_.format.kind = chat::ResponseFormat::Kind::kJsonSchema;
  for (const auto& [key, part] : value.items()) {
    std::string param = name + "." + key;
    if (part.is_null() || key == "schema" || key == "type") continue;
    if (key == "name") {
      chat_.format.name = identifier(param, part);
    } else if (key == "strict") {
      chat_.format.strict = flag(param, part).value_or(false);
    } else if (key == "description") {
      chat_.format.description = text(param, part).value_or("");
    } else {
      unknown(param);
    }
  }
  chat_.format.schema = net::ordered_text(*schema);
}

void GenerationReader::allow_tools(const std::string& name, const std::vector<std::string>& allowed) {
  for (const std::string& wanted : allowed) {
    bool there = std::any_of(chat_.tools.begin(), chat_.tools.end(),
                             [&](const chat::Tool& t) { return t.name == wanted; });
    if (!there) return wrong_value(name, "'" + wanted + "'", "the name of one of the tools");
  }
  std::erase_if(chat_.tools, [&](const chat::Tool& t) {
    return std::find(allowed.begin(), allowed.end(), t.name) == allowed.end();
  });
}

void GenerationReader::check_together(const json& body) {
  using Mode = chat::ToolChoice::Mode;
  const chat::ToolChoice& choice = chat_.tool_choice;
  if (!stream_ && member(body, "stream_options")) {
    problem("stream_options", "invalid_value",
            "The 'stream_options' parameter is only allowed when 'stream' is true.");
  }
  if (choice.mode == Mode::kRequired && chat_.tools.empty())
    wrong_value("tool_choice", "'required'", "'none' or 'auto', since there are no tools");
  if (choice.mode == Mode::kFunction) {
    bool there = std::any_of(chat_.tools.begin(), chat_.tools.end(),
                             [&](const chat::Tool& t) { return t.name == choice.function; });
    if (!there) wrong_value("tool_choice", "'" + choice.function + "'", "the name of one of the tools");
  }
  if (!chat_.choices.empty() &&
      (!chat_.tools.empty() || chat_.format.kind != chat::ResponseFormat::Kind::kText))
    wrong_value("guided_choice", "choices beside tools or a response format", "one of them");
  if (chat_.context_keep > 0 && !chat_.context_shift)
    wrong_value("n_keep", std::to_string(chat_.context_keep), "0, since 'context_shift' is false");
  if (chat_.typed_events && !stream_) wrong_value("typed_events", "true", "false, since 'stream' is false");
}

std::vector<chat::Request> GenerationReader::answers(chat::Request chat) const {
  const uint64_t seed = chat.sampling.seed.value_or(0);
  std::vector<chat::Request> out(n_ - 1, chat);
  out.push_back(std::move(chat));
  for (uint32_t i = 0; n_ > 1 && i < n_; ++i) out[i].sampling.seed = seed + i;
  return out;
}

}  // namespace bantam::server
