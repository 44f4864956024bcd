#pragma once
// What the readers of request bodies share. Internal to server.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"

namespace bantam::server {

/// Takes a body apart, parameter by parameter, and keeps the first problem, which is the answer. Members keep
/// their order, since that of a JSON schema's means something. Names of parts are paths as OpenAI writes
/// them: "messages[0].content". For one thread.
class BodyReader {
 public:
  using json = nlohmann::ordered_json;
  /// Members of one object and what reads each; a member that is null is as one left out.
  template <class Reader>
  struct Field {
    const char* name;
    void (Reader::*read)(const std::string& name, const json& value);
  };

 protected:
  bool ok() const { return !error_; }

  void problem(std::string param, std::string code, std::string message);
  void wrong_type(const std::string& param, std::string_view expected, const json& value);
  void wrong_value(const std::string& param, std::string_view found, std::string_view expected);
  void missing(const std::string& param);
  void unknown(const std::string& param);
  void refused(const std::string& name, const json& value = {});
  /// Accepts the values that change nothing; any other is refused by name.
  void only(const std::string& name, const json& value, std::initializer_list<json> neutral);

  /// A value as messages show it: the beginning of its JSON.
  static std::string shown(const json& value);

  // Values; nullopt or empty after a problem.
  std::optional<double> number(const std::string& name, const json& value, double low, double high);
  std::optional<uint64_t> whole(const std::string& name, const json& value, uint64_t low, uint64_t high);
  std::optional<bool> flag(const std::string& name, const json& value);
  std::optional<std::string> text(const std::string& name, const json& value);
  /// A name as functions and schemas have it: 1..64 of A-Z a-z 0-9 _ -.
  std::string identifier(const std::string& name, const json& value);
  std::vector<std::string> texts(const std::string& name, const json& value, size_t most);
  /// A text, or `most` texts at most: prompts and inputs.
  std::vector<std::string> one_or_more(const std::string& name, const json& value, size_t most);
  /// Whether a value is token ids: a list of numbers, or of such lists.
  static bool is_token_ids(const json& value);
  /// Those, one list for each text.
  std::vector<std::vector<int32_t>> token_ids(const std::string& name, const json& value, size_t most);
  /// The JSON text of an object, its members in their order.
  std::string object_text(const std::string& name, const json& value);
  bool is_object(const std::string& name, const json& value);
  /// True for an array of `least` to `most` entries.
  bool is_array(const std::string& name, const json& value, size_t least, size_t most);
  /// The member of an object, null where it is missing or null.
  static const json* member(const json& object, const char* name);
  /// The same for one that has to be there.
  const json* required(const std::string& name, const json& object, const char* key);
  /// Calls what reads each member of `object`; a member that is none of the fields is unknown. `prefix` is ""
  /// or ends with a dot.
  template <class Reader, size_t N>
  void read_members(Reader& self, const std::string& prefix, const json& object,
                    const Field<Reader> (&fields)[N]) {
    for (const auto& [key, value] : object.items()) {
      if (!ok()) return;
      const Field<Reader>* found = nullptr;
      for (const Field<Reader>& field : fields) {
        if (key == field.name) found = &field;
      }
      if (!found) return unknown(prefix + key.substr(0, 100));
      if (!value.is_null()) (self.*found->read)(prefix + key, value);
    }
  }

  void model(const std::string& name, const json& value) { model_ = text(name, value).value_or(""); }

  // Parameters whose every value, or whose one value, changes nothing.
  void label(const std::string& name, const json& value) { text(name, value); }
  void metadata(const std::string& name, const json& value);
  void any_flag(const std::string& name, const json& value) { flag(name, value); }
  void only_false(const std::string& name, const json& value) { only(name, value, {false}); }
  void only_zero(const std::string& name, const json& value) { only(name, value, {0}); }
  void only_one(const std::string& name, const json& value) { only(name, value, {1}); }
  void only_empty_list(const std::string& name, const json& value) { only(name, value, {json::array()}); }
  void only_auto(const std::string& name, const json& value) { only(name, value, {"auto", "default"}); }
  void only_medium(const std::string& name, const json& value) { only(name, value, {"medium"}); }
  void only_in_memory(const std::string& name, const json& value) { only(name, value, {"in_memory"}); }
  void any_object(const std::string& name, const json& value) { is_object(name, value); }
  void nothing(const std::string&, const json&) {}

  std::optional<ApiError> error_;
  std::string model_;
};

/// The body as JSON. Errors: 400 invalid_json, or invalid_type for what is no object.
std::expected<nlohmann::ordered_json, ApiError> parse_body(std::string_view body);

/// What `reader` makes of the body: its read(json, more...).
template <class Reader, class... More>
auto read_body(std::string_view text, Reader reader, More... more)
    -> decltype(reader.read(BodyReader::json(), more...)) {
  auto body = parse_body(text);
  if (!body) return std::unexpected(std::move(body).error());
  return reader.read(*body, more...);
}

}  // namespace bantam::server
