#pragma once
// What every verb shares when it speaks: results to standard output, messages to standard error, exit codes.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kMisuse = 2,
  kInterrupted = 130,  // 128 + SIGINT, as shells expect of a program stopped by Ctrl-C
};

/// JSON whose keys stay in the order they were written.
using Json = nlohmann::ordered_json;

/// Prints "bantam: message" to standard error. Returns kInterrupted for kCancelled, else kFailed.
int report(const Error& error);
/// The same for wrong use; `verb` names whose --help to read.
int report_misuse(std::string_view verb, std::string_view message);
/// Prints to standard output and flushes; broken UTF-8 in strings becomes U+FFFD. A failed write (a full
/// disk, a closed pipe) is kFailed, else kDone.
int print_text(std::string_view text);
int print_json(const Json& json);

/// "1,234,567".
std::string with_commas(uint64_t n);
/// "812 B", "12.3 kB", "4.56 MB" (powers of 1,000).
std::string human_bytes(uint64_t bytes);

/// Pads every cell to its column's width; first column left, the others right. Rows end in line feeds.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace bantam::cli
