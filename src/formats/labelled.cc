#include "formats/labelled.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"

namespace bantam::formats {
namespace {

/// One row of any kind of file; `label` is empty where none was wanted.
struct Row {
  std::string text, label;
  size_t line = 0;
};

std::string quoted_list(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + fmt::format("\"{}\"", name);
  return out;
}

/// The columns that `input` names: itself where there is one of that name, else its parts between '+'.
std::vector<std::string> input_parts(const std::string& input, bool there) {
  if (there || input.find('+') == std::string::npos) return {input};
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= input.size();) {
    const size_t end = std::min(input.find('+', begin), input.size());
    out.push_back(input.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

/// Adds a part of the input on a line of its own; empty ones are left out.
void add_part(std::string& text, std::string_view part) {
  if (!text.empty() && !part.empty()) text += '\n';
  text += part;
}

Result<size_t> column(const CsvTable& table, const std::string& name, const std::string& path) {
  auto count = std::ranges::count(table.header, name);
  if (count == 1) return std::ranges::find(table.header, name) - table.header.begin();
  if (count > 1)
    return fail(Code::kCorrupt, "{}: header: found column \"{}\" {} times, expected once", path, name, count);
  return fail(Code::kNotFound, "{}: header: found columns {}, expected \"{}\" among them", path,
              quoted_list(table.header), name);
}

Result<std::vector<Row>> csv_rows(std::string_view content, const std::string& path, const std::string& input,
                                  const std::string& label) {
  BANTAM_ASSIGN(auto table, parse_csv(content, path));
  std::vector<size_t> text_columns;
  for (const auto& name : input_parts(input, std::ranges::find(table.header, input) != table.header.end())) {
    BANTAM_ASSIGN(size_t found, column(table, name, path));
    text_columns.push_back(found);
  }
  size_t label_column = 0;
  if (!label.empty()) {
    BANTAM_ASSIGN(label_column, column(table, label, path));
  }
  std::vector<Row> out;
  out.reserve(table.rows.size());
  for (size_t i = 0; i < table.rows.size(); ++i) {
    std::string name = label.empty() ? std::string() : table.rows[i][label_column];
    std::string text;
    for (size_t c : text_columns) add_part(text, table.rows[i][c]);
    out.push_back({std::move(text), std::move(name), table.lines[i]});
  }
  return out;
}

Result<std::string> json_field(const nlohmann::json& object, const std::string& key, bool integers,
                               const std::string& path, size_t line) {
  auto found = object.find(key);
  if (found == object.end()) {
    std::vector<std::string> keys;
    for (const auto& [name, value] : object.items()) keys.push_back(name);
    return fail(Code::kNotFound, "{}: line {}: found keys {}, expected \"{}\" among them", path, line,
                quoted_list(keys), key);
  }
  if (integers && found->is_number_integer()) return found->dump();
  if (!found->is_string()) {
    return fail(Code::kCorrupt, "{}: line {}: {}: found {}, expected a string", path, line, key,
                found->type_name());
  }
  return found->get<std::string>();
}

Result<std::vector<Row>> json_rows(std::string_view content, const std::string& path,
                                   const std::string& input, const std::string& label) {
  std::vector<Row> out;
  size_t line = 0;
  while (!content.empty()) {
    ++line;
    size_t end = std::min(content.find('\n'), content.size());
    std::string_view text = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (size_t broken = find_broken_utf8(text); broken != std::string_view::npos) {
      return fail(Code::kCorrupt,
                  "{}: line {}: found byte {:#04x} at offset {} of the line, expected UTF-8 text", path, line,
                  static_cast<unsigned char>(text[broken]), broken);
    }
    auto object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object()) {
      return fail(Code::kCorrupt, "{}: line {}: found {}, expected a JSON object", path, line,
                  object.is_discarded() ? "broken JSON" : object.type_name());
    }
    Row row;
    row.line = line;
    for (const auto& key : input_parts(input, object.contains(input))) {
      BANTAM_ASSIGN(const std::string part, json_field(object, key, false, path, line));
      add_part(row.text, part);
    }
    if (!label.empty()) {
      BANTAM_ASSIGN(row.label, json_field(object, label, true, path, line));
    }
    out.push_back(std::move(row));
  }
  if (out.empty()) return fail(Code::kInvalidArgument, "{}: found no lines, expected JSON objects", path);
  return out;
}

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

Status check_rows(const std::vector<Row>& rows, const std::string& path, const std::string& input,
                  const std::string& label) {
  for (const auto& row : rows) {
    if (blank(row.text))
      return fail(Code::kCorrupt, "{}: line {}: {}: found an empty text, expected some", path, row.line,
                  input);
    if (!label.empty() && blank(row.label)) {
      return fail(Code::kCorrupt, "{}: line {}: {}: found an empty label, expected one", path, row.line,
                  label);
    }
  }
  return {};
}

Result<std::vector<std::string>> label_set(const std::vector<Row>& rows,
                                           const std::vector<std::string>& known, const std::string& path) {
  if (known.empty()) {
    std::set<std::string> names;
    for (const auto& row : rows) names.insert(row.label);
    return std::vector<std::string>(names.begin(), names.end());
  }
  if (std::set<std::string>(known.begin(), known.end()).size() != known.size()) {
    return fail(Code::kInvalidArgument, "{}: found a label twice in the expected set {}", path,
                quoted_list(known));
  }
  return known;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

Result<LabelledData> load_labelled(const std::string& path, const std::string& input,
                                   const std::string& label, const std::vector<std::string>& known) {
  const std::string lower = lower_case(path);
  const bool csv = lower.ends_with(".csv"), json = lower.ends_with(".jsonl");
  if (!csv && !json)
    return fail(Code::kUnsupported, "{}: found another kind of file, expected .csv or .jsonl", path);
  BANTAM_ASSIGN(std::string content, read_file(path));
  BANTAM_ASSIGN(auto rows,
                csv ? csv_rows(content, path, input, label) : json_rows(content, path, input, label));
  BANTAM_TRY(check_rows(rows, path, input, label));
  LabelledData out;
  out.sha256 = sha256_hex(content);
  if (!label.empty()) {
    BANTAM_ASSIGN(out.labels, label_set(rows, known, path));
  }
  std::unordered_map<std::string_view, int32_t> index;
  for (size_t i = 0; i < out.labels.size(); ++i) index.emplace(out.labels[i], static_cast<int32_t>(i));
  out.examples.reserve(rows.size());
  for (auto& row : rows) {
    auto found = index.find(row.label);
    if (!label.empty() && found == index.end()) {
      return fail(Code::kInvalidArgument, "{}: line {}: {}: found \"{}\", expected one of {} known labels",
                  path, row.line, label, row.label, out.labels.size());
    }
    out.examples.push_back({std::move(row.text), label.empty() ? -1 : found->second, row.line});
  }
  return out;
}

}  // namespace bantam::formats
