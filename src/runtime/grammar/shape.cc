#include "runtime/grammar/shape.h"

#include <algorithm>
#include <cmath>

#include "runtime/grammar/shape_keywords.h"

namespace bantam::runtime::grammar {
namespace {

constexpr size_t kMostShapes = 1024;

const std::set<std::string_view> kAnnotations{
    "$schema",       "$id",         "id",       "$comment",    "$defs",           "definitions",
    "$anchor",       "$vocabulary", "title",    "description", "default",         "examples",
    "example",       "deprecated",  "readOnly", "writeOnly",   "contentEncoding", "contentMediaType",
    "contentSchema", "then",        "else",     "minContains", "maxContains",     "$recursiveAnchor",
    "$dynamicAnchor"};
const std::set<std::string_view> kRefused{"contains", "unevaluatedItems", "$dynamicRef", "$recursiveRef"};

Result<unsigned> types_named(const Json& value) {
  static const std::map<std::string, unsigned> kBits{
      {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kInteger | kFraction},
      {"string", kString}, {"array", kArray},     {"object", kObject}};
  unsigned out = 0;
  const Json list = value.is_array() ? value : Json::array({value});
  for (const auto& name : list) {
    const auto bit = name.is_string() ? kBits.find(name.get<std::string>()) : kBits.end();
    if (bit == kBits.end())
      return wrong("type", name, "null, boolean, integer, number, string, array or object");
    out |= bit->second;
  }
  return out;
}

void sort_keys(Json& value) {
  if (value.is_object()) {
    std::map<std::string, Json> sorted;
    for (auto& [key, member] : value.items()) sorted.emplace(key, std::move(member));
    value = Json::object();
    for (auto& [key, member] : sorted) {
      sort_keys(member);
      value[key] = std::move(member);
    }
  } else if (value.is_array()) {
    for (auto& member : value) sort_keys(member);
  } else if (value.is_number_float()) {
    const double x = value.get<double>();
    if (std::floor(x) == x && std::abs(x) < 9e15) value = static_cast<int64_t>(x);
  }
}

}  // namespace

std::string canonical(const Json& value) {
  Json copy = value;
  sort_keys(copy);
  return copy.dump();
}

unsigned type_of(const Json& value) {
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return kBoolean;
  if (value.is_number_integer()) return kInteger;
  if (value.is_number()) return std::floor(value.get<double>()) == value.get<double>() ? kInteger : kFraction;
  if (value.is_string()) return kString;
  return value.is_array() ? kArray : kObject;
}

Shaper::Shaper(const Json& root) : root_(root) {
  if (root.is_object() && root.contains("$schema") && root["$schema"].is_string()) {
    const std::string draft = root["$schema"].get<std::string>();
    for (const char* old : {"draft-03", "draft-04", "draft-05", "draft-06", "draft-07"}) {
      if (draft.find(old) != std::string::npos) siblings_ = false;
    }
  }
  index(root, "", 0);
}

/// A name that is there twice (with different bases) means neither.
Result<std::vector<Shape>> Shaper::shapes(const Together& all, const Overlap& overlap) {
  std::vector<Shape> out;
  overlap_ = &overlap;
  Work work;
  work.todo = all;
  BANTAM_TRY(expand(std::move(work), out, 0));
  return out;
}

Status Shaper::narrow(const Shape& shape, const Json* schema, const Overlap& overlap,
                      std::vector<Shape>& out) {
  overlap_ = &overlap;
  Work work;
  work.shape = shape;
  work.todo = {schema};
  return expand(std::move(work), out, 0);
}

Status Shaper::expand(Work work, std::vector<Shape>& out, int depth) {
  if (depth > kDeepestSchema)
    return fail(Code::kLimit, "schema: found more than {} nested combinations", kDeepestSchema);
  while (!work.todo.empty()) {
    const Json* schema = work.todo.back();
    work.todo.pop_back();
    if (!work.seen.insert(schema).second) continue;
    BANTAM_ASSIGN(bool possible, add(schema, work));
    if (!possible || work.shape.types == 0) return {};
  }
  if (work.branches.empty()) {
    if (out.size() >= kMostShapes)
      return fail(Code::kLimit, "schema: found more than {} alternatives", kMostShapes);
    out.push_back(std::move(work.shape));
    return {};
  }
  const auto alternatives = std::move(work.branches.back());
  work.branches.pop_back();
  for (const auto& alternative : alternatives) {
    Work copy = work;
    copy.todo = alternative;
    BANTAM_TRY(expand(std::move(copy), out, depth + 1));
  }
  return {};
}

Result<bool> Shaper::add(const Json* schema, Work& work) {
  if (schema->is_boolean()) return schema->get<bool>();
  if (!schema->is_object()) return wrong("a schema", *schema, "an object or a boolean");
  const auto reference = schema->find("$ref");
  if (reference != schema->end() && reference->is_string()) {
    BANTAM_ASSIGN(const Json* target, resolve(reference->get<std::string>()));
    work.todo.push_back(target);
    if (!siblings_) return true;
  }
  for (const auto& [key, value] : schema->items()) {
    BANTAM_ASSIGN(bool possible, add_keyword(key, value, *schema, work));
    if (!possible) return false;
  }
  const auto get = [&](const char* key) {
    const auto place = schema->find(key);
    return place == schema->end() ? nullptr : &*place;
  };
  const Json* rest = get("additionalProperties");
  if (const Json* unevaluated = get("unevaluatedProperties"); unevaluated != nullptr) {
    if (unevaluated->is_boolean() && unevaluated->get<bool>()) return true;
    for (const char* other : {"allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas", "not"}) {
      if (get(other) != nullptr) {
        return fail(Code::kUnsupported, "schema: unevaluatedProperties beside {} is not supported", other);
      }
    }
    if (rest == nullptr) rest = unevaluated;
  }
  if (get("properties") != nullptr || get("patternProperties") != nullptr || rest != nullptr) {
    work.shape.keys.push_back({get("properties"), get("patternProperties"), rest});
  }
  return true;
}

Result<bool> Shaper::add_keyword(const std::string& key, const Json& value, const Json& schema, Work& work) {
  Shape& shape = work.shape;
  if (key == "$ref" && value.is_string()) return true;
  if (key == "type") {
    BANTAM_ASSIGN(unsigned types, types_named(value));
    shape.types &= types;
    return true;
  }
  if (key == "enum" || key == "const") {
    std::vector<const Json*> values;
    if (key == "const") values.push_back(&value);
    if (key == "enum" && !value.is_array()) return wrong(key, value, "an array");
    if (key == "enum") {
      for (const auto& member : value) values.push_back(&member);
    }
    if (shape.values) {
      std::set<std::string> known;
      for (const Json* member : *shape.values) known.insert(canonical(*member));
      std::erase_if(values, [&](const Json* member) { return !known.contains(canonical(*member)); });
    }
    shape.values = std::move(values);
    return true;
  }
  if (key == kNotValues) {
    for (const auto& member : value) shape.excluded.push_back(&member);
    return true;
  }
  if (kRefused.contains(key)) {
    return fail(Code::kUnsupported, "schema: {} is not supported", key);
  }
  for (const auto part : {&Shaper::add_combination}) {
    BANTAM_ASSIGN(bool known, (this->*part)(key, value, schema, work));
    if (known) return true;
  }
  BANTAM_ASSIGN(bool number, add_number(key, value, schema, shape));
  if (number) return true;
  BANTAM_ASSIGN(bool string, add_string(key, value, shape));
  if (string) return true;
  BANTAM_ASSIGN(bool object, add_object(key, value, schema, work));
  if (object) return true;
  BANTAM_ASSIGN(bool array, add_array(key, value, schema, shape));
  if (!array && !kAnnotations.contains(key))
    notes_.insert(fmt::format("'{}' is no keyword of JSON Schema: it had no effect", key));
  return true;
}

Result<bool> Shaper::add_combination(const std::string& key, const Json& value, const Json& schema,
                                     Work& work) {
  if (key == "allOf" || key == "anyOf" || key == "oneOf") {
    if (!value.is_array() || value.empty()) return wrong(key, value, "an array of schemas");
    if (key == "oneOf") {
      BANTAM_TRY(add_one_of(value, work));
      return true;
    }
    std::vector<Together> alternatives;
    for (const auto& member : value) {
      if (key == "allOf") {
        work.todo.push_back(&member);
      } else {
        alternatives.push_back({&member});
      }
    }
    if (key == "anyOf") work.branches.push_back(std::move(alternatives));
    return true;
  }
  if (key == "not") {
    BANTAM_ASSIGN(const Json* negated, negation(value, 0));
    work.todo.push_back(negated);
    return true;
  }
  if (key == "if") {
    const auto then = schema.find("then"), otherwise = schema.find("else");
    if (then == schema.end() && otherwise == schema.end()) return true;
    BANTAM_ASSIGN(const Json* negated, negation(value, 0));
    std::vector<Together> alternatives{{&value}, {negated}};
    if (then != schema.end()) alternatives[0].push_back(&*then);
    if (otherwise != schema.end()) alternatives[1].push_back(&*otherwise);
    work.branches.push_back(std::move(alternatives));
    return true;
  }
  return false;
}

/// Of alternatives that overlap, each holds only where the others do not.
Status Shaper::add_one_of(const Json& value, Work& work) {
  constexpr size_t kMostCompared = 200;
  if (value.size() > kMostCompared) {
    return fail(Code::kLimit, "schema: oneOf: found {} alternatives, expected at most {}", value.size(),
                kMostCompared);
  }
  std::vector<Together> alternatives;
  for (const auto& member : value) alternatives.push_back({&member});
  for (size_t i = 0; i < value.size(); ++i) {
    for (size_t j = i + 1; j < value.size(); ++j) {
      BANTAM_ASSIGN(bool overlap, (*overlap_)(&value[i], &value[j]));
      if (!overlap) continue;
      for (const auto& [a, b] : {std::pair(i, j), std::pair(j, i)}) {
        auto negated = negation(value[b], 0);
        if (!negated) {
          return fail(Code::kUnsupported, "schema: oneOf: alternatives {} and {} overlap: {}", i, j,
                      negated.error().message);
        }
        alternatives[a].push_back(*negated);
      }
    }
  }
  work.branches.push_back(std::move(alternatives));
  return {};
}

Status Shaper::add_dependencies(const Json& value, Work& work) {
  if (!value.is_object()) return wrong("dependencies", value, "an object");
  for (const auto& [key, needed] : value.items()) {
    if (needed.is_array()) {
      for (const auto& name : needed) {
        if (!name.is_string()) return wrong("dependencies", name, "a string");
        work.shape.needs.emplace_back(key, name.get<std::string>());
      }
    } else if (needed.is_string()) {
      work.shape.needs.emplace_back(key, needed.get<std::string>());
    } else {
      const Json* without = keep({{"properties", {{key, false}}}});
      const Json* with = keep({{"required", Json::array({key})}});
      work.branches.push_back({{without}, {with, &needed}});
    }
  }
  return {};
}

void Shaper::negate_keyword(const std::string& key, const Json& value, Json& out) {
  const auto typed = [&](const char* type, const char* keyword, Json bound) {
    out.push_back({{"type", type}, {keyword, std::move(bound)}});
  };
  const auto less = [](const Json& n) { return n.get<int64_t>() - 1; };
  const auto more = [](const Json& n) { return n.get<int64_t>() + 1; };
  const bool count = value.is_number_integer();
  if (key == "type") {
    const auto types = types_named(value);
    if (!types) return;
    Json others = Json::array();
    const std::pair<unsigned, const char*> names[] = {{kNull, "null"},     {kBoolean, "boolean"},
                                                      {kString, "string"}, {kArray, "array"},
                                                      {kObject, "object"}, {kInteger | kFraction, "number"}};
    for (const auto& [bits, name] : names) {
      if ((*types & bits) == 0) others.push_back(name);
    }
    if (!others.empty()) out.push_back({{"type", others}});
  } else if (key == "enum" || key == "const") {
    out.push_back({{kNotValues, key == "enum" ? value : Json::array({value})}});
  } else if (key == "required" && value.is_array()) {
    for (const auto& name : value) {
      if (name.is_string())
        out.push_back({{"type", "object"}, {"properties", {{name.get<std::string>(), false}}}});
    }
  } else if (key == "pattern") {
    typed("string", kNotPattern, value);
  } else if (key == "minLength" && count && value > 0) {
    typed("string", "maxLength", less(value));
  } else if (key == "maxLength" && count) {
    typed("string", "minLength", more(value));
  } else if (key == "minItems" && count && value > 0) {
    typed("array", "maxItems", less(value));
  } else if (key == "maxItems" && count) {
    typed("array", "minItems", more(value));
  } else if (key == "minProperties" && count && value > 0) {
    typed("object", "maxProperties", less(value));
  } else if (key == "maxProperties" && count) {
    typed("object", "minProperties", more(value));
  } else if (value.is_number() && (key == "minimum" || key == "exclusiveMinimum")) {
    typed("number", key == "minimum" ? "exclusiveMaximum" : "maximum", value);
  } else if (value.is_number() && (key == "maximum" || key == "exclusiveMaximum")) {
    typed("number", key == "maximum" ? "exclusiveMinimum" : "minimum", value);
  } else if (!kAnnotations.contains(key)) {
    note(fmt::format("'{}' under not, oneOf or if: values that differ in it alone are not generated", key));
  }
}

Result<const Json*> Shaper::negation(const Json& schema, int depth) {
  constexpr int kDeepestNegation = 30;
  if (depth > kDeepestNegation)
    return fail(Code::kLimit, "schema: not: found more than {} levels", kDeepestNegation);
  if (schema.is_boolean()) return keep(!schema.get<bool>());
  if (!schema.is_object()) return wrong("not", schema, "a schema");
  Json out = Json::array();
  const auto add_negated = [&](const Json& part, const auto& wrap) {
    auto negated = negation(part, depth + 1);
    if (negated) out.push_back(wrap(**negated));
  };
  const auto plain = [](const Json& x) { return x; };
  for (const auto& [key, value] : schema.items()) {
    if (key == "$ref" && value.is_string()) {
      BANTAM_ASSIGN(const Json* target, resolve(value.get<std::string>()));
      add_negated(*target, plain);
      if (!siblings_) break;
    } else if (key == "properties" && value.is_object()) {
      for (const auto& [name, member] : value.items()) {
        add_negated(member, [&](const Json& x) {
          return Json{{"type", "object"}, {"required", Json::array({name})}, {"properties", {{name, x}}}};
        });
      }
    } else if (key == "not") {
      out.push_back(value);
    } else if (key == "allOf" && value.is_array()) {
      for (const auto& member : value) add_negated(member, plain);
    } else if (key == "anyOf" && value.is_array()) {
      Json all = Json::array();
      bool known = true;
      for (const auto& member : value) {
        auto negated = negation(member, depth + 1);
        known = known && negated.has_value();
        if (negated) all.push_back(**negated);
      }
      if (known) out.push_back({{"allOf", all}});
    } else {
      negate_keyword(key, value, out);
    }
  }
  if (schema.empty()) return keep(false);
  if (out.empty())
    return fail(Code::kUnsupported, "schema: the negation of {} is not supported",
                schema.dump().substr(0, 80));
  return keep({{"anyOf", out}});
}

}  // namespace bantam::runtime::grammar
