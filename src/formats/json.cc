#include "formats/json.h"

#include "formats/json_builder.h"

namespace bantam::formats {
namespace {

template <class Json>
Result<Json> parse(std::string_view text, std::string_view what, size_t max_depth) {
  try {
    JsonBuilder<Json> builder(max_depth);
    if (Json::sax_parse(text, &builder)) return std::move(builder.root);
    return std::unexpected(Error(builder.error()).in(what));
  } catch (const std::exception& e) {
    return fail(Code::kLimit, "{}: {}", what, e.what());
  }
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what, size_t max_depth) {
  return parse<nlohmann::json>(text, what, max_depth);
}

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view what,
                                                  size_t max_depth) {
  return parse<nlohmann::ordered_json>(text, what, max_depth);
}

}  // namespace bantam::formats
