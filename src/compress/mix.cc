#include "compress/mix.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "tensor/dtype.h"

namespace bantam::compress {
namespace {

using formats::GgmlType;
using Rules = Mix::Rules;

struct Named {
  std::string_view name;
  GgmlType base;
  Rules rules;
  uint32_t file_type;  // llama.cpp's LLAMA_FTYPE
};

constexpr std::array<Named, 22> kMixes = {
    {{"F32", GgmlType::kF32, Rules::kPure, 0},         {"F16", GgmlType::kF16, Rules::kPure, 1},
     {"BF16", GgmlType::kBF16, Rules::kPure, 32},      {"Q8_0", GgmlType::kQ8_0, Rules::kPure, 7},
     {"Q6_K", GgmlType::kQ6_K, Rules::kQ6_K, 18},      {"Q5_K_M", GgmlType::kQ5_K, Rules::kQ5_K_M, 17},
     {"Q5_K_S", GgmlType::kQ5_K, Rules::kQ5_K_S, 16},  {"Q5_1", GgmlType::kQ5_1, Rules::kPure, 9},
     {"Q5_0", GgmlType::kQ5_0, Rules::kPure, 8},       {"Q4_K_M", GgmlType::kQ4_K, Rules::kQ4_K_M, 15},
     {"Q4_K_S", GgmlType::kQ4_K, Rules::kQ4_K_S, 14},  {"IQ4_NL", GgmlType::kIQ4_NL, Rules::kIQ4, 25},
     {"IQ4_XS", GgmlType::kIQ4_XS, Rules::kIQ4, 30},   {"Q4_1", GgmlType::kQ4_1, Rules::kPure, 3},
     {"Q4_0", GgmlType::kQ4_0, Rules::kPure, 2},       {"Q3_K_L", GgmlType::kQ3_K, Rules::kQ3_K_L, 13},
     {"Q3_K_M", GgmlType::kQ3_K, Rules::kQ3_K_M, 12},  {"Q3_K_S", GgmlType::kQ3_K, Rules::kQ3_K_S, 11},
     {"Q2_K", GgmlType::kQ2_K, Rules::kQ2_K, 10},      {"Q2_K_S", GgmlType::kQ2_K, Rules::kQ2_K_S, 21},
     {"TQ2_0", GgmlType::kTQ2_0, Rules::kTernary, 37}, {"TQ1_0", GgmlType::kTQ1_0, Rules::kTernary, 36}}};

/// Other names that people know, as llama.cpp has them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kAliases = {
    {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}}};

std::string upper(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::toupper(c); });
  return out;
}

bool ends_with(std::string_view name, std::string_view part) {
  return name.ends_with(part) || name.ends_with(std::string(part) + ".weight");
}

/// N of "blk.N.", else 0.
uint32_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  uint32_t layer = 0;
  if (name.starts_with(kPrefix))
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer;
}

