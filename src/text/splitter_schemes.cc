#include "text/splitter_schemes.h"

#include <algorithm>

namespace bantam::text {
namespace {

#define BANTAM_CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
// GPT-4's shape; the families differ in how many digits stay together.
#define BANTAM_GPT4(digits)                                  \
  BANTAM_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits \
                      R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
// GPT-4o's: a change from small letters to capitals ends a word. llama.cpp takes all but a-z for capitals and
// the reverse.
#define BANTAM_GPT4O(letters, end, digits)                                                          \
  R"([^\r\n\p{L}\p{N}]?(?:(?=)" letters R"()[^a-z])*(?:(?=)" letters R"()[^A-Z])+)" end             \
  R"(|[^\r\n\p{L}\p{N}]?(?:(?=)" letters R"()[^a-z])+(?:(?=)" letters R"()[^A-Z])*)" end "|" digits \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define BANTAM_CAPITALS R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define BANTAM_SMALL R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define BANTAM_CASED(digits)                                                                     \
  R"([^\r\n\p{L}\p{N}]?)" BANTAM_CAPITALS "*" BANTAM_SMALL "+" BANTAM_CONTRACTIONS               \
  R"(?|[^\r\n\p{L}\p{N}]?)" BANTAM_CAPITALS "+" BANTAM_SMALL "*" BANTAM_CONTRACTIONS "?|" digits \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
// DeepSeek-V3's last stage.
#define BANTAM_DEEPSEEK3(line_ends)                                                                                   \
  R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)" line_ends \
  R"(|\s+(?!\S)|\s+)"

// The letters with case, as DeepSeek's file lists them.
#define BANTAM_CASED_LETTERS                                                                    \
  "A-Za-z"                                                                                      \
  R"(\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"             \
  R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})" \
  R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"       \
  R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"    \
  R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"    \
  R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"              \
  R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"             \
  R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"    \
  R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"      \
  R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"              \
  R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"              \
  R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"     \
  R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"    \
  R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"                 \
  R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"             \
  R"(\x{1E900}-\x{1E943})"

constexpr std::string_view kCjk = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";
constexpr std::string_view kDigitGroups = R"([0-9]{1,3}(?=(?:[0-9]{3})*(?![0-9])))";
constexpr std::string_view kSingleDigits = BANTAM_GPT4(R"(\p{N})");
constexpr std::string_view kTripleDigits = BANTAM_GPT4(R"(\p{N}{1,3})");

const std::vector<SplitScheme>& all_schemes() {
  static const std::vector<SplitScheme> all = {
      {{"gpt-2", "mpt", "phi-2", "olmo", "jais", "trillion", "granite-docling", "exaone4", "jina-es",
        "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe", "gigachat",
        "a.x-4.0", "mellum", "modern-bert"},
       {kGpt2Pattern}},
      {{"default"}, {R"([\p{P}$+<=>^~|]+)", kGpt2Pattern, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {{"falcon"}, {R"([\p{P}$+<=>^~|`]+)", kGpt2Pattern, "[0-9][0-9][0-9]"}},
      {{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
       {R"(\p{N})", kGpt2Pattern}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {kTripleDigits},
       true,
       true},
      {{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, {kTripleDigits}},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open",
        "grok-2"},
       {kSingleDigits}},
      {{"qwen35"},
       {BANTAM_CONTRACTIONS
        R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {{"laguna"}, {R"([^\n]+|[\n]+)", kSingleDigits}},
      {{"minicpm5"}, {R"(\p{N}{1,3})", BANTAM_GPT4(R"(\p{N}+)")}, true},
      {{"jais-2"},
       {BANTAM_CONTRACTIONS
        R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S))"
        R"(|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"},
       {R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
        R"(|\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {{"seed-coder"},
       {BANTAM_CONTRACTIONS
        R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {{"ufakzeka"},
       {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {{"exaone-moe"},
       {BANTAM_CONTRACTIONS
        R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {{"deepseek-llm"},
       {R"([\r\n])", R"(\s?[)" BANTAM_CASED_LETTERS R"(]+)",
        R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)", R"(\s+\z)",
        R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)", R"(\p{N}+)"}},
      {{"deepseek-coder"},
       {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
        R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)", R"(\p{N})"}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy-v4"},
       {R"(\p{N}{1,3})", kCjk, BANTAM_DEEPSEEK3(R"([\r\n]*|\s*[\r\n]+)")}},
      {{"spark2_5"}, {R"(\p{N}{1,3})", kCjk, BANTAM_DEEPSEEK3(R"(|[\r\n])"), R"(\p{N})"}},
      {{"afmoe"},
       {R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))",
        R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F}\x{2F00}-\x{2FDF})"
        R"(\x{E40}-\x{E7F}\x{E80}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)",
        BANTAM_DEEPSEEK3(R"([\r\n]*|\s*[\r\n]+)")}},
      {{"youtu"},
       {R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+)"
        R"(|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)"
        "+",
        BANTAM_CASED(R"(\p{N})")},
       true},
      {{"tekken"}, {BANTAM_GPT4O(R"([\p{L}])", "", R"(\p{N})")}, true, true},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
       {BANTAM_GPT4O(R"([\p{L}])", BANTAM_CONTRACTIONS "?", R"(\p{N}{1,3})")}},
      {{"granite-embed-multi-97m"},
       {BANTAM_GPT4O(R"([\p{L}\p{M}])", BANTAM_CONTRACTIONS "?", R"(\p{N}{1,3})")},
       true},
      {{"tiny_aya", "cohere2moe"},
       {R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))", BANTAM_CASED(R"(\p{N}{1,3})")}},
      {{"kimi-k2"},
       {R"(\p{Han}+|[^\r\n\p{L}\p{N}]?(?:(?!\p{Han})\p{L})+)" BANTAM_CONTRACTIONS
        R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {{"superbpe"}, {R"(\p{N}+)", kDigitGroups}},
      {{"poro-chat", "bloom", "gpt3-finnish"},
       {R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"}},
      {{"viking"}, {R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)", R"(\p{N})"}},
      {{"chameleon"},
       {"<sentinel:[0-9]+>", "IMGIMG(?:A|B|C|D|E|F|G|H|I){1,4}Z", R"([\t\n]|    |  )", R"(\p{N})",
        R"([\p{P}!-/:-@\[-`{-~])", kGpt2Pattern},
       false,
       true},
  };
  return all;
}

}  // namespace

const SplitScheme* find_split_scheme(std::string_view name) {
  for (const auto& scheme : all_schemes()) {
    if (std::ranges::find(scheme.names, name) != scheme.names.end()) return &scheme;
  }
  return nullptr;
}

std::span<const SplitScheme> split_schemes() { return all_schemes(); }

}  // namespace bantam::text
