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

constexpr std::array<Readable, 4> kReadable = {{{GgmlType::kF32, {"F32", 1, 4}},
                                                {GgmlType::kF16, {"F16", 1, 2}},
                                                {GgmlType::kQ4_0, {"Q4_0", 32, 18}},
                                                {GgmlType::kQ8_0, {"Q8_0", 32, 34}}}};

struct Known {
  uint32_t number;
  std::string_view name;
};

/// Types of other programs' files, so that the message can say what the file holds.
constexpr std::array<Known, 28> kKnown = {
    {{3, "Q4_1"},     {6, "Q5_0"},   {7, "Q5_1"},    {9, "Q8_1"},   {10, "Q2_K"},    {11, "Q3_K"},
     {12, "Q4_K"},    {13, "Q5_K"},  {14, "Q6_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
     {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
     {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
     {30, "BF16"},    {34, "TQ1_0"}, {35, "TQ2_0"},  {39, "MXFP4"}}};

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

Result<GgmlType> ggml_type_from_name(std::string_view name) {
  std::string names;
  for (const auto& [type, traits] : kReadable) {
    if (equal_in_any_case(name, traits.name)) return type;
    names += names.empty() ? "" : ", ";
    names += traits.name;
  }
  return fail(Code::kInvalidArgument, "tensor type: found \"{}\", expected one of {}", name, names);
}

}  // namespace bantam::formats
