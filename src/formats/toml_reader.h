#pragma once
// Typed, strict access to a TOML table: a wrong type, a value out of range or a key nobody asked for is an
// error that names file, line, key, found and expected.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::formats {

/// One table of a parsed file. Each get() marks its key as known; finish() then refuses the keys left over.
/// The first error is kept: later calls return the fallback, and finish() reports it. Copies share the marks.
class TomlTable {
 public:
  /// Errors: kNotFound, kIo; kCorrupt with line and column for broken TOML.
  static Result<TomlTable> open(const std::string& path);
  static Result<TomlTable> parse(std::string_view text, std::string name);

  bool has(std::string_view key) const;
  std::string text(std::string_view key, std::string fallback);
  std::vector<std::string> texts(std::string_view key);
  std::vector<double> numbers(std::string_view key);
  bool flag(std::string_view key, bool fallback);
  /// Integers count as numbers.
  double number(std::string_view key, double fallback, double low, double high);
  uint64_t whole(std::string_view key, uint64_t fallback, uint64_t low, uint64_t high);
  /// The sub-table, empty when it is absent.
  TomlTable table(std::string_view key);
  /// The tables of an array of tables, none when it is absent.
  std::vector<TomlTable> tables(std::string_view key);
  /// Records an error of the caller's at a key.
  void reject(std::string_view key, std::string_view message);
  /// "file.toml, line 7, models[1]"
  std::string where(std::string_view key = {}) const;

  /// The first error of this table or any below it, unknown keys included.
  Status finish() const;

 private:
  struct Node;
  explicit TomlTable(std::shared_ptr<Node> node);
  std::shared_ptr<Node> node_;
};

}  // namespace bantam::formats
