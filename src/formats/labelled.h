#pragma once
// Labelled text from CSV (RFC 4180) or JSON lines, and its reproducible division into parts.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::formats {

/// Rows of a CSV file, header first. Quoted fields may hold commas, doubled quotes and line ends. A UTF-8 BOM
/// and empty lines (of tables with several columns) are skipped. Errors: kCorrupt naming source, line, found
/// and expected: a row of another width, an unclosed quote, text after a closing quote, broken UTF-8 (with
/// its byte offset), a NUL; kInvalidArgument for an empty file or a header alone.
struct CsvTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<size_t> lines;  // the 1-based line each row starts on
};
Result<CsvTable> parse_csv(std::string_view text, std::string_view source);

struct Example {
  std::string text;
  int32_t label = -1;  // index into LabelledData::labels; -1 when there is no label column
  size_t line = 0;     // where it stood in its file
};

struct LabelledData {
  std::vector<std::string> labels;  // sorted by bytes, unique; or the caller's `known`, as they are
  std::vector<Example> examples;
  std::string sha256;  // of the file's bytes
};

/// Reads `path` (.csv, or .jsonl with one object a line whose fields are strings; a label may be an integer).
/// `input` may name several columns, as "title+body" where none has that whole name: their texts are joined by
/// line breaks, empty ones left out. `label` may be empty: no labels wanted. `known`, when not empty, fixes the labels and their order: another
/// label is kInvalidArgument naming the line and the label. Errors: those of read_file and parse_csv;
/// kNotFound for a missing column or key, naming those there are; kCorrupt for empty texts and labels;
/// kUnsupported for another kind of file.
Result<LabelledData> load_labelled(const std::string& path, const std::string& input,
                                   const std::string& label, const std::vector<std::string>& known = {});

/// Splits stratified by label: each part receives its share of every label (largest remainder), chosen and
/// ordered by `seed`. Identical texts (after lower-casing ASCII letters and folding white space) always land
/// in the same part, so that none leaks. shares are positive and sum to at most 1; what is left over is in no
/// part.
std::vector<std::vector<Example>> split(const LabelledData& data, const std::vector<double>& shares,
                                        uint64_t seed);

/// Keeps the first `count` examples of each label, in their order.
void keep_per_label(std::vector<Example>& examples, size_t count);

}  // namespace bantam::formats
