// Recognisers of what is made of digits: cards, telephone numbers, IBANs, IP addresses.

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/utf8.h"
#include "collab/recognise.h"

namespace bantam::collab {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
char at(std::string_view text, size_t i) { return i < text.size() ? text[i] : '\0'; }

struct Group {
  size_t begin = 0, end = 0;
  size_t size() const { return end - begin; }
};

constexpr size_t kMostGroups = 19;  // of digits in one number

/// Calls `take` with each run of groups of digits that only short separators part.
template <class F>
void each_cluster(std::string_view text, std::string_view separators, size_t longest_separator, F&& take) {
  std::vector<Group> groups;
  for (size_t i = 0; i < text.size();) {
    if (!digit(text[i])) {
      ++i;
      continue;
    }
    size_t begin = i;
    while (i < text.size() && digit(text[i])) ++i;
    groups.push_back({begin, i});
    size_t next = i;
    while (next < text.size() && next - i < longest_separator &&
           separators.find(text[next]) != std::string_view::npos)
      ++next;
    if (digit(at(text, next))) {
      i = next;
    } else {
      take(groups);
      groups.clear();
    }
  }
}

/// Tries windows of whole groups, longest first, from each group on; a window that fits is not looked into.
template <class F>
void each_window(const std::vector<Group>& groups, size_t fewest, size_t most, F&& fits) {
  for (size_t first = 0; first < groups.size(); ++first) {
    std::array<size_t, kMostGroups> digits{};
    size_t count = 0, sum = 0;
    while (count < kMostGroups && first + count < groups.size()) {
      sum += groups[first + count].size();
      if (sum > most) break;
      digits[count++] = sum;
    }
    for (; count > 0 && digits[count - 1] >= fewest; --count) {
      if (!fits(first, first + count - 1, digits[count - 1])) continue;
      first += count - 1;
      break;
    }
  }
}

std::string digits_of(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), digit);
  return out;
}

/// The check of ISO/IEC 7812-1, annex B.
bool luhn(std::string_view digits) {
  unsigned sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    unsigned value = static_cast<unsigned>(digits[digits.size() - 1 - i] - '0');
    if (i % 2 == 1) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 == 0;
}

/// First digits that payment cards have: 2 to 6, and 1800 of older ones.
bool issued(std::string_view digits) {
  return (digits[0] >= '2' && digits[0] <= '6') || digits.starts_with("1800");
}

constexpr size_t kFewestCardDigits = 12, kMostCardDigits = 19;
constexpr size_t kMostPhoneDigits = 17;  // E.164's 15 and a 00 in front

bool is_date(std::string_view text) {
  auto match = [&](std::string_view form) {
    if (text.size() < form.size() || digit(at(text, form.size()))) return false;
    for (size_t i = 0; i < form.size(); ++i) {
      bool same = form[i] == '0' ? digit(text[i]) : (text[i] == '.' || text[i] == '-' || text[i] == '/');
      if (!same) return false;
    }
    return true;
  };
  return match("0000-00-00") || match("00-00-0000") || match("0-0-0000") || match("00-0-0000") ||
         match("0-00-0000");
}

/// Whether a word for telephones stands shortly before.
bool announced(std::string_view text, size_t begin) {
  static const re2::RE2 words(
      R"((?i)\b(?:tel|tél|telephone|telefon|teléfono|téléphone|telefono|phone|ph|mobile|mobil|móvil|mob|cell|handy|call|dial|ring|fax|sms|whatsapp|signal|rufnummer|nummer|hotline|reach (?:me|us|him|her|them)|number)\b[^0-9]{0,16}$)");
  const size_t from = utf8_cut(text, begin > 40 ? begin - 40 : 0);
  return re2::RE2::PartialMatch(re2::StringPiece(text.data() + from, begin - from), words);
}

/// Area code and exchange of the North American plan begin with 2 to 9.
bool north_american(std::string_view d) {
  if (d.size() == 11 && d[0] == '1') d.remove_prefix(1);
  return d.size() == 10 && d[0] >= '2' && d[3] >= '2';
}

