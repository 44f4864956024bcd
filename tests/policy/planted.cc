#include "planted.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <random>

namespace bantam::tests {
namespace {

class Planter {
 public:
  explicit Planter(uint64_t seed) : random_(seed) {}

  PlantedTexts make(size_t count) {
    for (int i = 0; i < 150; ++i) {
      out_.names.push_back(capital(word(2)) + " " + capital(word(3)));
      out_.addresses.push_back(fmt::format("{} {}, {}", capital(word(2)), below(200) + 1, capital(word(3))));
    }
    for (size_t i = 0; i < count; ++i) out_.texts.push_back(text());
    return std::move(out_);
  }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  template <class T, size_t N>
  const T& one_of(const std::array<T, N>& from) {
    return from[below(N)];
  }
  std::string digits(size_t n) {
    std::string out;
    while (out.size() < n) out += static_cast<char>('0' + below(10));
    return out;
  }
  /// A word of syllables, which is in no language's list of names.
  std::string word(size_t syllables) {
    static const std::string kFirst = "bdfgklmnprstvz", kVowels = "aeiou";
    std::string out;
    for (size_t i = 0; i < syllables; ++i) {
      out += kFirst[below(kFirst.size())];
      out += kVowels[below(kVowels.size())];
    }
    return out + kFirst[below(kFirst.size())];
  }
  static std::string capital(std::string text) {
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text;
  }
  /// In groups of these sizes.
  static std::string grouped(const std::string& text, const std::vector<size_t>& sizes,
                             const std::string& by) {
    std::string out;
    size_t at = 0;
    for (size_t size : sizes) {
      if (at >= text.size()) break;
      out += (out.empty() ? "" : by) + text.substr(at, size);
      at += size;
    }
    return at < text.size() ? out + by + text.substr(at) : out;
  }

  std::string email() {
    static const std::array<const char*, 6> kEnds{"com", "org", "de", "co.uk", "io", "museum"};
    std::string local = word(2);
    if (below(2)) local += std::string(1, "._-+"[below(4)]) + word(2);
    if (below(4) == 0) local += digits(2);
    std::string domain =
        word(2) + (below(3) ? "" : "-" + word(1)) + "." + (below(4) ? "" : word(1) + ".") + one_of(kEnds);
    std::string at = below(12) == 0 ? " (at) " : "@";
    std::string out = local + at + domain;
    if (below(10) == 0)
      std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::toupper(c); });
    if (below(25) == 0) out.insert(out.find(at[0]), "\u200B");  // an invisible character before the sign
    return out;
  }
  std::string phone() {
    std::string area = std::to_string(2 + below(8)) + digits(2),
                exchange = std::to_string(2 + below(8)) + digits(2);
    switch (below(9)) {
      case 0:
        return fmt::format("+1 {} {} {}", area, exchange, digits(4));
      case 1:
        return fmt::format("({}) {}-{}", area, exchange, digits(4));
      case 2:
        return fmt::format("{}-{}-{}", area, exchange, digits(4));
      case 3:
        return fmt::format("{}.{}.{}", area, exchange, digits(4));
      case 4:
        return fmt::format("+49 {} {}", std::to_string(1 + below(9)) + digits(2), digits(7));
      case 5:
        return fmt::format("0{}/{}", std::to_string(1 + below(9)) + digits(2), digits(7));
      case 6:
        return grouped("0" + std::to_string(1 + below(7)) + digits(8), {2, 2, 2, 2, 2}, " ");
      case 7:
        return fmt::format("0044 {} {}", "20", grouped(digits(8), {4, 4}, " "));
      default:
        return "+" + std::to_string(30 + below(60)) + digits(9);
    }
  }
  std::string card() {
    static const std::array<const char*, 6> kIssuers{"4", "51", "2221", "37", "6011", "3530"};
    std::string number = one_of(kIssuers);
    size_t length = number == "37" ? 15 : 16;
    number += digits(length - 1 - number.size());
    unsigned sum = 0;
    for (size_t i = 0; i < number.size(); ++i) {  // the check digit will stand at the right end
      unsigned value = static_cast<unsigned>(number[number.size() - 1 - i] - '0');
      if (i % 2 == 0) value = value > 4 ? value * 2 - 9 : value * 2;
      sum += value;
    }
    number += static_cast<char>('0' + (10 - sum % 10) % 10);
    static const std::array<const char*, 4> kBy{"", " ", "-", " "};
    return length == 15 ? grouped(number, {4, 6, 5}, one_of(kBy))
                        : grouped(number, {4, 4, 4, 4}, one_of(kBy));
  }
  std::string iban() {
    struct Form {
      const char* country;
      size_t letters, digits;  // of the account's part
    };
    static const std::array<Form, 6> kForms{
        {{"DE", 0, 18}, {"GB", 4, 14}, {"NL", 4, 10}, {"ES", 0, 20}, {"AT", 0, 16}, {"FR", 0, 23}}};
    const Form& form = one_of(kForms);
    std::string account;
    for (size_t i = 0; i < form.letters; ++i) account += static_cast<char>('A' + below(26));
    account += digits(form.digits);
    unsigned rest = 0;
    for (char c : account + form.country + "00") {
      unsigned value = c >= 'A' ? static_cast<unsigned>(c - 'A') + 10 : static_cast<unsigned>(c - '0');
      rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
    }
    std::string out = fmt::format("{}{:02}{}", form.country, 98 - rest, account);
    if (below(2)) out = grouped(out, {4, 4, 4, 4, 4, 4, 4}, " ");
    if (below(8) == 0)
      std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
  }
  std::string ipv4() {
    return fmt::format("{}.{}.{}.{}", 1 + below(254), below(256), below(256), below(256));
  }
  std::string ipv6() {
    in6_addr address{};
    for (unsigned char& byte : address.s6_addr) byte = below(2) ? static_cast<unsigned char>(below(256)) : 0;
    address.s6_addr[0] = 0x20;
    char text[INET6_ADDRSTRLEN];
    return ::inet_ntop(AF_INET6, &address, text, sizeof text);
  }
  std::string cased(std::string text) {
    if (below(6) == 0)
      std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    return text;
  }
  std::string other_name() {
    static const std::array<const char*, 8> kGiven{"Maria", "Thomas", "Aisha",  "Pierre",
                                                   "Olga",  "Kwame",  "Ingrid", "Bao"};
    static const std::array<const char*, 5> kBefore{"Mrs. ", "Dr ", "Herr ", "", ""};
    std::string before = one_of(kBefore);
    return before.empty() ? one_of(kGiven) + std::string(" ") + capital(word(3)) : before + capital(word(3));
  }
  std::string other_address() {
    switch (below(4)) {
      case 0:
        return fmt::format("{} {} Street, {}", below(400) + 1, capital(word(2)), capital(word(3)));
      case 1:
        return fmt::format("{}straße {}, {} {}", capital(word(2)), below(99) + 1, 10000 + below(80000),
                           capital(word(2)));
      case 2:
        return fmt::format("{} rue de {}, {} {}", below(99) + 1, capital(word(2)), 10000 + below(80000),
                           capital(word(2)));
      default:
        return fmt::format("{} {}, {}", capital(word(2)), below(99) + 1,
                           capital(word(2)));  // nothing tells it
    }
  }

