// Names and sizes of tensor element types (numbers: ggml.h, enum ggml_type).

#include <algorithm>
#include <array>
#include <cctype>

#include "formats/gguf.h"

namespace bantam::formats {
namespace {

struct Readable {
  GgmlType type;
  GgmlTypeTraits traits;
};

constexpr std::array<Readable, 17> kReadable = {{{GgmlType::kF32, {"F32", 1, 4}},
                                                 {GgmlType::kF16, {"F16", 1, 2}},
                                                 {GgmlType::kBF16, {"BF16", 1, 2}},
                                                 {GgmlType::kQ8_0, {"Q8_0", 32, 34}},
                                                 {GgmlType::kQ4_0, {"Q4_0", 32, 18}},
                                                 {GgmlType::kQ4_1, {"Q4_1", 32, 20}},
                                                 {GgmlType::kQ5_0, {"Q5_0", 32, 22}},
                                                 {GgmlType::kQ5_1, {"Q5_1", 32, 24}},
                                                 {GgmlType::kQ2_K, {"Q2_K", 256, 84}},
                                                 {GgmlType::kQ3_K, {"Q3_K", 256, 110}},
                                                 {GgmlType::kQ4_K, {"Q4_K", 256, 144}},
                                                 {GgmlType::kQ5_K, {"Q5_K", 256, 176}},
                                                 {GgmlType::kQ6_K, {"Q6_K", 256, 210}},
                                                 {GgmlType::kIQ4_NL, {"IQ4_NL", 32, 18}},
                                                 {GgmlType::kIQ4_XS, {"IQ4_XS", 256, 136}},
                                                 {GgmlType::kTQ1_0, {"TQ1_0", 256, 54}},
                                                 {GgmlType::kTQ2_0, {"TQ2_0", 256, 66}}}};

struct Known {
  uint32_t number;
  std::string_view name;
};

/// Types of other programs' files, so that the message can say what the file holds.
constexpr std::array<Known, 16> kKnown = {{{9, "Q8_1"},
                                           {15, "Q8_K"},
                                           {16, "IQ2_XXS"},
                                           {17, "IQ2_XS"},
                                           {18, "IQ3_XXS"},
                                           {19, "IQ1_S"},
                                           {21, "IQ3_S"},
                                           {22, "IQ2_S"},
                                           {24, "I8"},
                                           {25, "I16"},
                                           {26, "I32"},
                                           {27, "I64"},
                                           {28, "F64"},
                                           {29, "IQ1_M"},
                                           {39, "MXFP4"},
                                           {40, "NVFP4"}}};

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::toupper(x) == std::toupper(y); });
}

}  // namespace

const GgmlTypeTraits* ggml_type_traits(GgmlType type) {
  auto found = std::ranges::find(kReadable, type, &Readable::type);
  return found == kReadable.end() ? nullptr : &found->traits;
}

std::string ggml_type_name(uint32_t type) {
  if (const auto* traits = ggml_type_traits(static_cast<GgmlType>(type))) return std::string(traits->name);
  auto found = std::ranges::find(kKnown, type, &Known::number);
  return found == kKnown.end() ? fmt::format("type {}", type) : std::string(found->name);
}

std::string ggml_type_names() {
  std::string names;
  for (const auto& [type, traits] : kReadable) {
    names += names.empty() ? "" : ", ";
    names += traits.name;
  }
  return names;
}

Result<GgmlType> ggml_type_from_name(std::string_view name) {
  for (const auto& [type, traits] : kReadable) {
    if (equal_in_any_case(name, traits.name)) return type;
  }
  return fail(Code::kInvalidArgument, "tensor type: found \"{}\", expected one of {}", name,
              ggml_type_names());
}

}  // namespace bantam::formats
