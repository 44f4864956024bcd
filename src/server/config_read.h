#pragma once
// Kinds of values that several tables of the server's configuration have.

#include <chrono>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "formats/toml_reader.h"

namespace bantam::server {

/// A path of the configuration, which counts from the folder of its file; an empty one stays so.
inline std::string beside(const std::string& directory, const std::string& path) {
  return path.empty() ? path : (std::filesystem::path(directory) / path).string();
}

/// Seconds, in the file a number from a thousandth to a day.
inline std::chrono::milliseconds seconds(formats::TomlTable& table, std::string_view key,
                                         std::chrono::milliseconds fallback) {
  double value = table.number(key, static_cast<double>(fallback.count()) / 1000, 0.001, 86'400);
  return std::chrono::milliseconds(static_cast<int64_t>(value * 1000));
}

/// A key whose value is one of a few words.
template <class T>
T word(formats::TomlTable& table, std::string_view key, T fallback,
       std::initializer_list<std::pair<const char*, T>> words) {
  if (!table.has(key)) return fallback;
  std::string found = table.text(key, ""), expected;
  for (const auto& [name, value] : words) {
    if (found == name) return value;
    expected += fmt::format("{}\"{}\"", expected.empty() ? "" : " or ", name);
  }
  table.reject(key, fmt::format("found \"{}\", expected {}", found, expected));
  return fallback;
}

}  // namespace bantam::server
