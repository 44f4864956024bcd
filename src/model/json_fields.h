#pragma once
// Fields of a JSON object that others wrote; every error names file and field. Internal to model.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace bantam::model {

class JsonFields {
 public:
  /// `json` is an object and outlives this. `where`: "config.json: " or "config.json: rope_scaling.".
  JsonFields(const nlohmann::json& json, std::string where) : json_(json), where_(std::move(where)) {}

  /// There and not null.
  bool has(const char* name) const { return json_.contains(name) && !json_[name].is_null(); }
  const nlohmann::json& at(const char* name) const { return json_[name]; }
  const std::string& where() const { return where_; }

  /// A whole number from 0 to 2^32 - 1.
  Result<uint32_t> size(const char* name, std::optional<uint32_t> fallback = {}) const;
  Result<double> number(const char* name, std::optional<double> fallback = {}) const;
  Result<std::string> text(const char* name, std::optional<std::string> fallback = {}) const;
  Result<bool> flag(const char* name, bool fallback) const;
  /// Above 0 and below 1e9, as a GGUF's scales are to be (config.h).
  Result<double> positive(const char* name, std::optional<double> fallback = {}) const;
  /// A list of `count` numbers, each so.
  Result<std::vector<float>> factors(const char* name, size_t count) const;
  /// One id, a list of them, or none.
  Result<std::vector<uint32_t>> ids(const char* name) const;
  /// Errors: kUnsupported when the field is there with any other value.
  Status only(const char* name, const nlohmann::json& expected) const;

  std::unexpected<Error> wrong(const char* name, std::string_view expected, Code code = Code::kCorrupt) const;

 private:
  const nlohmann::json& json_;
  std::string where_;
};

}  // namespace bantam::model