/// The first and last eighths of the layers, and every third between.
bool deserves_more(uint32_t layer, uint32_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

GgmlType values_type(const Mix& mix, const MixModel& model, uint32_t layer) {
  switch (mix.rules) {
    case Rules::kQ2_K:
      return model.queries_per_key >= 4 ? GgmlType::kQ4_K : GgmlType::kQ3_K;
    case Rules::kQ2_K_S:
      return model.queries_per_key >= 4 ? GgmlType::kQ4_K : mix.base;
    case Rules::kQ3_K_M:
      return layer < 2 ? GgmlType::kQ5_K : GgmlType::kQ4_K;
    case Rules::kQ3_K_L:
      return GgmlType::kQ5_K;
    case Rules::kIQ4:
      return model.queries_per_key >= 4 ? GgmlType::kQ5_K : mix.base;
    case Rules::kQ4_K_M:
    case Rules::kQ5_K_M:
      return deserves_more(layer, model.layers) ? GgmlType::kQ6_K : mix.base;
    case Rules::kQ4_K_S:
      return layer < 4 ? GgmlType::kQ5_K : mix.base;
    default:
      return mix.base;
  }
}

GgmlType down_type(const Mix& mix, const MixModel& model, uint32_t layer) {
  const bool early = layer < model.layers / 8;
  switch (mix.rules) {
    case Rules::kQ2_K:
      return GgmlType::kQ3_K;
    case Rules::kQ2_K_S:
      return early ? GgmlType::kQ4_K : mix.base;
    case Rules::kQ3_K_M:
      return layer < model.layers / 16 ? GgmlType::kQ5_K : GgmlType::kQ4_K;
    case Rules::kQ3_K_L:
      return GgmlType::kQ5_K;
    case Rules::kIQ4:
    case Rules::kQ4_K_S:
      return early ? GgmlType::kQ5_K : mix.base;
    case Rules::kQ4_K_M:
    case Rules::kQ5_K_M:
      return deserves_more(layer, model.layers) ? GgmlType::kQ6_K : mix.base;
    default:
      return mix.base;
  }
}

GgmlType attention_output_type(const Mix& mix) {
  switch (mix.rules) {
    case Rules::kQ2_K:
      return GgmlType::kQ3_K;
    case Rules::kQ3_K_M:
      return GgmlType::kQ4_K;
    case Rules::kQ3_K_L:
      return GgmlType::kQ5_K;
    default:
      return mix.base;
  }
}

/// Queries, keys and values in one matrix.
GgmlType fused_type(const Mix& mix) {
  switch (mix.rules) {
    case Rules::kQ3_K_M:
    case Rules::kQ3_K_L:
      return GgmlType::kQ4_K;
    case Rules::kQ4_K_M:
      return GgmlType::kQ5_K;
    case Rules::kQ5_K_M:
      return GgmlType::kQ6_K;
    default:
      return mix.base;
  }
}

/// The type to take where rows are not whole blocks of `type`.
GgmlType next_larger(GgmlType type) {
  switch (type) {
    case GgmlType::kTQ1_0:
    case GgmlType::kTQ2_0:
      return GgmlType::kQ4_0;
    case GgmlType::kQ2_K:
    case GgmlType::kQ3_K:
    case GgmlType::kIQ4_XS:
      return GgmlType::kIQ4_NL;
    case GgmlType::kQ4_K:
      return GgmlType::kQ5_0;
    case GgmlType::kQ5_K:
      return GgmlType::kQ5_1;
    case GgmlType::kQ6_K:
      return GgmlType::kQ8_0;
    default:
      return GgmlType::kF16;
  }
}

}  // namespace

Mix pure_mix(GgmlType type) {
  const auto found = std::ranges::find(kMixes, type, &Named::base);
  return {formats::ggml_type_name(static_cast<uint32_t>(type)), type, Rules::kPure,
          found == kMixes.end() ? 0 : found->file_type};
}

Result<Mix> mix_from_name(std::string_view name, bool pure) {
  std::string wanted = upper(name);
  if (pure) {
    BANTAM_ASSIGN(GgmlType type, formats::ggml_type_from_name(wanted));
    return pure_mix(type);
  }
  const auto alias =
      std::ranges::find(kAliases, wanted, &std::pair<std::string_view, std::string_view>::first);
  if (alias != kAliases.end()) wanted = alias->second;
  const auto found = std::ranges::find(kMixes, wanted, &Named::name);
  if (found == kMixes.end()) {
    return fail(Code::kInvalidArgument, "tensor type: found \"{}\", expected one of {}", name, mix_names());
  }
  return Mix{std::string(found->name), found->base, found->rules, found->file_type};
}

std::string mix_names() {
  std::string out;
  for (const Named& mix : kMixes) {
    out += out.empty() ? "" : ", ";
    out += mix.name;
  }
  return out;
}

GgmlType wanted_type(const Mix& mix, const MixModel& model, std::string_view name) {
  if (name == "position_embd.weight" || name == "token_types.weight") return GgmlType::kF32;
  if (mix.rules == Rules::kPure) return mix.base;
  const bool embedding = name == "token_embd.weight";
  if (name == "output.weight" || (embedding && !model.has_output)) return GgmlType::kQ6_K;
  if (embedding) return mix.rules == Rules::kTernary ? GgmlType::kQ4_K : mix.base;
  const uint32_t layer = layer_of(name);
  if (ends_with(name, "attn_v")) return values_type(mix, model, layer);
  if (ends_with(name, "ffn_down")) return down_type(mix, model, layer);
  if (ends_with(name, "attn_output")) return attention_output_type(mix);
  if (ends_with(name, "attn_qkv")) return fused_type(mix);
  return mix.base;
}

GgmlType mixed_type(const Mix& mix, const MixModel& model, std::string_view name, uint64_t columns) {
  GgmlType type = wanted_type(mix, model, name);
  const bool head = name == "output.weight" || (name == "token_embd.weight" && !model.has_output);
  if (head && type == GgmlType::kQ6_K && columns % tensor::kSuperBlock != 0) type = GgmlType::kQ8_0;
  while (columns % tensor::block_elements(type) != 0) type = next_larger(type);
  return type;
}

}  // namespace bantam::compress
