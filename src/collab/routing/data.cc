// load_graded of collab/routing/example.h.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/file.h"
#include "collab/routing/example.h"
#include "formats/labelled.h"
#include "formats/toml_reader.h"
#include "net/json.h"

namespace bantam::collab::routing {
namespace {

using nlohmann::json;

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr double kUsualBytesPerToken = 4;

struct Price {
  double prompt = 0, completion = 0;
};
using Prices = std::map<std::string, Price, std::less<>>;

/// Calls `line(object, number)` for each line that is not blank.
template <class F>
Status each_json_line(const std::string& path, const F& line) {
  BANTAM_ASSIGN(const std::string content, read_file(path));
  size_t number = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view text = std::string_view(content).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}: line {}", path, number);
    BANTAM_ASSIGN(const json object, net::parse_json(text, where));
    if (!object.is_object())
      return fail(Code::kCorrupt, "{}: found {}, expected an object", where, object.type_name());
    BANTAM_TRY(line(object, where));
  }
  return {};
}

Result<std::string> text_of(const json& object, const std::string& key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) return fail(Code::kNotFound, "{}: found no \"{}\"", where, key);
  if (found->is_number_integer()) return found->dump();
  if (!found->is_string())
    return fail(Code::kCorrupt, "{}: {}: found {}, expected a string", where, key, found->type_name());
  return found->get<std::string>();
}

Result<Prices> load_prices(const std::string& path) {
  Prices out;
  BANTAM_ASSIGN(auto file, formats::TomlTable::open(path));
  for (auto& table : file.tables("models")) {
    const std::string name = table.text("name", "");
    if (name.empty()) table.reject("name", "found none, expected a model's name");
    out[name] = {table.number("prompt", 0, 0, 1e9), table.number("completion", 0, 0, 1e9)};
  }
  BANTAM_TRY(file.finish());
  return out;
}

/// A grade as a table writes it; nullopt for what is none.
std::optional<float> grade(std::string_view cell) {
  if (cell.empty()) return kUnknown;
  if (cell == "True" || cell == "true") return 1.0f;
  if (cell == "False" || cell == "false") return 0.0f;
  float value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Result<float> scaled(float value, double scale, const std::string& where, std::string_view model) {
  if (std::isnan(value)) return value;
  const double out = std::max(0.0, value / scale);
  if (out > 1) {
    return fail(Code::kCorrupt, "{}: {}: found a grade of {}, expected at most {}", where, model, value,
                scale);
  }
  return static_cast<float>(out);
}

Result<size_t> column(const formats::CsvTable& table, const std::string& name, const std::string& path) {
  const auto found = std::ranges::find(table.header, name);
  if (found == table.header.end())
    return fail(Code::kNotFound, "{}: header: found no column \"{}\"", path, name);
  return static_cast<size_t>(found - table.header.begin());
}

/// The columns that hold grades: those asked for, or all whose cells are grades.
Result<std::vector<size_t>> grade_columns(const formats::CsvTable& table, size_t input,
                                          const std::vector<std::string>& wanted, const std::string& path) {
  std::vector<size_t> out;
  for (const auto& name : wanted) {
    BANTAM_ASSIGN(const size_t found, column(table, name, path));
    out.push_back(found);
  }
  if (!wanted.empty()) return out;
  for (size_t c = 0; c < table.header.size(); ++c) {
    if (c == input) continue;
    const bool all =
        std::ranges::all_of(table.rows, [&](const auto& row) { return grade(row[c]).has_value(); });
    if (all) out.push_back(c);
  }
  return out;
}

/// Rows of a table whose prompts are still keys where there is a file of texts.
Status load_csv(const DataOptions& options, std::vector<std::string> wanted, Dataset& out,
                std::vector<std::string>& keys) {
  BANTAM_ASSIGN(const std::string content, read_file(options.data));
  BANTAM_ASSIGN(const auto table, formats::parse_csv(content, options.data));
  // A table may have no name for its column of keys.
  BANTAM_ASSIGN(const size_t input, column(table, options.input, options.data));
  BANTAM_ASSIGN(const auto columns, grade_columns(table, input, wanted, options.data));
  for (size_t c : columns) out.models.push_back(table.header[c]);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const std::string where = fmt::format("{}: line {}", options.data, table.lines[i]);
    Example example;
    for (size_t c : columns) {
      const auto value = grade(table.rows[i][c]);
      if (!value) {
        return fail(Code::kCorrupt, "{}: {}: found \"{}\", expected a number, True or False", where,
                    table.header[c], table.rows[i][c]);
      }
      BANTAM_ASSIGN(const float q, scaled(*value, options.scale, where, table.header[c]));
      example.quality.push_back(q);
    }
    keys.push_back(table.rows[i][input]);
    example.query.text = table.rows[i][input];
    out.examples.push_back(std::move(example));
  }
  return {};
}

