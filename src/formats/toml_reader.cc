#include "formats/toml_reader.h"

#include <optional>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "base/file.h"

namespace bantam::formats {
namespace {

constexpr uint64_t kMostBytes = 16 << 20;

std::string_view kind(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

}  // namespace

/// Shared by a file's tables: the parsed document, and the first error.
struct TomlTable::Node {
  std::shared_ptr<toml::table> document;
  std::shared_ptr<std::optional<Error>> error;
  const toml::table* table = nullptr;  // nullptr: absent
  std::string file, path;              // path: "student.distill"
  std::set<std::string, std::less<>> known;
  std::vector<std::shared_ptr<Node>> children;
};

TomlTable::TomlTable(std::shared_ptr<Node> node) : node_(std::move(node)) {}

Result<TomlTable> TomlTable::open(const std::string& path) {
  BANTAM_ASSIGN(std::string text, read_file(path, kMostBytes));
  return parse(text, path);
}

Result<TomlTable> TomlTable::parse(std::string_view text, std::string name) {
  auto node = std::make_shared<Node>();
  try {
    node->document = std::make_shared<toml::table>(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return fail(Code::kCorrupt, "{}, line {}, column {}: {}", name, at.line, at.column, error.description());
  }
  node->error = std::make_shared<std::optional<Error>>();
  node->table = node->document.get();
  node->file = std::move(name);
  return TomlTable(std::move(node));
}

std::string TomlTable::where(std::string_view key) const {
  std::string out = node_->file;
  const toml::node* at = node_->table;
  if (node_->table != nullptr && !key.empty() && node_->table->get(key) != nullptr)
    at = node_->table->get(key);
  if (at != nullptr && at->source().begin.line > 0) out += fmt::format(", line {}", at->source().begin.line);
  std::string full = node_->path;
  if (!key.empty()) full += (full.empty() ? "" : ".") + std::string(key);
  return full.empty() ? out : out + ", " + full;
}

void TomlTable::reject(std::string_view key, std::string_view message) {
  if (!*node_->error)
    *node_->error = Error{Code::kInvalidArgument, fmt::format("{}: {}", where(key), message)};
}

bool TomlTable::has(std::string_view key) const {
  return node_->table != nullptr && node_->table->contains(key);
}

std::string TomlTable::text(std::string_view key, std::string fallback) {
  node_->known.emplace(key);
  if (!has(key)) return fallback;
  const toml::node& node = *node_->table->get(key);
  if (auto value = node.value_exact<std::string>()) return *value;
  reject(key, fmt::format("found {}, expected a text", kind(node)));
  return fallback;
}

std::vector<std::string> TomlTable::texts(std::string_view key) {
  node_->known.emplace(key);
  std::vector<std::string> out;
  if (!has(key)) return out;
  const toml::node& node = *node_->table->get(key);
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    reject(key, fmt::format("found {}, expected an array of texts", kind(node)));
    return out;
  }
  for (const auto& item : *array) {
    auto value = item.value_exact<std::string>();
    if (!value) reject(key, fmt::format("found {} in the array, expected texts only", kind(item)));
    out.push_back(value.value_or(""));
  }
  return out;
}

std::vector<double> TomlTable::numbers(std::string_view key) {
  node_->known.emplace(key);
  std::vector<double> out;
  if (!has(key)) return out;
  const toml::node& node = *node_->table->get(key);
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    reject(key, fmt::format("found {}, expected an array of numbers", kind(node)));
    return out;
  }
  for (const auto& item : *array) {
    auto value = item.value<double>();
    if (!value || !item.is_number()) reject(key, fmt::format("found {} in the array, expected numbers only", kind(item)));
    out.push_back(value.value_or(0));
  }
  return out;
}

bool TomlTable::flag(std::string_view key, bool fallback) {
  node_->known.emplace(key);
  if (!has(key)) return fallback;
  const toml::node& node = *node_->table->get(key);
  if (auto value = node.value_exact<bool>()) return *value;
  reject(key, fmt::format("found {}, expected true or false", kind(node)));
  return fallback;
}

double TomlTable::number(std::string_view key, double fallback, double low, double high) {
  node_->known.emplace(key);
  if (!has(key)) return fallback;
  const toml::node& node = *node_->table->get(key);
  auto value = node.is_number() ? node.value<double>() : std::nullopt;
  if (value && *value >= low && *value <= high) return *value;
  reject(key, value ? fmt::format("found {}, expected {} to {}", *value, low, high)
                    : fmt::format("found {}, expected a number", kind(node)));
  return fallback;
}

uint64_t TomlTable::whole(std::string_view key, uint64_t fallback, uint64_t low, uint64_t high) {
  node_->known.emplace(key);
  if (!has(key)) return fallback;
  const toml::node& node = *node_->table->get(key);
  auto value = node.value_exact<int64_t>();
  if (value && *value >= 0 && static_cast<uint64_t>(*value) >= low && static_cast<uint64_t>(*value) <= high) {
    return static_cast<uint64_t>(*value);
  }
  reject(key, value ? fmt::format("found {}, expected {} to {}", *value, low, high)
                    : fmt::format("found {}, expected a whole number", kind(node)));
  return fallback;
}

TomlTable TomlTable::table(std::string_view key) {
  node_->known.emplace(key);
  auto child = std::make_shared<Node>();
  child->document = node_->document;
  child->error = node_->error;
  child->file = node_->file;
  child->path = node_->path + (node_->path.empty() ? "" : ".") + std::string(key);
  if (has(key)) {
    const toml::node& node = *node_->table->get(key);
    child->table = node.as_table();
    if (child->table == nullptr) reject(key, fmt::format("found {}, expected a table", kind(node)));
  }
  node_->children.push_back(child);
  return TomlTable(child);
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) {
  node_->known.emplace(key);
  std::vector<TomlTable> out;
  if (!has(key)) return out;
  const toml::node& node = *node_->table->get(key);
  const toml::array* array = node.as_array();
  if (array == nullptr || !array->is_homogeneous(toml::node_type::table)) {
    reject(key, fmt::format("found {}, expected [[{}]] tables",
                            array == nullptr ? kind(node) : "other values", key));
    return out;
  }
  for (size_t i = 0; i < array->size(); ++i) {
    auto child = std::make_shared<Node>();
    child->document = node_->document;
    child->error = node_->error;
    child->file = node_->file;
    child->path = fmt::format("{}{}{}[{}]", node_->path, node_->path.empty() ? "" : ".", key, i);
    child->table = (*array)[i].as_table();
    node_->children.push_back(child);
    out.push_back(TomlTable(child));
  }
  return out;
}

Status TomlTable::finish() const {
  if (*node_->error) return std::unexpected(**node_->error);
  if (node_->table != nullptr) {
    for (const auto& [key, value] : *node_->table) {
      if (node_->known.contains(key.str())) continue;
      std::string expected;
      for (const auto& name : node_->known) expected += (expected.empty() ? "" : ", ") + name;
      return fail(Code::kInvalidArgument, "{}: unknown key, expected one of: {}", where(key.str()), expected);
    }
  }
  for (const auto& child : node_->children) BANTAM_TRY(TomlTable(child).finish());
  return {};
}

}  // namespace bantam::formats
