#include "net/json.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "formats/json_builder.h"
#ifdef BANTAM_SIMDJSON
#include <simdjson.h>
#endif

namespace bantam::net {
namespace {

#ifdef BANTAM_SIMDJSON

/// Longer texts are read the other way: a thread's parser keeps memory of several times the longest text.
constexpr size_t kLongest = 1 << 16;

/// Tells the builder what it would be told by nlohmann's parser. False when the builder wants no more.
/// As deep as the builder lets it.
template <class Json>
bool tell(simdjson::dom::element element, formats::JsonBuilder<Json>& builder) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::NULL_VALUE:
      return builder.null();
    case element_type::BOOL:
      return builder.boolean(element.get_bool().value_unsafe());
    case element_type::INT64: {
      const int64_t value = element.get_int64().value_unsafe();
      return value < 0 ? builder.number_integer(value)
                       : builder.number_unsigned(static_cast<uint64_t>(value));
    }
    case element_type::UINT64:
      return builder.number_unsigned(element.get_uint64().value_unsafe());
    case element_type::DOUBLE:
      return builder.number_float(element.get_double().value_unsafe(), {});
    case element_type::STRING: {
      std::string text(element.get_string().value_unsafe());
      return builder.string(text);
    }
    case element_type::ARRAY: {
      const simdjson::dom::array array = element.get_array().value_unsafe();
      if (!builder.start_array(array.size())) return false;
      for (const auto child : array) {
        if (!tell(child, builder)) return false;
      }
      return builder.end_array();
    }
    case element_type::OBJECT: {
      const simdjson::dom::object object = element.get_object().value_unsafe();
      if (!builder.start_object(object.size())) return false;
      for (const auto [key, child] : object) {
        std::string name(key);
        if (!builder.key(name) || !tell(child, builder)) return false;
      }
      return builder.end_object();
    }
  }
  return false;
}

/// Nothing where simdjson or the builder finds fault: the other parser then says what and where. It is also
/// asked about escaped code units, of which simdjson lets a lone surrogate pass.
template <class Json>
std::optional<Json> fast(std::string_view text, size_t max_depth) {
  if (text.size() > kLongest || text.find("\\u") != std::string_view::npos) return std::nullopt;
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) return std::nullopt;
  formats::JsonBuilder<Json> builder(max_depth);
  if (!tell(root, builder)) return std::nullopt;
  return std::move(builder.root);
}

#else

template <class Json>
std::optional<Json> fast(std::string_view, size_t) {
  return std::nullopt;
}

#endif

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what, size_t max_depth) {
  if (auto read = fast<nlohmann::json>(text, max_depth)) return std::move(*read);
  return formats::parse_json(text, what, max_depth);
}

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view what,
                                                  size_t max_depth) {
  if (auto read = fast<nlohmann::ordered_json>(text, max_depth)) return std::move(*read);
  return formats::parse_ordered_json(text, what, max_depth);
}

std::string to_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ordered_text(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace bantam::net
