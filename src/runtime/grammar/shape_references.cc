// Where $ref, $id and anchors lead.

#include <cstdlib>

#include "runtime/grammar/shape_keywords.h"

namespace bantam::runtime::grammar {
namespace {

std::string unescape_pointer(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '%' && i + 2 < token.size()) {
      out += static_cast<char>(std::strtol(std::string(token.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += token[i];
    }
  }
  std::string plain;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '~' && i + 1 < out.size() && (out[i + 1] == '0' || out[i + 1] == '1')) {
      plain += out[++i] == '0' ? '~' : '/';
    } else {
      plain += out[i];
    }
  }
  return plain;
}

const Json* at_pointer(const Json* at, std::string_view pointer) {
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const size_t end = std::min(pointer.find('/'), pointer.size());
    const std::string token = unescape_pointer(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (at->is_object()) {
      const auto place = at->find(token);
      if (place == at->end()) return nullptr;
      at = &*place;
    } else if (at->is_array() && !token.empty() && token.size() < 9 &&
               token.find_first_not_of("0123456789") == std::string::npos) {
      const auto place = static_cast<size_t>(std::stoul(token));
      if (place >= at->size()) return nullptr;
      at = &(*at)[place];
    } else {
      return nullptr;
    }
  }
  return at;
}

}  // namespace

void Shaper::add_anchor(const std::string& name, const Json* schema) {
  const auto [place, fresh] = anchors_.emplace(name, schema);
  if (!fresh) place->second = nullptr;
}

void Shaper::index(const Json& schema, const std::string& base, int depth) {
  if (depth > kDeepestSchema) return;
  if (schema.is_array()) {
    for (const auto& member : schema) index(member, base, depth + 1);
    return;
  }
  if (!schema.is_object()) return;
  for (const char* key : {"$id", "id"}) {
    const auto place = schema.find(key);
    if (place == schema.end() || !place->is_string()) continue;
    std::string id = place->get<std::string>();
    if (id.ends_with('#')) id.pop_back();
    add_anchor(id, &schema);
  }
  for (const char* key : {"$anchor", "$dynamicAnchor"}) {
    const auto place = schema.find(key);
    if (place != schema.end() && place->is_string()) add_anchor("#" + place->get<std::string>(), &schema);
  }
  for (const auto& [key, member] : schema.items()) {
    if (key != "enum" && key != "const" && key != "default" && key != "examples")
      index(member, base, depth + 1);
  }
}

Result<const Json*> Shaper::resolve(const std::string& reference) const {
  const size_t hash = std::min(reference.find('#'), reference.size());
  const Json* from = &root_;
  if (hash > 0) {
    const auto known = anchors_.find(reference.substr(0, hash));
    if (known == anchors_.end() || known->second == nullptr) {
      return fail(Code::kUnsupported, "schema: $ref: found '{}', expected a place in this document",
                  reference);
    }
    from = known->second;
  }
  const std::string fragment = hash < reference.size() ? reference.substr(hash + 1) : "";
  const Json* target = nullptr;
  if (fragment.empty() || fragment.front() == '/') {
    target = at_pointer(from, fragment);
  } else if (const auto anchor = anchors_.find("#" + fragment); anchor != anchors_.end()) {
    target = anchor->second;
  }
  if (target == nullptr || !is_schema(*target)) {
    return fail(Code::kInvalidArgument, "schema: $ref: found '{}', expected the place of a schema",
                reference);
  }
  return target;
}

}  // namespace bantam::runtime::grammar
