#include "model/json_fields.h"

#include <cmath>

namespace bantam::model {
namespace {

using Json = nlohmann::json;

std::string shown(const Json& value) {
  if (value.is_structured()) return std::string("an ") + value.type_name();
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100);
}

}  // namespace

std::unexpected<Error> JsonFields::wrong(const char* name, std::string_view expected, Code code) const {
  return fail(code, "{}{}: found {}, expected {}", where_, name, has(name) ? shown(json_[name]) : "nothing",
              expected);
}

Result<uint32_t> JsonFields::size(const char* name, std::optional<uint32_t> fallback) const {
  if (!has(name) && fallback) return *fallback;
  if (!has(name) || !json_[name].is_number_unsigned() || json_[name].get<uint64_t>() > UINT32_MAX)
    return wrong(name, "a whole number");
  return static_cast<uint32_t>(json_[name].get<uint64_t>());
}

Result<double> JsonFields::number(const char* name, std::optional<double> fallback) const {
  if (!has(name) && fallback) return *fallback;
  if (!has(name) || !json_[name].is_number() || !std::isfinite(json_[name].get<double>()))
    return wrong(name, "a number");
  return json_[name].get<double>();
}

Result<std::string> JsonFields::text(const char* name, std::optional<std::string> fallback) const {
  if (!has(name) && fallback) return *fallback;
  if (!has(name) || !json_[name].is_string()) return wrong(name, "a text");
  return json_[name].get<std::string>();
}

Result<bool> JsonFields::flag(const char* name, bool fallback) const {
  if (!has(name)) return fallback;
  if (!json_[name].is_boolean()) return wrong(name, "true or false");
  return json_[name].get<bool>();
}

Result<std::vector<float>> JsonFields::numbers(const char* name) const {
  if (!has(name) || !json_[name].is_array()) return wrong(name, "a list of numbers");
  std::vector<float> out;
  for (const auto& item : json_[name]) {
    if (!item.is_number()) return wrong(name, "a list of numbers");
    out.push_back(static_cast<float>(item.get<double>()));
  }
  return out;
}

Status JsonFields::only(const char* name, const Json& expected) const {
  if (!has(name) || json_[name] == expected) return {};
  return wrong(name, expected.dump(), Code::kUnsupported);
}

}  // namespace bantam::model