struct PhoneWindow {
  std::string_view text;  // all of it
  const std::vector<Group>& groups;
  size_t first, last, digits;

  std::string_view part() const {
    return text.substr(groups[first].begin, groups[last].end - groups[first].begin);
  }
  bool sizes_end_in(std::initializer_list<size_t> sizes) const {
    if (last - first + 1 < sizes.size()) return false;
    size_t i = last + 1 - sizes.size();
    return std::all_of(sizes.begin(), sizes.end(), [&](size_t size) { return groups[i++].size() == size; });
  }
};

bool is_phone(const PhoneWindow& w) {
  size_t begin = w.groups[w.first].begin, count = w.last - w.first + 1;
  char before = begin > 0 ? w.text[begin - 1] : '\0';
  char before2 = begin > 1 ? w.text[begin - 2] : '\0';
  std::string_view part = w.part();
  if (is_date(part) || digit(before)) return false;
  if ((before == '+' || (before == '(' && before2 == '+')) && w.digits >= 7) return true;
  if (before == '(' && part.substr(0, 7).find(')') != std::string_view::npos && w.digits >= 7 &&
      w.digits <= 15)
    return true;
  // A digit of an identifier, or a decimal's fraction, begins no number without a sign of its own.
  if (alnum(before) || before == '_' || ((before == '.' || before == ',') && digit(before2))) return false;
  if (w.digits >= 6 && w.digits <= 15 && announced(w.text, begin)) return true;
  std::string d = digits_of(part);
  if (d.starts_with("00") && w.digits >= 10) return true;
  if (d[0] == '0' && d[1] != '0' && w.digits >= 9 && w.digits <= 13) return true;
  if (north_american(d) && (count == 1 || w.sizes_end_in({3, 3, 4}) || w.sizes_end_in({3, 7}))) return true;
  return count == 2 && w.sizes_end_in({3, 4}) && part[3] == '-' && part[0] >= '2';
}

}  // namespace

void find_cards(std::string_view text, const Type& type, Spans& out) {
  each_cluster(text, " -./_", 2, [&](const std::vector<Group>& groups) {
    each_window(groups, kFewestCardDigits, kMostCardDigits, [&](size_t first, size_t last, size_t) {
      std::string digits =
          digits_of(text.substr(groups[first].begin, groups[last].end - groups[first].begin));
      if (!issued(digits) || !luhn(digits)) return false;
      add_span(out, type, groups[first].begin, groups[last].end);
      return true;
    });
  });
}

void find_phones(std::string_view text, const Type& type, Spans& out) {
  each_cluster(text, " -./()", 3, [&](const std::vector<Group>& groups) {
    each_window(groups, 6, kMostPhoneDigits, [&](size_t first, size_t last, size_t digits) {
      if (!is_phone({text, groups, first, last, digits})) return false;
      size_t begin = groups[first].begin;
      if (begin > 0 && (text[begin - 1] == '+' || text[begin - 1] == '(')) --begin;
      if (begin > 0 && text[begin] == '(' && text[begin - 1] == '+') --begin;
      add_span(out, type, begin, groups[last].end);
      return true;
    });
  });
}

