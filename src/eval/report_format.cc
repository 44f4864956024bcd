#include "eval/report_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

namespace bantam::eval {

std::string grouped(uint64_t n) {
  std::string digits = std::to_string(n), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string significant(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value);
  int decimals = digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  decimals = std::clamp(decimals, 0, 15);
  std::string text = fmt::format("{:.{}f}", value, decimals);
  // 9.996 becomes 10.00 by rounding: one digit too many.
  const auto significant_digits =
      std::count_if(std::find_if(text.begin(), text.end(), [](char c) { return c >= '1' && c <= '9'; }),
                    text.end(), [](char c) { return c != '.'; });
  if (decimals > 0 && significant_digits > digits) text = fmt::format("{:.{}f}", value, decimals - 1);
  return text;
}

std::string count_text(double n) {
  if (n < 9999.5) return grouped(static_cast<uint64_t>(std::llround(std::max(n, 0.0))));
  if (n < 999500) return significant(n / 1e3) + " k";
  if (n < 999.5e6) return significant(n / 1e6) + " M";
  return significant(n / 1e9) + " B";
}

std::string bytes_text(double bytes) {
  if (bytes < 999.5) return fmt::format("{:.0f} B", bytes);
  if (bytes < 999500) return significant(bytes / 1e3) + " kB";
  if (bytes < 999.5e6) return significant(bytes / 1e6) + " MB";
  return significant(bytes / 1e9) + " GB";
}

std::string seconds_text(double seconds) {
  if (seconds == 0) return "0 s";
  if (seconds < 0.9995e-3) return significant(seconds * 1e6) + " us";
  if (seconds < 0.9995) return significant(seconds * 1e3) + " ms";
  if (seconds < 119.5) return significant(seconds) + " s";
  if (seconds < 7170) return significant(seconds / 60) + " min";
  return significant(seconds / 3600) + " h";
}

std::string percent_text(double share, int decimals) {
  return fmt::format("{:.{}f} %", 100 * share, decimals);
}

std::string interval_text(const Interval& shares) {
  return fmt::format("{:.1f} to {:.1f} %", 100 * shares.low, 100 * shares.high);
}

std::string money_text(double amount, std::string_view currency) {
  return fmt::format("{} {}", significant(amount), currency);
}

std::string ratio_text(double value, double reference) {
  if (!(value > 0) || !(reference > 0)) return "";
  const double ratio = value / reference;
  if (std::abs(ratio - 1) < 0.005) return "same";
  const double factor = ratio < 1 ? 1 / ratio : ratio;
  const std::string text = factor < 9.95 ? fmt::format("{:.1f}", factor) : fmt::format("{:.0f}", factor);
  return ratio < 1 ? "1/" + text : text + "x";
}

}  // namespace bantam::eval
