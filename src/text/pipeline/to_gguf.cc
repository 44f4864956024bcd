#include "text/pipeline/to_gguf.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "formats/json.h"
#include "text/byte_level.h"
#include "text/pipeline/base64.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/stage_json.h"
#include "text/special_tokens.h"
#include "text/splitter.h"
#include "text/splitter_schemes.h"

namespace bantam::text {
namespace {

using Json = nlohmann::json;

/// Texts on which the known splitters differ from each other.
constexpr std::string_view kProbes[] = {
    "Hello world",
    " Hello  world ",
    "\n\n x\n",
    "\t\tx \r\n y",
    "1 12 123 1234 12345678",
    "1,234.50 \xE2\x82\xAC",
    "I'm you're WE'LL don'T",
    "getUserName iPhone HTTPServer",
    "e\xCC\x81 caf\xC3\xA9 na\xC3\xAFve",
    "\xE4\xBD\xA0\xE5\xA5\xBD\xEF\xBC\x8C\xE4\xB8\x96\xE7\x95\x8C\xEF\xBC\x81",
    "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x81\xA8\xE3\x82\xAB\xE3\x82\xBF",
    "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4",
    "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82",
    "\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87",
    "\xD9\xA1\xD9\xA2\xD9\xA3 \xC2\xBD \xC2\xB2",
    "\xF0\x9F\x98\x80\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA",
    "!!! ... --- ??\n",
    "$100+50%~x^2|y`",
    "(a)[b]{c}<d>/e",
    "foo_bar-baz/qux.cc\n\n",
    "  if (x==1) {\n    return;\n  }\n",
    "a\xC2\xA0"
    "b\xE3\x80\x80"
    "c",
    "x.\n\ny",
    "\xEF\xAC\x81 \xE2\x85\xA7 \xE2\x91\xA0",
    "'s 'S a's",
    "  \n  \n"};

struct Vocabulary {
  TokenList list;
  std::vector<AddedToken> added;
};

/// All tokens by id, holes as unused ones.
Vocabulary vocabulary_of(const PipelineTokenizer& tokenizer, size_t size) {
  Vocabulary out;
  size = std::max(size, tokenizer.vocab_size());
  out.added = tokenizer.parts().added;
  for (size_t id = 0; id < size; ++id) {
    const std::string_view text = tokenizer.stored(static_cast<TokenId>(id));
    out.list.texts.push_back(text.empty() ? fmt::format("[PAD{}]", id) : std::string(text));
    out.list.types.push_back(text.empty() ? TokenType::kUnused : TokenType::kNormal);
  }
  for (const auto& token : out.added)
    out.list.types[static_cast<size_t>(token.id)] =
        token.special ? TokenType::kControl : TokenType::kUserDefined;
  return out;
}

/// What tokenizer_config.json gives a token's text by: a text, or an object with "content".
std::string role_text(const Json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string())
    return (*found)["content"].get<std::string>();
  return {};
}

void write_roles(const PipelineTokenizer& tokenizer, const Json& config, formats::GgufWriter& file) {
  auto id_of = [&](const char* key) -> std::optional<TokenId> {
    const std::string text = role_text(config, key);
    return text.empty() ? std::nullopt : tokenizer.find(text);
  };
  TokenRoles roles;
  roles.bos = id_of("bos_token");
  roles.eos = id_of("eos_token");
  if (!roles.bos) roles.bos = id_of("cls_token");  // BERT's names
  if (!roles.eos) roles.eos = id_of("sep_token");
  roles.padding = id_of("pad_token");
  roles.unknown = id_of("unk_token");
  if (!roles.bos) roles.bos = tokenizer.bos();
  if (!roles.eos) roles.eos = tokenizer.eos();
  const auto& parts = tokenizer.parts();
  if (!roles.eos && !parts.suffix.empty()) roles.eos = parts.suffix[0];  // BERT's separator
  auto flag = [&](const char* key, bool fallback) {
    const auto found = config.find(key);
    return found != config.end() && found->is_boolean() ? found->get<bool>() : fallback;
  };
  roles.add_bos = roles.bos && flag("add_bos_token", !parts.prefix.empty() && parts.prefix[0] == *roles.bos);
  roles.add_eos = roles.eos && flag("add_eos_token", !parts.suffix.empty() && parts.suffix[0] == *roles.eos);
  roles.save(file);
}

/// The words of `text` as the pipeline's pre-tokenizer cuts it, in bytes.
Result<std::vector<std::string>> words_of(const PipelineTokenizer& tokenizer, std::string_view text) {
  PreTokens words{{std::string(text)}, true};
  BANTAM_TRY(tokenizer.parts().pre_tokenizer(words));
  for (auto& word : words.words) word = text_to_bytes(word).value_or(word);
  return std::move(words.words);
}

Result<std::string> find_pre(const PipelineTokenizer& tokenizer, bool ignore_merges,
                             const std::string& name) {
  for (const auto& scheme : split_schemes()) {
    if (scheme.whole_words_first != ignore_merges) continue;
    BANTAM_ASSIGN(const Splitter splitter, Splitter::create(scheme.names[0]));
    bool same = true;
    for (std::string_view probe : kProbes) {
      std::vector<std::string> ours;
      BANTAM_TRY(splitter.split(probe, [&](std::string_view piece) { ours.emplace_back(piece); }));
      BANTAM_ASSIGN(const auto theirs, words_of(tokenizer, probe));
      same = same && ours == theirs;
    }
    if (same) return std::string(scheme.names[0]);
  }
  return fail(Code::kUnsupported, "{}: pre_tokenizer: found a way to split that no tokenizer.ggml.pre names",
              name);
}

std::vector<std::string> read_merges(const Json& model) {
  std::vector<std::string> out;
  for (const auto& merge : model["merges"])
    out.push_back(merge.is_string() ? merge.get<std::string>()
                                    : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  return out;
}

Status byte_level_keys(const PipelineTokenizer& tokenizer, const Json& model, Vocabulary vocabulary,
                       const std::string& name, formats::GgufWriter& file) {
  BANTAM_ASSIGN(const bool ignore_merges, json_bool(model, "ignore_merges", false));
  BANTAM_ASSIGN(const std::string pre, find_pre(tokenizer, ignore_merges, name));
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", pre);
  save_tokens(std::move(vocabulary.list), file);
  file.set("tokenizer.ggml.merges", formats::GgufArray(read_merges(model)));
  return {};
}

/// SentencePiece's BPE: a token's score is the negative rank of the first merge that makes it.
Status score_keys(const PipelineTokenizer& tokenizer, const Json& model, Vocabulary vocabulary,
                  formats::GgufWriter& file) {
  std::unordered_map<std::string, float> ranks;
  float rank = 0;
  for (const auto& merge : read_merges(model)) {
    const size_t blank = merge.find(' ');
    ranks.emplace(merge.substr(0, blank) + merge.substr(blank + 1), -(rank += 1));
  }
  std::vector<float> scores;
  for (size_t i = 0; i < vocabulary.list.texts.size(); ++i) {
    const std::string& text = vocabulary.list.texts[i];
    if (byte_token_value(text) >= 0) vocabulary.list.types[i] = TokenType::kByte;
    const auto found = ranks.find(text);
    scores.push_back(found == ranks.end() ? -1e9F : found->second);
  }
  // "a" encodes to "▁a" where a space is put before the text.
  const auto with = tokenizer.encode("a", {.add_special = false}),
             without = tokenizer.encode(" a", {.add_special = false});
  file.set("tokenizer.ggml.model", "llama");
  file.set("tokenizer.ggml.pre", "default");
  save_tokens(std::move(vocabulary.list), file);
  file.set("tokenizer.ggml.scores", formats::GgufArray(std::move(scores)));
  const bool prefix = with && !with->empty() && tokenizer.stored(with->front()).starts_with(kBlank);
  file.set("tokenizer.ggml.add_space_prefix", prefix);
  return {};
}

/// The member of `object`, or null where it has none.
const Json* member(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

bool is_text(const Json* value, std::string_view text) {
  return value != nullptr && value->is_string() && value->get_ref<const std::string&>() == text;
}

/// The stage of that type, alone or the first in sequences, or null.
const Json* stage_of(const Json& json, std::string_view key, std::string_view list, std::string_view type) {
  const Json* stage = member(json, key);
  if (stage == nullptr || !stage->is_object()) return nullptr;
  if (is_text(member(*stage, "type"), type)) return stage;
  const Json* items = member(*stage, list);
  if (items == nullptr || !items->is_array()) return nullptr;
  for (const Json& item : *items) {
    if (item.is_object() && is_text(member(item, "type"), type)) return &item;
  }
  return nullptr;
}

/// What stands before the unigram model, as far as GGUF has keys for it.
void unigram_stages(const Json& json, formats::GgufWriter& file) {
  const Json* map = stage_of(json, "normalizer", "normalizers", "Precompiled");
  const Json* encoded = map == nullptr ? nullptr : member(*map, "precompiled_charsmap");
  if (encoded != nullptr && encoded->is_string()) {
    const auto blob = from_base64(encoded->get_ref<const std::string&>());
    if (blob && !blob->empty())
      file.set("tokenizer.ggml.precompiled_charsmap",
               formats::GgufArray(std::vector<uint8_t>(blob->begin(), blob->end())));
  }
  const Json* mark = stage_of(json, "pre_tokenizer", "pretokenizers", "Metaspace");
  file.set("tokenizer.ggml.add_space_prefix", mark == nullptr || !is_text(member(*mark, "prepend_scheme"), "never"));
  const bool merges_spaces = stage_of(json, "pre_tokenizer", "pretokenizers", "WhitespaceSplit") != nullptr ||
                             stage_of(json, "normalizer", "normalizers", "Strip") != nullptr ||
                             stage_of(json, "normalizer", "normalizers", "Replace") != nullptr;
  file.set("tokenizer.ggml.remove_extra_whitespaces", merges_spaces);
}

Status unigram_keys(const Json& json, Vocabulary vocabulary, formats::GgufWriter& file) {
  const Json& model = json["model"];
  std::vector<float> scores(vocabulary.list.texts.size(), 0);
  for (size_t i = 0; i < model["vocab"].size() && i < scores.size(); ++i)
    scores[i] = static_cast<float>(model["vocab"][i][1].get<double>());
  BANTAM_ASSIGN(const int64_t unknown, json_int(model, "unk_id", -1));
  if (unknown >= 0) {
    vocabulary.list.types[static_cast<size_t>(unknown)] = TokenType::kUnknown;
    file.set("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(unknown));
  }
  file.set("tokenizer.ggml.model", "t5");
  file.set("tokenizer.ggml.pre", "default");
  save_tokens(std::move(vocabulary.list), file);
  file.set("tokenizer.ggml.scores", formats::GgufArray(std::move(scores)));
  unigram_stages(json, file);
  return {};
}

Status word_piece_keys(const PipelineTokenizer& tokenizer, const Json& json, Vocabulary vocabulary,
                       formats::GgufWriter& file) {
  const Json& model = json["model"];
  if (const Json* normalizer = stage_of(json, "normalizer", "normalizers", "BertNormalizer")) {
    BANTAM_ASSIGN(const bool lower, json_bool(*normalizer, "lowercase", true));
    BANTAM_ASSIGN(const bool strip, json_bool(*normalizer, "strip_accents", lower));
    if (!lower) file.set("tokenizer.ggml.normalizer.lowercase", lower);
    if (!strip) file.set("tokenizer.ggml.normalizer.strip_accents", strip);
  }
  BANTAM_ASSIGN(const std::string prefix, json_string(model, "continuing_subword_prefix", "##"));
  BANTAM_ASSIGN(const std::string unknown, json_string(model, "unk_token", "[UNK]"));
  for (size_t i = 0; i < vocabulary.list.texts.size(); ++i) {
    if (vocabulary.list.types[i] != TokenType::kNormal) continue;
    std::string& text = vocabulary.list.texts[i];
    text = text.starts_with(prefix) ? text.substr(prefix.size()) : std::string(kBlank) + text;
  }
  file.set("tokenizer.ggml.model", "bert");
  file.set("tokenizer.ggml.pre", "default");
  save_tokens(std::move(vocabulary.list), file);
  if (const auto id = tokenizer.find(unknown))
    file.set("tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(*id));
  const auto& parts = tokenizer.parts();
  if (!parts.suffix.empty())
    file.set("tokenizer.ggml.seperator_token_id", static_cast<uint32_t>(parts.suffix[0]));
  return {};
}

}  // namespace

Result<GgufVocabulary> tokenizer_json_to_gguf(std::string_view text, const Json& config,
                                              const std::string& name, size_t vocab_size,
                                              formats::GgufWriter& file) {
  BANTAM_ASSIGN(const Json json, formats::parse_json(text, name));
  GgufVocabulary out;
  BANTAM_ASSIGN(out.original, pipeline_from_json(json, name));  // checks what is read without care below
  const auto& tokenizer = out.original;
  auto& notes = out.notes;
  const Json& model = json["model"];
  Vocabulary vocabulary = vocabulary_of(*tokenizer, vocab_size);
  const bool byte_level = stage_of(json, "decoder", "decoders", "ByteLevel") != nullptr;
  const bool merges = model.contains("merges");
  if (merges && byte_level && tokenizer->parts().pre_tokenizer) {
    BANTAM_TRY(byte_level_keys(*tokenizer, model, std::move(vocabulary), name, file));
    if (tokenizer->parts().normalizer)
      notes.emplace_back("the tokenizer's normaliser has no GGUF key: texts are taken as they are");
  } else if (merges && tokenizer->parts().model->vocabulary().find("<0x0A>")) {
    BANTAM_TRY(score_keys(*tokenizer, model, std::move(vocabulary), file));
  } else if (model["vocab"].is_array()) {
    BANTAM_TRY(unigram_keys(json, std::move(vocabulary), file));
  } else if (!merges && model.contains("continuing_subword_prefix")) {
    BANTAM_TRY(word_piece_keys(*tokenizer, json, std::move(vocabulary), file));
  } else {
    return fail(
        Code::kUnsupported,
        "{}: model: found one that GGUF has no form for, expected byte-level BPE, BPE with byte fallback, "
        "unigram or WordPiece",
        name);
  }
  write_roles(*tokenizer, config, file);
  if (std::ranges::any_of(tokenizer->parts().added,
                          [](const AddedToken& t) { return t.strip_left || t.strip_right || t.single_word; }))
    notes.emplace_back(
        "some added tokens take white space along or stand alone only: GGUF has no key for that");
  return out;
}

std::optional<std::string> first_difference(const Tokenizer& a, const Tokenizer& b) {
  for (std::string_view probe : kProbes) {
    const auto x = a.encode(probe, {.add_special = false}), y = b.encode(probe, {.add_special = false});
    if (!x || !y || *x != *y) return std::string(probe);
  }
  return std::nullopt;
}

}  // namespace bantam::text