namespace {

/// Length of each country's IBAN, by the registry of ISO 13616; 0 where it is not known.
size_t iban_length(std::string_view country) {
  static constexpr std::string_view kLengths =
      "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18"
      "FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21"
      "LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24"
      "SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";
  for (size_t i = 0; i < kLengths.size(); i += 4) {
    if (kLengths.substr(i, 2) == country)
      return static_cast<size_t>(kLengths[i + 2] - '0') * 10 + static_cast<size_t>(kLengths[i + 3] - '0');
  }
  return 0;
}

/// ISO 7064 MOD 97-10, with the first four characters last.
bool iban_check(std::string_view iban) {
  unsigned remainder = 0;
  auto take = [&](char c) {
    unsigned value = digit(c) ? static_cast<unsigned>(c - '0') : static_cast<unsigned>(c - 'A') + 10;
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  };
  for (char c : iban.substr(4)) take(c);
  for (char c : iban.substr(0, 4)) take(c);
  return remainder == 1;
}

constexpr size_t kShortestIban = 15, kLongestIban = 34;

/// Where an IBAN that begins at `begin` ends; 0 when there is none.
size_t iban_end(std::string_view text, size_t begin) {
  std::string iban;
  size_t known = 0, best = 0;
  for (size_t i = begin; i < text.size() && iban.size() < kLongestIban;) {
    if (!alnum(text[i])) {
      bool separator = (text[i] == ' ' || text[i] == '-' || text[i] == '.') && alnum(at(text, i + 1));
      if (!separator) break;
      ++i;
      continue;
    }
    iban += static_cast<char>(std::toupper(static_cast<unsigned char>(text[i++])));
    if (iban.size() == 4) known = iban_length(std::string_view(iban).substr(0, 2));
    if (known != 0 && iban.size() == known) return iban_check(iban) ? i : 0;
    // Of a country not in the table: the longest that checks and ends where a word ends.
    if (known == 0 && iban.size() >= kShortestIban && !alnum(at(text, i)) && iban_check(iban)) best = i;
  }
  return best;
}

bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool hex_or_colon(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
}

/// Where the dotted quad at `begin` ends; 0 when there is none.
size_t ipv4_end(std::string_view text, size_t begin) {
  size_t i = begin;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && at(text, i++) != '.') return 0;
    unsigned value = 0;
    size_t from = i;
    while (digit(at(text, i)) && i - from < 4) value = value * 10 + static_cast<unsigned>(text[i++] - '0');
    if (i == from || i - from > 3 || value > 255) return 0;
  }
  return digit(at(text, i)) || (at(text, i) == '.' && digit(at(text, i + 1))) ? 0 : i;
}

bool is_ipv6(std::string_view text) {
  in6_addr address;
  return text.find_first_not_of(":.") != std::string_view::npos &&
         ::inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

constexpr size_t kLongestIpv6 = 45;  // with a dotted quad at its end

/// The IPv6 address within a run of its characters.
void find_ipv6(std::string_view text, size_t begin, size_t end, const Type& type, Spans& out) {
  // Letters before the run belong to a word whose end happens to be hexadecimal.
  if (begin > 0 && alnum(text[begin - 1])) {
    while (begin < end && text[begin] != ':') ++begin;
    if (begin < end) ++begin;
  }
  while (end > begin && text[end - 1] == '.') --end;
  for (size_t cut = 0; cut < 2 && begin + cut < end; ++cut) {
    for (size_t drop = 0; drop < 2 && begin + cut + drop < end; ++drop) {
      std::string_view run = text.substr(begin + cut, end - drop - begin - cut);
      bool whole = (cut == 0 || text[begin] == ':') && (drop == 0 || text[end - 1] == ':');
      if (!whole || run.size() > kLongestIpv6 || !is_ipv6(run)) continue;
      return add_span(out, type, begin + cut, end - drop);
    }
  }
}

}  // namespace

void find_ibans(std::string_view text, const Type& type, Spans& out) {
  for (size_t i = 0; i + kShortestIban <= text.size(); ++i) {
    if (!letter(text[i]) || !letter(text[i + 1]) || !digit(text[i + 2]) || !digit(text[i + 3])) continue;
    if (size_t end = iban_end(text, i)) {
      add_span(out, type, i, end);
      i = end - 1;
    }
  }
}

void find_ips(std::string_view text, const Type& type, Spans& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    bool starts = digit(text[i]) &&
                  (i == 0 || !(digit(text[i - 1]) || (text[i - 1] == '.' && i > 1 && digit(text[i - 2]))));
    if (size_t end = starts ? ipv4_end(text, i) : 0) {
      add_span(out, type, i, end);
      i = end - 1;
    }
  }
  for (size_t i = 0; i < text.size();) {
    if (!hex_or_colon(text[i])) {
      ++i;
      continue;
    }
    size_t begin = i;
    size_t colons = 0;
    for (; i < text.size() && hex_or_colon(text[i]); ++i) colons += text[i] == ':';
    if (colons >= 2) find_ipv6(text, begin, i, type, out);
  }
}

}  // namespace bantam::collab
