#include "booking_text.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <string_view>

namespace bantam::tools {
namespace {

using Words = std::vector<std::string_view>;

constexpr std::array<std::string_view, 13> kNumbers = {"zero", "one",    "two",   "three", "four",
                                                       "five", "six",    "seven", "eight", "nine",
                                                       "ten",  "eleven", "twelve"};
constexpr std::array<std::string_view, 13> kMonths = {
    "",     "January", "February",  "March",   "April",    "May",     "June",
    "July", "August",  "September", "October", "November", "December"};
constexpr std::array<std::string_view, 13> kShortMonths = {"",    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 20> kOrdinals = {
    "",           "first",     "second",    "third",       "fourth",     "fifth",     "sixth",
    "seventh",    "eighth",    "ninth",     "tenth",       "eleventh",   "twelfth",   "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"};

std::string_view one_of(const Words& words, Rng& rng) { return words[rng.below(words.size())]; }

std::string ordinal_word(int day) {
  if (day < 20) return std::string(kOrdinals[static_cast<size_t>(day)]);
  std::string_view tens = day < 30 ? "twent" : "thirt";
  if (day % 10 == 0) return fmt::format("{}ieth", tens);
  return fmt::format("{}y-{}", tens, kOrdinals[static_cast<size_t>(day % 10)]);
}

std::string ordinal_figure(int day) {
  bool teens = day >= 11 && day <= 13;
  std::string_view end = teens || day % 10 == 0 || day % 10 > 3 ? "th"
                         : day % 10 == 1                        ? "st"
                         : day % 10 == 2                        ? "nd"
                                                                : "rd";
  return fmt::format("{}{}", day, end);
}

std::string say_date(const Booking& b, Rng& rng) {
  auto month = static_cast<size_t>(b.month);
  switch (rng.below(7)) {
    case 0:
      return fmt::format("{} {}", b.day, kMonths[month]);
    case 1:
      return fmt::format("{} {}", kMonths[month], ordinal_figure(b.day));
    case 2:
      return fmt::format("the {} of {}", ordinal_word(b.day), kMonths[month]);
    case 3:
      return fmt::format("{} {}", b.day, kShortMonths[month]);
    case 4:
      return fmt::format("the {} of {}", ordinal_figure(b.day), kMonths[month]);
    case 5:
      return fmt::format("{}/{}", b.day, b.month);
    default:
      return fmt::format("{} {}", kMonths[month], b.day);
  }
}

std::string say_hour(int hour) { return std::string(kNumbers[static_cast<size_t>((hour + 11) % 12 + 1)]); }

std::string say_time(const Booking& b, Rng& rng) {
  bool evening = b.hour >= 17;
  std::string_view part = evening ? " in the evening" : " in the afternoon";
  if (b.hour == 12 && b.minute == 0) return rng.chance(0.5) ? "noon" : "12:00";
  int twelve = (b.hour + 11) % 12 + 1;
  switch (rng.below(4)) {
    case 0:
      return fmt::format("{}:{:02}", b.hour, b.minute);
    case 1:
      return b.minute == 0 ? fmt::format("{} pm", twelve) : fmt::format("{}.{:02} pm", twelve, b.minute);
    case 2:
      if (b.minute == 0) return fmt::format("{} o'clock{}", say_hour(b.hour), part);
      if (b.minute == 30) return fmt::format("half past {}{}", say_hour(b.hour), part);
      if (b.minute == 15) return fmt::format("quarter past {}{}", say_hour(b.hour), part);
      return fmt::format("quarter to {}{}", say_hour(b.hour + 1), part);
    default:
      return fmt::format("{:02}.{:02}", b.hour, b.minute);
  }
}

std::string say_guests(int n, Rng& rng) {
  auto word = [](int i) { return kNumbers[static_cast<size_t>(i)]; };
  if (n == 1) return std::string(one_of({"one", "just me", "1 person"}, rng));
  if (n == 2 && rng.chance(0.4))
    return std::string(one_of({"my wife and me", "my husband and me", "a friend and me"}, rng));
  if (n > 2 && n <= 9 && rng.chance(0.3)) {
    return fmt::format("me and {} {}", word(n - 1),
                       one_of({"friends", "colleagues", "cousins", "neighbours"}, rng));
  }
  if (n > 3 && rng.chance(0.2)) {
    int children = 1 + static_cast<int>(rng.below(static_cast<uint64_t>(n - 2)));
    return fmt::format("{} adults and {} {}", word(n - children), word(children),
                       children == 1 ? "child" : "children");
  }
  return rng.chance(0.5) ? std::string(word(n)) : fmt::format("{} people", n);
}

int other(int value, int low, int high, Rng& rng) {
  int drawn = low + static_cast<int>(rng.below(static_cast<uint64_t>(high - low)));
  return drawn >= value ? drawn + 1 : drawn;
}

Booking draw_booking(Rng& rng) {
  Booking b;
  b.name = draw_name(rng);
  b.guests = 1 + static_cast<int>(rng.below(12));
  b.month = 1 + static_cast<int>(rng.below(12));
  b.day = 1 + static_cast<int>(rng.below(b.month == 2 ? 28 : 30));
  b.hour = 12 + static_cast<int>(rng.below(11));
  b.minute = 15 * static_cast<int>(rng.below(4));
  if (b.hour == 12 || b.hour == 22) b.minute = 0;  // "quarter past twelve" has two readings
  return b;
}

/// A value said, sometimes after another that is taken back.
std::string say(std::string value, std::string taken_back, double chance, Rng& rng) {
  if (taken_back == value || !rng.chance(chance)) return value;
  switch (rng.below(3)) {
    case 0:
      return fmt::format("{}, no, {}", taken_back, value);
    case 1:
      return fmt::format("{} (not {})", value, taken_back);
    default:
      return fmt::format("{}, sorry, I mean {}", taken_back, value);
  }
}

}  // namespace

std::string draw_name(Rng& rng) {
  static const Words kFirst = {"Mar", "Ok",  "Ber", "Tel", "Sun", "Ad",  "Kor", "Lin", "Har", "Vas",
                               "Pet", "Oru", "Dan", "Fel", "Gri", "Jo",  "Nor", "Ric", "Sal", "Wen",
                               "Yam", "Zub", "Cal", "Eri", "Hol", "Iva", "Tho", "Qui", "Bra", "Ste"};
  static const Words kMiddle = {"lo", "a", "en", "di", "ori", "ta", "be", "mu", "is", "ko"};
  static const Words kLast = {"wick", "for", "son", "ski", "berg", "man",  "dez", "ova",  "ley",  "moto",
                              "lund", "gar", "nen", "ton", "sen",  "ruiz", "vic", "feld", "dale", "rey"};
  return fmt::format("{}{}{}", one_of(kFirst, rng), one_of(kMiddle, rng), one_of(kLast, rng));
}

std::vector<std::string> fields_of(const Booking& b) {
  return {"name=" + b.name, fmt::format("guests={}", b.guests),
          fmt::format("date={:02}-{:02}", b.month, b.day), fmt::format("time={:02}:{:02}", b.hour, b.minute)};
}

std::string answer_of(const Booking& b) {
  std::string out;
  for (const std::string& field : fields_of(b)) out += (out.empty() ? "" : " ") + field;
  return out;
}

BookingMessage draw_message(Rng& rng) {
  Booking b = draw_booking(rng), wrong = corrupted(b, rng);
  wrong.guests = other(b.guests, 1, 12, rng);
  std::string guests = say(say_guests(b.guests, rng),
                           fmt::format("{}", kNumbers[static_cast<size_t>(wrong.guests)]), 0.15, rng);
  std::string date = say(say_date(b, rng), say_date(wrong, rng),
                         wrong.day != b.day || wrong.month != b.month ? 0.3 : 0, rng);
  std::string time = say(say_time(b, rng), say_time(wrong, rng),
                         wrong.hour != b.hour || wrong.minute != b.minute ? 0.3 : 0, rng);
  std::string hello(one_of({"", "Hi, ", "Hello, ", "Good morning, ", "Dear team, "}, rng));
  std::string end(
      one_of({"", " Thanks!", " Many thanks in advance.", " Best wishes", " Please confirm."}, rng));
  std::string text;
  switch (rng.below(6)) {
    case 0:
      text = fmt::format("{}a table for {} on {} at {}, name {}.", hello, guests, date, time, b.name);
      break;
    case 1:
      text = fmt::format("{}could we come on {} at {}? It is for {}. The name is {}.", hello, date, time,
                         guests, b.name);
      break;
    case 2:
      text = fmt::format("{}please book under {}: {}, {}, {}.", hello, b.name, date, time, guests);
      break;
    case 3:
      text = fmt::format("{}{} here. We would like to eat at {} on {}, a table for {}.", hello, b.name, time,
                         date, guests);
      break;
    case 4:
      text = fmt::format("{}is there room for {} at {} on {}? {} is my name.", hello, guests, time, date,
                         b.name);
      break;
    default:
      text = fmt::format("{}reserve {} for {}, at {}, in the name of {}.", hello, date, guests, time, b.name);
  }
  return {text + end, std::move(b)};
}

Booking corrupted(const Booking& booking, Rng& rng) {
  Booking out = booking;
  size_t slips = 1 + rng.below(2);
  for (size_t i = 0; i < slips; ++i) {
    switch (rng.below(6)) {
      case 0:
        out.name = draw_name(rng);
        break;
      case 1:
        out.guests = other(out.guests, 1, 12, rng);
        break;
      case 2:
        out.day = other(out.day, 1, 28, rng);
        break;
      case 3:
        out.month = other(out.month, 1, 12, rng);
        break;
      case 4:
        out.hour = out.hour == 12 ? 13 : out.hour == 21 ? 20 : out.hour + (rng.chance(0.5) ? 1 : -1);
        if (out.hour == 12) out.minute = 0;
        break;
      default:
        if (out.hour != 12 && out.hour != 22)
          out.minute = (out.minute + 15 * (1 + static_cast<int>(rng.below(3)))) % 60;
    }
  }
  if (out.month == 2 && out.day > 28) out.day = 28;
  return out;
}

}  // namespace bantam::tools
