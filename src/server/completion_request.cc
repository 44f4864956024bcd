#include "server/completion_request.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "net/json.h"

namespace bantam::server {
namespace {

using nlohmann::json;

constexpr size_t kMaxMessages = 4096, kMaxChoices = 4096, kMaxStops = 4;

/// Takes a body apart, parameter by parameter. The first problem is kept, and is the answer.
class Reader {
 public:
  std::expected<CompletionRequest, ApiError> read(const json& body);

 private:
  using Read = void (Reader::*)(const std::string& name, const json& value);
  struct Parameter {
    const char* name;
    Read read;
  };
  static const Parameter kParameters[];

  // Problems.
  void problem(std::string param, std::string code, std::string message) {
    if (!error_)
      error_ = ApiError{
          .status = 400, .message = std::move(message), .param = std::move(param), .code = std::move(code)};
  }
  void wrong_type(const std::string& param, std::string_view expected, const json& value) {
    problem(param, "invalid_type",
            fmt::format("Invalid type for '{}': found {}, expected {}.", param, value.type_name(), expected));
  }
  void wrong_value(const std::string& param, std::string_view found, std::string_view expected) {
    problem(param, "invalid_value",
            fmt::format("Invalid value for '{}': found {}, expected {}.", param, found, expected));
  }

  // Values that several parameters share; nullopt after a problem.
  std::optional<double> number(const std::string& name, const json& value, double low, double high);
  std::optional<uint64_t> whole(const std::string& name, const json& value, uint64_t low, uint64_t high);
  std::optional<bool> flag(const std::string& name, const json& value) {
    if (value.is_boolean()) return value.get<bool>();
    wrong_type(name, "a boolean", value);
    return std::nullopt;
  }
  std::optional<std::string> text(const std::string& name, const json& value) {
    if (value.is_string()) return value.get<std::string>();
    wrong_type(name, "a string", value);
    return std::nullopt;
  }
  std::vector<std::string> texts(const std::string& name, const json& value, size_t most);

  // Parameters that are honoured.
  void model(const std::string& name, const json& value) { out_.model = text(name, value).value_or(""); }
  void messages(const std::string& name, const json& value);
  void message(const std::string& name, const json& value);
  std::string content(const std::string& name, const json& value);
  void temperature(const std::string& name, const json& value) {
    set(out_.chat.sampling.temperature, number(name, value, 0, 2));
  }
  void top_p(const std::string& name, const json& value);
  void min_p(const std::string& name, const json& value) {
    set(out_.chat.sampling.min_p, number(name, value, 0, 1));
  }
  void top_k(const std::string& name, const json& value);
  void seed(const std::string& name, const json& value);
  void max_tokens(const std::string& name, const json& value);
  void stop(const std::string& name, const json& value);
  void stream(const std::string& name, const json& value) { out_.stream = flag(name, value).value_or(false); }
  void stream_options(const std::string& name, const json& value);
  void guided_choice(const std::string& name, const json& value);

  // Parameters whose every value, or whose one value, changes nothing here.
  void label(const std::string& name, const json& value) { text(name, value); }
  void metadata(const std::string& name, const json& value);
  void any_flag(const std::string& name, const json& value) { flag(name, value); }
  void only_false(const std::string& name, const json& value) { only(name, value, {false}); }
  void only_zero(const std::string& name, const json& value) { only(name, value, {0}); }
  void only_one(const std::string& name, const json& value) { only(name, value, {1}); }
  void only_empty_object(const std::string& name, const json& value) { only(name, value, {json::object()}); }
  void only_empty_list(const std::string& name, const json& value) { only(name, value, {json::array()}); }
  void only_none(const std::string& name, const json& value) { only(name, value, {"none"}); }
  void only_auto(const std::string& name, const json& value) { only(name, value, {"auto", "default"}); }
  void only_medium(const std::string& name, const json& value) { only(name, value, {"medium"}); }
  void only_text_modality(const std::string& name, const json& value) {
    only(name, value, {json::array({"text"})});
  }
  void only_text_format(const std::string& name, const json& value) {
    only(name, value, {json{{"type", "text"}}});
  }
  void no_tool_choice(const std::string& name, const json& value) { only(name, value, {"none", "auto"}); }
  void refused(const std::string& name, const json&) {
    problem(name, "unsupported_parameter",
            fmt::format("Unsupported parameter: '{}' is not supported by this server.", name));
  }
  void only(const std::string& name, const json& value, std::initializer_list<json> neutral);

  static void set(std::optional<float>& to, std::optional<double> value) {
    if (value) to = static_cast<float>(*value);
  }