Result<Query> read_query(const json& object, const std::string& input, const std::string& where) {
  Query out;
  if (const auto messages = object.find("messages"); messages != object.end()) {
    if (!messages->is_array()) return fail(Code::kCorrupt, "{}: messages: expected an array", where);
    out.turns = 0;
    for (const auto& message : *messages) {
      if (!message.is_object()) return fail(Code::kCorrupt, "{}: messages: expected objects", where);
      BANTAM_ASSIGN(const std::string role, text_of(message, "role", where));
      BANTAM_ASSIGN(std::string content, text_of(message, "content", where));
      out.turns += role == "user";
      std::string& to = role == "system" || role == "developer" ? out.system : out.text;
      if (!to.empty()) to += '\n';
      to += content;
    }
  } else {
    BANTAM_ASSIGN(out.text, text_of(object, input, where));
  }
  if (const auto tools = object.find("tools"); tools != object.end() && tools->is_array())
    out.tools = static_cast<uint32_t>(tools->size());
  out.schema = object.contains("response_format");
  if (const auto most = object.find("max_tokens"); most != object.end() && most->is_number_unsigned())
    out.max_tokens = static_cast<uint32_t>(std::min<uint64_t>(most->get<uint64_t>(), 1u << 30));
  return out;
}

/// Reads an object of numbers (or booleans) a model into the dataset's columns.
Status read_figures(const json& object, const char* key, const std::string& where, Dataset& out,
                    std::vector<float>& row) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_object()) return fail(Code::kCorrupt, "{}: {}: expected an object", where, key);
  for (const auto& [model, value] : found->items()) {
    if (!value.is_number() && !value.is_boolean()) {
      return fail(Code::kCorrupt, "{}: {}: {}: found {}, expected a number", where, key, model,
                  value.type_name());
    }
    auto at = std::ranges::find(out.models, model);
    if (at == out.models.end()) at = out.models.insert(out.models.end(), model);
    const auto m = static_cast<size_t>(at - out.models.begin());
    if (row.size() <= m) row.resize(m + 1, kUnknown);
    row[m] = value.is_boolean() ? (value.get<bool>() ? 1.0f : 0.0f) : value.get<float>();
  }
  return {};
}

Status load_jsonl(const DataOptions& options, Dataset& out) {
  BANTAM_TRY(each_json_line(options.data, [&](const json& object, const std::string& where) -> Status {
    Example example;
    BANTAM_ASSIGN(example.query, read_query(object, options.input, where));
    if (!object.contains("quality")) return fail(Code::kNotFound, "{}: found no \"quality\"", where);
    BANTAM_TRY(read_figures(object, "quality", where, out, example.quality));
    BANTAM_TRY(read_figures(object, "cost", where, out, example.cost));
    for (size_t m = 0; m < example.quality.size(); ++m) {
      BANTAM_ASSIGN(example.quality[m], scaled(example.quality[m], options.scale, where, out.models[m]));
    }
    out.examples.push_back(std::move(example));
    return {};
  }));
  for (Example& example : out.examples) example.quality.resize(out.models.size(), kUnknown);
  return {};
}

