#include "model/json_fields.h"

#include <cmath>

namespace bantam::model {
namespace {

using Json = nlohmann::json;

std::string shown(const Json& value) {
  if (value.is_structured()) return std::string("an ") + value.type_name();
  return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100);
}

/// Also as a float, which is what it becomes.
bool is_scale(double value) {
  return value > 0 && value < 1e9 && static_cast<float>(value) > 0 && static_cast<float>(value) < 1e9F;
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

Result<double> JsonFields::positive(const char* name, std::optional<double> fallback) const {
  BANTAM_ASSIGN(const double value, number(name, fallback));
  if (!is_scale(value)) return wrong(name, "a number above 0 and below 1e9");
  return value;
}

Result<std::vector<float>> JsonFields::factors(const char* name, size_t count) const {
  if (!has(name) || !json_[name].is_array()) return wrong(name, fmt::format("a list of {} numbers", count));
  const Json& list = json_[name];
  if (list.size() != count)
    return fail(Code::kCorrupt, "{}{}: found {} entries, expected {}", where_, name, list.size(), count);
  std::vector<float> out;
  for (const Json& item : list) {
    if (!item.is_number() || !is_scale(item.get<double>()))
      return fail(Code::kCorrupt, "{}{}[{}]: found {}, expected a number above 0 and below 1e9", where_, name,
                  out.size(), shown(item));
    out.push_back(static_cast<float>(item.get<double>()));
  }
  return out;
}

Result<std::vector<uint32_t>> JsonFields::ids(const char* name) const {
  std::vector<uint32_t> out;
  if (!has(name)) return out;
  const Json& value = json_[name];
  const auto add = [&](const Json& item) -> Status {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > INT32_MAX)
      return fail(Code::kCorrupt, "{}{}: found {}, expected ids of tokens", where_, name, shown(item));
    out.push_back(static_cast<uint32_t>(item.get<uint64_t>()));
    return {};
  };
  if (!value.is_array()) BANTAM_TRY(add(value));
  if (value.is_array()) {
    for (const Json& item : value) BANTAM_TRY(add(item));
  }
  return out;
}

Status JsonFields::only(const char* name, const Json& expected) const {
  if (!has(name) || json_[name] == expected) return {};
  return wrong(name, expected.dump(), Code::kUnsupported);
}

}  // namespace bantam::model
