#include "server/body_reader.h"

#include <algorithm>

#include "net/json.h"

namespace bantam::server {

void BodyReader::problem(std::string param, std::string code, std::string message) {
  if (error_) return;
  error_ = ApiError{
      .status = 400, .message = std::move(message), .param = std::move(param), .code = std::move(code)};
}

void BodyReader::wrong_type(const std::string& param, std::string_view expected, const json& value) {
  problem(param, "invalid_type",
          fmt::format("Invalid type for '{}': found {}, expected {}.", param, value.type_name(), expected));
}

void BodyReader::wrong_value(const std::string& param, std::string_view found, std::string_view expected) {
  problem(param, "invalid_value",
          fmt::format("Invalid value for '{}': found {}, expected {}.", param, found, expected));
}

void BodyReader::missing(const std::string& param) {
  problem(param, "missing_required_parameter", fmt::format("Missing required parameter: '{}'.", param));
}

void BodyReader::unknown(const std::string& param) {
  problem(param, "unknown_parameter", fmt::format("Unknown parameter: '{}'.", param));
}

void BodyReader::refused(const std::string& name, const json&) {
  problem(name, "unsupported_parameter",
          fmt::format("Unsupported parameter: '{}' is not supported by this server.", name));
}

std::string BodyReader::shown(const json& value) { return net::ordered_text(value).substr(0, 100); }

void BodyReader::only(const std::string& name, const json& value, std::initializer_list<json> neutral) {
  if (std::find(neutral.begin(), neutral.end(), value) != neutral.end()) return;
  problem(name, "unsupported_value",
          fmt::format("Unsupported value: '{}' does not support {} with this server. Only {} is supported.",
                      name, shown(value), net::ordered_text(*neutral.begin())));
}

std::optional<double> BodyReader::number(const std::string& name, const json& value, double low,
                                         double high) {
  if (!value.is_number()) {
    wrong_type(name, "a number", value);
    return std::nullopt;
  }
  double v = value.get<double>();
  if (v >= low && v <= high) return v;
  wrong_value(name, value.dump(), fmt::format("a number in {}..{}", low, high));
  return std::nullopt;
}

std::optional<uint64_t> BodyReader::whole(const std::string& name, const json& value, uint64_t low,
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

std::optional<bool> BodyReader::flag(const std::string& name, const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  wrong_type(name, "a boolean", value);
  return std::nullopt;
}

std::optional<std::string> BodyReader::text(const std::string& name, const json& value) {
  if (value.is_string()) return value.get<std::string>();
  wrong_type(name, "a string", value);
  return std::nullopt;
}

std::string BodyReader::identifier(const std::string& name, const json& value) {
  constexpr size_t kLongest = 64;
  std::string out = text(name, value).value_or("");
  bool good = !out.empty() && out.size() <= kLongest && std::all_of(out.begin(), out.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!good)
    wrong_value(name, "'" + out.substr(0, 100) + "'", "1..64 letters, digits, underscores and dashes");
  return out;
}

std::vector<std::string> BodyReader::texts(const std::string& name, const json& value, size_t most) {
  std::vector<std::string> out;
  if (!value.is_array()) {
    wrong_type(name, "an array of strings", value);
    return out;
  }
  if (!is_array(name, value, 1, most)) return out;
  for (size_t i = 0; i < value.size() && ok(); ++i) {
    std::string entry = fmt::format("{}[{}]", name, i);
    out.push_back(text(entry, value[i]).value_or(""));
    if (out.back().empty()) wrong_value(entry, "an empty string", "text");
  }
  return out;
}

std::vector<std::string> BodyReader::one_or_more(const std::string& name, const json& value, size_t most) {
  if (!value.is_string()) return texts(name, value, most);
  if (value.get_ref<const std::string&>().empty()) wrong_value(name, "an empty string", "text");
  return {value.get<std::string>()};
}

bool BodyReader::is_token_ids(const json& value) {
  return value.is_array() && !value.empty() && (value[0].is_number() || value[0].is_array());
}

std::vector<std::vector<int32_t>> BodyReader::token_ids(const std::string& name, const json& value,
                                                        size_t most) {
  constexpr size_t kMostTokens = 4 << 20;
  std::vector<std::vector<int32_t>> out;
  auto add = [&](const std::string& entry, const json& list) {
    if (!is_array(entry, list, 1, kMostTokens)) return;
    out.emplace_back();
    for (size_t i = 0; i < list.size() && ok(); ++i) {
      auto id = whole(fmt::format("{}[{}]", entry, i), list[i], 0, INT32_MAX);
      if (id) out.back().push_back(static_cast<int32_t>(*id));
    }
  };
  if (value[0].is_number()) {
    add(name, value);
  } else if (is_array(name, value, 1, most)) {
    for (size_t i = 0; i < value.size() && ok(); ++i) add(fmt::format("{}[{}]", name, i), value[i]);
  }
  return out;
}

std::string BodyReader::object_text(const std::string& name, const json& value) {
  return is_object(name, value) ? net::ordered_text(value) : "";
}

bool BodyReader::is_object(const std::string& name, const json& value) {
  if (!value.is_object()) wrong_type(name, "an object", value);
  return value.is_object();
}

bool BodyReader::is_array(const std::string& name, const json& value, size_t least, size_t most) {
  if (!value.is_array()) {
    wrong_type(name, "an array", value);
    return false;
  }
  if (value.size() >= least && value.size() <= most) return true;
  wrong_value(name, fmt::format("{} entries", value.size()), fmt::format("{}..{}", least, most));
  return false;
}

const BodyReader::json* BodyReader::member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const BodyReader::json* BodyReader::required(const std::string& name, const json& object, const char* key) {
  const json* found = member(object, key);
  if (!found) missing(name.empty() ? key : name + "." + key);
  return found;
}

void BodyReader::metadata(const std::string& name, const json& value) {
  if (!is_object(name, value)) return;
  for (const auto& [key, entry] : value.items()) text(name + "." + key, entry);
}

std::expected<BodyReader::json, ApiError> parse_body(std::string_view text) {
  auto body = net::parse_ordered_json(text, "The request body");
  if (!body) {
    return std::unexpected(
        ApiError{.status = 400, .message = body.error().message + ".", .code = "invalid_json"});
  }
  if (!body->is_object()) {
    return std::unexpected(
        ApiError{.status = 400, .message = "The body must be a JSON object.", .code = "invalid_type"});
  }
  return std::move(*body);
}

}  // namespace bantam::server