/// Puts the texts in the place of their keys.
Status join_texts(const DataOptions& options, const std::vector<std::string>& keys, Dataset& out) {
  std::unordered_map<std::string, std::string> texts;
  BANTAM_TRY(each_json_line(options.texts, [&](const json& object, const std::string& where) -> Status {
    BANTAM_ASSIGN(std::string key, text_of(object, options.key, where));
    BANTAM_ASSIGN(std::string text, text_of(object, options.text, where));
    texts[std::move(key)] = std::move(text);
    return {};
  }));
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto found = texts.find(keys[i]);
    if (found == texts.end())
      return fail(Code::kNotFound, "{}: found no text with {} \"{}\"", options.texts, options.key, keys[i]);
    out.examples[i].query.text = found->second;
  }
  return {};
}

/// Costs from lengths: of the prompt, and of the answer where its length is known.
Status add_costs(const DataOptions& options, const Prices& prices, const std::vector<std::string>& keys,
                 Dataset& out) {
  std::unordered_map<std::string, size_t> row_of;
  for (size_t i = 0; i < keys.size(); ++i) row_of[keys[i]] = i;
  std::unordered_map<std::string, size_t> model_of;
  for (size_t m = 0; m < out.models.size(); ++m) model_of[out.models[m]] = m;
  for (Example& example : out.examples) example.cost.resize(out.models.size(), kUnknown);
  return each_json_line(options.outputs, [&](const json& object, const std::string& where) -> Status {
    BANTAM_ASSIGN(const std::string key, text_of(object, options.key, where));
    BANTAM_ASSIGN(const std::string model, text_of(object, "model", where));
    const auto row = row_of.find(key);
    const auto column = model_of.find(model);
    if (row == row_of.end() || column == model_of.end()) return {};
    BANTAM_ASSIGN(const std::string output, text_of(object, "output", where));
    Example& example = out.examples[row->second];
    const Price& price = prices.find(model)->second;
    const double tokens_in = static_cast<double>(example.query.text.size()) / kUsualBytesPerToken;
    const double tokens_out = static_cast<double>(output.size()) / kUsualBytesPerToken;
    example.cost[column->second] =
        static_cast<float>(1e-6 * (price.prompt * tokens_in + price.completion * tokens_out));
    return {};
  });
}

}  // namespace

Result<Dataset> load_graded(const DataOptions& options) {
  if (!(options.scale > 0))
    return fail(Code::kInvalidArgument, "scale is {}, expected a positive number", options.scale);
  Dataset out;
  std::vector<std::string> keys, wanted = options.models;
  Prices prices;
  if (!options.prices.empty()) {
    BANTAM_ASSIGN(prices, load_prices(options.prices));
    if (wanted.empty()) {
      for (const auto& [name, price] : prices) wanted.push_back(name);
    }
    for (const auto& name : wanted) {
      if (!prices.contains(name))
        return fail(Code::kNotFound, "{}: found no price of '{}'", options.prices, name);
    }
  }
  if (options.data.ends_with(".csv")) {
    BANTAM_TRY(load_csv(options, std::move(wanted), out, keys));
    if (!options.texts.empty()) BANTAM_TRY(join_texts(options, keys, out));
    if (!prices.empty() && !options.outputs.empty()) BANTAM_TRY(add_costs(options, prices, keys, out));
  } else if (options.data.ends_with(".jsonl")) {
    BANTAM_TRY(load_jsonl(options, out));
  } else {
    return fail(Code::kUnsupported, "{}: expected a name ending in .csv or .jsonl", options.data);
  }
  if (out.models.size() < 2)
    return fail(Code::kInvalidArgument, "{}: found grades of {} models, expected at least two", options.data,
                out.models.size());
  for (Example& example : out.examples) example.cost.resize(out.models.size(), kUnknown);
  return out;
}

}  // namespace bantam::collab::routing