  CompletionRequest out_;
  std::optional<ApiError> error_;
};

// The parameters of the API reference of 2026, then ours.
const Reader::Parameter Reader::kParameters[] = {
    {"model", &Reader::model},
    {"messages", &Reader::messages},
    {"temperature", &Reader::temperature},
    {"top_p", &Reader::top_p},
    {"seed", &Reader::seed},
    {"max_tokens", &Reader::max_tokens},
    {"max_completion_tokens", &Reader::max_tokens},
    {"stop", &Reader::stop},
    {"stream", &Reader::stream},
    {"stream_options", &Reader::stream_options},
    {"user", &Reader::label},
    {"safety_identifier", &Reader::label},
    {"prompt_cache_key", &Reader::label},
    {"metadata", &Reader::metadata},
    {"store", &Reader::only_false},
    {"parallel_tool_calls", &Reader::any_flag},
    {"n", &Reader::only_one},
    {"frequency_penalty", &Reader::only_zero},
    {"presence_penalty", &Reader::only_zero},
    {"logprobs", &Reader::only_false},
    {"top_logprobs", &Reader::only_zero},
    {"logit_bias", &Reader::only_empty_object},
    {"tools", &Reader::only_empty_list},
    {"tool_choice", &Reader::no_tool_choice},
    {"functions", &Reader::only_empty_list},
    {"function_call", &Reader::no_tool_choice},
    {"response_format", &Reader::only_text_format},
    {"modalities", &Reader::only_text_modality},
    {"reasoning_effort", &Reader::only_none},
    {"verbosity", &Reader::only_medium},
    {"service_tier", &Reader::only_auto},
    {"audio", &Reader::refused},
    {"prediction", &Reader::refused},
    {"web_search_options", &Reader::refused},
    {"prompt_cache_options", &Reader::refused},
    {"prompt_cache_retention", &Reader::refused},
    {"moderation", &Reader::refused},
    {"guided_choice", &Reader::guided_choice},
    {"top_k", &Reader::top_k},
    {"min_p", &Reader::min_p},
};

std::optional<double> Reader::number(const std::string& name, const json& value, double low, double high) {
  if (!value.is_number()) {
    wrong_type(name, "a number", value);
    return std::nullopt;
  }
  double v = value.get<double>();
  if (v >= low && v <= high) return v;
  wrong_value(name, value.dump(), fmt::format("a number in {}..{}", low, high));
  return std::nullopt;
}

std::optional<uint64_t> Reader::whole(const std::string& name, const json& value, uint64_t low,
                                      uint64_t high) {
  if (!value.is_number_integer()) {
    wrong_type(name, "an integer", value);
    return std::nullopt;
  }
  if (value.is_number_unsigned() && value.get<uint64_t>() >= low && value.get<uint64_t>() <= high)
    return value.get<uint64_t>();
  wrong_value(name, value.dump(), fmt::format("an integer in {}..{}", low, high));
  return std::nullopt;
}

std::vector<std::string> Reader::texts(const std::string& name, const json& value, size_t most) {
  std::vector<std::string> out;
  if (!value.is_array()) {
    wrong_type(name, "an array of strings", value);
    return out;
  }
  if (value.empty() || value.size() > most)
    wrong_value(name, fmt::format("{} entries", value.size()), fmt::format("1..{}", most));
  for (size_t i = 0; i < value.size() && !error_; ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    out.push_back(text(entry, value[i]).value_or(""));
    if (out.back().empty()) wrong_value(entry, "an empty string", "text");
  }
  return out;
}

void Reader::messages(const std::string& name, const json& value) {
  if (!value.is_array()) return wrong_type(name, "an array of messages", value);
  if (value.empty() || value.size() > kMaxMessages) {
    return wrong_value(name, fmt::format("{} messages", value.size()), fmt::format("1..{}", kMaxMessages));
  }
  for (size_t i = 0; i < value.size() && !error_; ++i) message(fmt::format("{}[{}]", name, i), value[i]);
}

void Reader::message(const std::string& name, const json& value) {
  if (!value.is_object()) return wrong_type(name, "an object", value);
  chat::Message out;
  bool has_content = false;
  for (const auto& [key, part] : value.items()) {
    std::string param = name + "." + key;
    if (part.is_null()) continue;
    if (key == "role") {
      out.role = text(param, part).value_or("");
    } else if (key == "content") {
      out.content = content(param, part);
      has_content = true;
    } else if (!(part.is_array() && part.empty())) {  // clients send back annotations: [] and tool_calls: []
      problem(param, "unsupported_parameter",
              fmt::format("Unsupported parameter: '{}' is not supported by this server.", param));
    }
  }
  static const std::set<std::string> kRoles{"system", "developer", "user", "assistant"};
  if (out.role.empty()) {
    problem(name + ".role", "missing_required_parameter",
            fmt::format("Missing required parameter: '{}.role'.", name));
  } else if (!kRoles.contains(out.role)) {
    wrong_value(name + ".role", "'" + out.role + "'", "'system', 'developer', 'user' or 'assistant'");
  }
  if (!has_content)
    problem(name + ".content", "missing_required_parameter",
            fmt::format("Missing required parameter: '{}.content'.", name));
  out_.chat.messages.push_back(std::move(out));
}

std::string Reader::content(const std::string& name, const json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string out;
  if (!value.is_array() || value.empty()) {
    wrong_type(name, "a string or a non-empty array of content parts", value);
    return out;
  }
  for (size_t i = 0; i < value.size() && !error_; ++i) {
    std::string part = fmt::format("{}[{}]", name, i);
    if (!value[i].is_object() || !value[i].contains("type")) {
      wrong_type(part, "an object with a type", value[i]);
    } else if (value[i]["type"] != "text") {
      wrong_value(part + ".type", value[i]["type"].dump(), "'text'");
    } else if (!value[i].contains("text")) {
      problem(part + ".text", "missing_required_parameter",
              fmt::format("Missing required parameter: '{}.text'.", part));
    } else {
      out += text(part + ".text", value[i]["text"]).value_or("");
    }
  }
  return out;
}

void Reader::top_p(const std::string& name, const json& value) {
  auto v = number(name, value, 0, 1);
  if (v == 0.0) return wrong_value(name, "0", "a number above 0");
  set(out_.chat.sampling.top_p, v);
}

void Reader::top_k(const std::string& name, const json& value) {
  if (auto v = whole(name, value, 0, 1'000'000)) out_.chat.sampling.top_k = static_cast<uint32_t>(*v);
}

void Reader::seed(const std::string& name, const json& value) {
  if (!value.is_number_integer()) return wrong_type(name, "an integer", value);
  // Negative seeds are allowed and are as good as any other.
  out_.chat.sampling.seed =
      value.is_number_unsigned() ? value.get<uint64_t>() : static_cast<uint64_t>(value.get<int64_t>());
}

void Reader::max_tokens(const std::string& name, const json& value) {
  auto v = whole(name, value, 1, UINT32_MAX);
  if (!v) return;
  auto& max = out_.chat.max_tokens;
  if (max && *max != *v)
    return wrong_value(name, value.dump(), fmt::format("the same as its other name, {}", *max));
  max = static_cast<uint32_t>(*v);
}

void Reader::stop(const std::string& name, const json& value) {
  if (!value.is_string()) {
    out_.chat.stop = texts(name, value, kMaxStops);
  } else if (value.get_ref<const std::string&>().empty()) {
    wrong_value(name, "an empty string", "text");
  } else {
    out_.chat.stop = {value.get<std::string>()};
  }
}

void Reader::stream_options(const std::string& name, const json& value) {
  if (!value.is_object()) return wrong_type(name, "an object", value);
  for (const auto& [key, option] : value.items()) {
    std::string param = name + "." + key;
    if (key == "include_usage") {
      out_.include_usage = flag(param, option).value_or(false);
    } else if (key == "include_obfuscation") {
      only_false(param, option);
    } else {
      problem(param, "unknown_parameter", fmt::format("Unknown parameter: '{}'.", param));
    }
  }
}

void Reader::guided_choice(const std::string& name, const json& value) {
  out_.chat.choices = texts(name, value, kMaxChoices);
  std::set<std::string_view> seen;
  for (const std::string& choice : out_.chat.choices) {
    if (!seen.insert(choice).second) wrong_value(name, "'" + choice + "' twice", "different choices");
  }
}

void Reader::metadata(const std::string& name, const json& value) {
  if (!value.is_object()) return wrong_type(name, "an object", value);
  for (const auto& [key, entry] : value.items()) text(name + "." + key, entry);
}

void Reader::only(const std::string& name, const json& value, std::initializer_list<json> neutral) {
  if (std::find(neutral.begin(), neutral.end(), value) != neutral.end()) return;
  problem(name, "unsupported_value",
          fmt::format("Unsupported value: '{}' does not support {} with this server. Only {} is supported.",
                      name, net::to_text(value).substr(0, 100), net::to_text(*neutral.begin())));
}

std::expected<CompletionRequest, ApiError> Reader::read(const json& body) {
  if (!body.is_object()) problem("", "invalid_type", "The body must be a JSON object.");
  for (const char* required : {"model", "messages"}) {
    if (!error_ && (!body.contains(required) || body[required].is_null())) {
      problem(required, "missing_required_parameter",
              fmt::format("Missing required parameter: '{}'.", required));
    }
  }
  if (error_) return std::unexpected(*error_);
  for (const auto& [name, value] : body.items()) {
    auto parameter = std::find_if(std::begin(kParameters), std::end(kParameters),
                                  [&](const Parameter& p) { return name == p.name; });
    if (parameter == std::end(kParameters)) {
      problem(name, "unknown_parameter", fmt::format("Unknown parameter: '{}'.", name.substr(0, 100)));
    } else if (!value.is_null()) {  // null is the same as leaving it out
      (this->*parameter->read)(name, value);
    }
  }
  if (!out_.stream && body.contains("stream_options") && !body["stream_options"].is_null()) {
    problem("stream_options", "invalid_value",
            "The 'stream_options' parameter is only allowed when 'stream' is true.");
  }
  if (error_) return std::unexpected(*error_);
  return std::move(out_);
}

}  // namespace

std::expected<CompletionRequest, ApiError> read_completion_request(std::string_view text) {
  auto body = net::parse_json(text, "The request body");
  if (!body)
    return std::unexpected(
        ApiError{.status = 400, .message = body.error().message + ".", .code = "invalid_json"});
  return Reader().read(*body);
}

}  // namespace bantam::server
