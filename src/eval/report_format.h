#pragma once
// Numbers as people read them: three significant digits, decimal units.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/statistics.h"

namespace bantam::eval {

std::string grouped(uint64_t n);  // "1,499"
std::string significant(
    double value, int digits = 3);     // "0.0434", "12.3", "1230"; never in exponent form from 1e-9 to 1e15
std::string count_text(double n);      // "7.41 M", "617 k", "512"
std::string bytes_text(double bytes);  // "29.6 MB", decimal
std::string seconds_text(double seconds);                  // "3.21 ms", "12.3 s", "4.10 min", "1.25 h"
std::string percent_text(double share, int decimals = 1);  // "88.3 %"
std::string interval_text(const Interval& shares);         // "86.6 to 89.8 %"
std::string money_text(double amount, std::string_view currency);  // "0.000434 USD"
/// value / reference as "1/28" where it is smaller, "2.1x" where it is larger, "same" within 0.5 %; empty
/// where either is 0.
std::string ratio_text(double value, double reference);

}  // namespace bantam::eval