  Planted planted() {
    switch (below(11)) {
      case 0:
        return {"email", email()};
      case 1:
        return {"phone", phone()};
      case 2:
        return {"card", card()};
      case 3:
        return {"iban", iban()};
      case 4:
        return {"ipv4", ipv4()};
      case 5:
        return {"ipv6", ipv6()};
      case 6:
        return {"listed name", cased(out_.names[below(out_.names.size())])};
      case 7:
        return {"listed address", cased(out_.addresses[below(out_.addresses.size())])};
      case 8:
        return {"own pattern", "EMP-" + digits(6)};
      case 9:
        return {"other name", other_name()};
      default:
        return {"other address", other_address()};
    }
  }

  PlantedText text() {
    static const std::array<const char*, 12> kBefore{
        "Please note ",    "we have \"",   "the details are: ", "it was sent to ",    "(",    "see ",
        "my entry says\n", "I gave them ", "{\"value\": \"",    "as of 2024-11-22: ", "ref ", "<b>"};
    static const std::array<const char*, 12> kAfter{
        " today.",        "\" on file", ", as agreed.", ".\n",          ")",      "?",
        "\nthat is all.", "!",          "\"}",          " | 17 pieces", "; done", "</b>"};
    static const std::array<const char*, 4> kFill{
        "The parcel came late and the box was open. ", "Order 4711-B is about 3.5 kg. ",
        "Was at 10:30 on 22.11.2024. ", "Why was I billed 1,299.00 twice? "};
    PlantedText out;
    for (uint64_t i = 0, n = 1 + below(4); i < n; ++i) {
      size_t form = below(kBefore.size());
      Planted item = planted();
      out.text += kFill[below(kFill.size())];
      out.text += kBefore[form] + item.value + kAfter[form] + " ";
      out.planted.push_back(std::move(item));
    }
    return out;
  }

  std::mt19937_64 random_;
  PlantedTexts out_;
};

}  // namespace

PlantedTexts plant(size_t count, uint64_t seed) { return Planter(seed).make(count); }

}  // namespace bantam::tests
