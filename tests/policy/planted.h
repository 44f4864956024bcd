#pragma once
// Texts with private data planted in them: what the redaction must find, with the type of each.

#include <cstdint>
#include <string>
#include <vector>

namespace bantam::tests {

struct Planted {
  std::string type;   // "email", "phone", "card", "iban", "ipv4", "ipv6", "listed name", "listed address",
                      // "own pattern"; and, found by their surroundings or not at all: "other name",
                      // "other address"
  std::string value;  // as it stands in the text
};

struct PlantedText {
  std::string text;
  std::vector<Planted> planted;
};

struct PlantedTexts {
  std::vector<std::string> names, addresses;  // for the lists of the config
  std::vector<PlantedText> texts;
};

/// The same for the same seed.
PlantedTexts plant(size_t count, uint64_t seed);

}  // namespace bantam::tests
