// Typed access to the metadata of a GgufFile.

#include <array>
#include <type_traits>

#include "formats/gguf.h"

namespace bantam::formats {
namespace {

/// Names of the alternatives of GgufArray, and of GgufValue except its last, by index.
constexpr std::array<std::string_view, 12> kTypeNames = {"u8",  "i8",   "u16",    "i16", "u32", "i32",
                                                         "f32", "bool", "string", "u64", "i64", "f64"};

std::string type_name(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value))
    return fmt::format("an array of {}", kTypeNames[array->index()]);
  return std::string(kTypeNames[value.index()]);
}

std::unexpected<Error> wrong_type(const GgufFile& file, std::string_view key, const GgufValue& value,
                                  std::string_view expected) {
  return fail(Code::kCorrupt, "{}: {}: found {}, expected {}", file.path(), key, type_name(value), expected);
}

Result<const GgufValue*> require(const GgufFile& file, std::string_view key) {
  if (const auto* value = file.find(key)) return value;
  return fail(Code::kNotFound, "{}: {}: found no such metadata key", file.path(), key);
}

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// A missing key gives `fallback`; any other error stays.
template <class T>
Result<T> or_fallback(Result<T> value, T fallback) {
  if (!value && value.error().code == Code::kNotFound) return fallback;
  return value;
}

}  // namespace

Result<uint64_t> GgufFile::get_uint(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  return std::visit(
      [&](const auto& v) -> Result<uint64_t> {
        using T = std::decay_t<decltype(v)>;
        if constexpr (kIsInteger<T>) {
          if (std::is_signed_v<T> && static_cast<int64_t>(v) < 0) {
            return fail(Code::kCorrupt, "{}: {}: found {}, expected a non-negative integer", path_, key, v);
          }
          return static_cast<uint64_t>(v);
        } else {
          return wrong_type(*this, key, *value, "an integer");
        }
      },
      *value);
}

Result<double> GgufFile::get_float(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  if (const auto* f = std::get_if<float>(value)) return static_cast<double>(*f);
  if (const auto* d = std::get_if<double>(value)) return *d;
  return wrong_type(*this, key, *value, "f32 or f64");
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  if (const auto* b = std::get_if<bool>(value)) return *b;
  return wrong_type(*this, key, *value, "bool");
}

Result<std::string> GgufFile::get_string(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  if (const auto* s = std::get_if<std::string>(value)) return *s;
  return wrong_type(*this, key, *value, "string");
}

Result<std::vector<std::string>> GgufFile::get_strings(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  if (const auto* array = std::get_if<GgufArray>(value)) {
    if (const auto* strings = std::get_if<std::vector<std::string>>(array)) return *strings;
  }
  return wrong_type(*this, key, *value, "an array of string");
}

Result<std::vector<float>> GgufFile::get_floats(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  if (const auto* array = std::get_if<GgufArray>(value)) {
    if (const auto* floats = std::get_if<std::vector<float>>(array)) return *floats;
    if (const auto* doubles = std::get_if<std::vector<double>>(array)) {
      return std::vector<float>(doubles->begin(), doubles->end());
    }
  }
  return wrong_type(*this, key, *value, "an array of f32 or f64");
}

Result<std::vector<int64_t>> GgufFile::get_ints(std::string_view key) const {
  BANTAM_ASSIGN(const auto* value, require(*this, key));
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr) return wrong_type(*this, key, *value, "an array of integers");
  return std::visit(
      [&](const auto& items) -> Result<std::vector<int64_t>> {
        using T = typename std::decay_t<decltype(items)>::value_type;
        if constexpr (kIsInteger<T>) {
          std::vector<int64_t> out;
          out.reserve(items.size());
          for (T item : items) {
            if (!std::in_range<int64_t>(item)) {
              return fail(Code::kCorrupt, "{}: {}: found {}, expected integers below 2^63", path_, key, item);
            }
            out.push_back(static_cast<int64_t>(item));
          }
          return out;
        } else {
          return wrong_type(*this, key, *value, "an array of integers");
        }
      },
      *array);
}

Result<uint64_t> GgufFile::get_uint_or(std::string_view key, uint64_t fallback) const {
  return or_fallback(get_uint(key), fallback);
}

Result<double> GgufFile::get_float_or(std::string_view key, double fallback) const {
  return or_fallback(get_float(key), fallback);
}

Result<bool> GgufFile::get_bool_or(std::string_view key, bool fallback) const {
  return or_fallback(get_bool(key), fallback);
}

Result<std::string> GgufFile::get_string_or(std::string_view key, std::string fallback) const {
  return or_fallback(get_string(key), std::move(fallback));
}

}  // namespace bantam::formats
