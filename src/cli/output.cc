#include "cli/output.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/utf8.h"

namespace bantam::cli {

int report(const Error& error) {
  fmt::print(stderr, "bantam: {}\n", error.message);
  return error.code == Code::kCancelled ? kInterrupted : kFailed;
}

int report_misuse(std::string_view verb, std::string_view message) {
  fmt::print(stderr, "bantam{}{}: {}\nTry: bantam{}{} --help\n", verb.empty() ? "" : " ", verb, message,
             verb.empty() ? "" : " ", verb);
  return kMisuse;
}

int print_text(std::string_view text) {
  bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return kDone;
  std::perror("bantam: standard output");
  return kFailed;
}

int print_json(const Json& json) {
  return print_text(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string with_commas(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  int digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, digits, units[unit]);
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], utf8_length(row[column]));
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      std::string padding(widths[column] - utf8_length(row[column]), ' ');
      if (column > 0) out.append("  ").append(padding);
      out += row[column];
      if (column == 0 && row.size() > 1) out += padding;
    }
    out += '\n';
  }
  return out;
}

}  // namespace bantam::cli
