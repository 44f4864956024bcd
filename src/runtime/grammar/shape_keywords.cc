// What single keywords say of numbers, strings, objects and arrays.

#include "runtime/grammar/shape_keywords.h"

#include <numeric>

#include "runtime/grammar/regex.h"

namespace bantam::runtime::grammar {
namespace {

const std::set<std::string_view> kUnwrittenFormats{"idn-email",     "idn-hostname", "iri",
                                                   "iri-reference", "uri-template", "regex"};

Result<uint32_t> count_of(const std::string& key, const Json& value) {
  if (!value.is_number() || !(value.get<double>() >= 0) ||
      std::floor(value.get<double>()) != value.get<double>()) {
    return wrong(key, value, "a whole number of at least 0");
  }
  return static_cast<uint32_t>(std::min(value.get<double>(), 4294967295.0));
}

}  // namespace

std::unexpected<Error> wrong(std::string_view key, const Json& found, std::string_view expected) {
  std::string text = found.dump();
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return fail(Code::kInvalidArgument, "schema: {}: found {}, expected {}", key, text, expected);
}

Result<bool> Shaper::add_number(const std::string& key, const Json& value, const Json& schema, Shape& shape) {
  NumberSpec& spec = shape.number;
  const bool lower = key == "minimum" || key == "exclusiveMinimum",
             upper = key == "maximum" || key == "exclusiveMaximum";
  if (lower || upper) {
    if (value.is_boolean()) return true;  // draft 4: read with the bound
    if (!value.is_number()) return wrong(key, value, "a number");
    BANTAM_ASSIGN(Decimal bound, Decimal::parse(value.dump()));
    const auto flag = schema.find(lower ? "exclusiveMinimum" : "exclusiveMaximum");
    const bool strict =
        key.starts_with("exclusive") || (flag != schema.end() && flag->is_boolean() && flag->get<bool>());
    auto& place = lower ? spec.least : spec.most;
    bool& excluded = lower ? spec.above : spec.below;
    const auto order = place ? bound <=> *place : std::strong_ordering::equal;
    if (!place || (lower ? order > 0 : order < 0)) {
      place = bound;
      excluded = strict;
    } else if (order == 0) {
      excluded = excluded || strict;
    }
    return true;
  }
  if (key != "multipleOf" && key != "divisibleBy") return false;
  if (!value.is_number() || !(value.get<double>() > 0)) return wrong(key, value, "a number above 0");
  BANTAM_ASSIGN(Decimal step, Decimal::parse(value.dump()));
  const bool power = step.whole == 0 && step.fraction.find_first_not_of('0') + 1 == step.fraction.size() &&
                     step.fraction.back() == '1';
  if (step.fraction.empty() && step.whole <= 1'000'000'000) {
    const auto n = static_cast<uint64_t>(step.whole);
    spec.multiple = spec.multiple == 0 ? n : std::lcm(spec.multiple, n);
    if (spec.multiple > 1'000'000'000'000)
      return fail(Code::kLimit, "schema: multipleOf: found a multiple above 10^12");
  } else if (power) {
    const int digits = static_cast<int>(step.fraction.size());
    spec.digits = spec.digits < 0 ? digits : std::min(spec.digits, digits);
  } else {
    return fail(Code::kUnsupported,
                "schema: multipleOf: found {}, expected a whole number, 0.1, 0.01 and so on", value.dump());
  }
  return true;
}

Result<bool> Shaper::add_string(const std::string& key, const Json& value, Shape& shape) {
  if (key == "minLength" || key == "maxLength") {
    BANTAM_ASSIGN(uint32_t count, count_of(key, value));
    if (key == "minLength") shape.least_length = std::max(shape.least_length, count);
    if (key == "maxLength") shape.most_length = std::min(shape.most_length, count);
    return true;
  }
  if (key != "pattern" && key != kNotPattern && key != "format") return false;
  if (!value.is_string()) return wrong(key, value, "a string");
  const std::string text = value.get<std::string>();
  if (key == "pattern") {
    shape.patterns.push_back(text);
  } else if (key == kNotPattern) {
    shape.not_patterns.push_back(text);
  } else if (!format_pattern(text).empty()) {
    shape.formats.push_back(text);
  } else if (kUnwrittenFormats.contains(text)) {
    return fail(Code::kUnsupported, "schema: format '{}' is not supported", text);
  } else {
    notes_.insert(fmt::format("format '{}' is none that JSON Schema defines: it had no effect", text));
  }
  return true;
}

Result<bool> Shaper::add_object(const std::string& key, const Json& value, const Json& schema, Work& work) {
  Shape& shape = work.shape;
  if (key == "properties" || key == "patternProperties" || key == "unevaluatedProperties" ||
      key == "additionalProperties") {
    const bool map = key == "properties" || key == "patternProperties";
    if (map ? !value.is_object() : !is_schema(value))
      return wrong(key, value, map ? "an object" : "a schema");
    return true;  // taken together by add()
  }
  if (key == "required") {
    if (value.is_boolean()) return true;  // draft 3, of the property itself
    if (!value.is_array()) return wrong(key, value, "an array of strings");
    for (const auto& name : value) {
      if (!name.is_string()) return wrong(key, name, "a string");
      shape.required.insert(name.get<std::string>());
    }
    return true;
  }
  if (key == "minProperties" || key == "maxProperties") {
    BANTAM_ASSIGN(uint32_t count, count_of(key, value));
    if (key == "minProperties") shape.least_keys = std::max(shape.least_keys, count);
    if (key == "maxProperties") shape.most_keys = std::min(shape.most_keys, count);
    return true;
  }
  if (key == "propertyNames") {
    shape.names.push_back(&value);
    return true;
  }
  if (key == "dependencies" || key == "dependentRequired" || key == "dependentSchemas") {
    BANTAM_TRY(add_dependencies(value, work));
    return true;
  }
  (void)schema;
  return false;
}

Result<bool> Shaper::add_array(const std::string& key, const Json& value, const Json& schema, Shape& shape) {
  if (key == "minItems" || key == "maxItems") {
    BANTAM_ASSIGN(uint32_t count, count_of(key, value));
    if (key == "minItems") shape.least_items = std::max(shape.least_items, count);
    if (key == "maxItems") shape.most_items = std::min(shape.most_items, count);
    return true;
  }
  if (key == "uniqueItems") {
    if (value.is_boolean() && !value.get<bool>()) return true;
    const auto most = schema.find("maxItems");
    if (most != schema.end() && most->is_number() && most->get<double>() <= 1) return true;
    return fail(Code::kUnsupported, "schema: uniqueItems is not supported");
  }
  if (key == "additionalItems") return true;  // with items
  if (key == "prefixItems" && schema.contains("items")) return true;
  if (key != "items" && key != "prefixItems") return false;
  Shape::Items out;
  const auto take = [&](const char* from) {
    const auto place = schema.find(from);
    return place == schema.end() ? nullptr : &*place;
  };
  const Json* first = value.is_array() ? &value : take("prefixItems");
  if (first != nullptr) {
    for (const auto& member : *first) out.first.push_back(&member);
    out.rest = key == "items" && !value.is_array()  ? &value
               : value.is_array() && key == "items" ? take("additionalItems")
                                                    : nullptr;
  } else {
    out.rest = &value;
  }
  shape.items.push_back(std::move(out));
  return true;
}

}  // namespace bantam::runtime::grammar
