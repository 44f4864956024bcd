// The GGUF vocabularies that are pipelines: BERT's word pieces and SentencePiece's unigram model.

#include <limits>

#include "text/pipeline/charsmap.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/unicode.h"
#include "text/special_tokens.h"

namespace bantam::text {
namespace {

/// Tokens that text does not spell, as added ones.
void add_special(const TokenList& list, PipelineParts& parts) {
  for (size_t i = 0; i < list.texts.size(); ++i) {
    const TokenType type = list.types[i];
    if (type != TokenType::kControl && type != TokenType::kUserDefined && type != TokenType::kUnknown)
      continue;
    parts.added.push_back(
        {.text = list.texts[i], .id = static_cast<TokenId>(i), .special = type != TokenType::kUserDefined});
  }
}

std::vector<std::pair<std::string, int64_t>> numbered(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, int64_t>> out;
  for (size_t i = 0; i < texts.size(); ++i) out.emplace_back(texts[i], static_cast<int64_t>(i));
  return out;
}

std::unexpected<Error> named(Error error, const formats::GgufFile& file) {
  return std::unexpected(std::move(error).in(file.path()));
}

void apply_roles(const TokenRoles& roles, PipelineParts& parts) {
  parts.bos = roles.bos;
  parts.eos = roles.eos;
  if (roles.eot) parts.ends.push_back(*roles.eot);
  if (roles.eom) parts.ends.push_back(*roles.eom);
  parts.ends.insert(parts.ends.end(), roles.more_ends.begin(), roles.more_ends.end());
  if (roles.add_bos && roles.bos) parts.prefix.push_back(*roles.bos);
  if (roles.add_eos && roles.eos) parts.suffix.push_back(*roles.eos);
}

}  // namespace

Result<std::unique_ptr<PipelineTokenizer>> word_piece_from_gguf(const formats::GgufFile& file) {
  BANTAM_ASSIGN(TokenList list, read_tokens(file));
  TokenRoles roles;  // BERT's own ids where the file names none
  roles.bos = 101;
  roles.eos = 102;
  roles.unknown = 100;
  roles.padding = 0;
  // The separator ends a text; older files misspell its key.
  for (const char* key : {"tokenizer.ggml.separator_token_id", "tokenizer.ggml.seperator_token_id"}) {
    BANTAM_ASSIGN(const uint64_t id, file.get_uint_or(key, static_cast<uint64_t>(*roles.eos)));
    if (id < list.texts.size()) roles.eos = static_cast<TokenId>(id);
  }
  roles.add_bos = roles.add_eos = list.texts.size() > 102;
  BANTAM_TRY(roles.read(file, list.texts.size()));
  PipelineParts parts;
  add_special(list, parts);
  // "▁word" begins a word and "ing" goes on with one: as "word" and "##ing" in the original.
  std::vector<std::string> texts = list.texts;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (list.types[i] == TokenType::kControl || list.types[i] == TokenType::kUnknown) continue;
    texts[i] = texts[i].starts_with(kBlank) ? texts[i].substr(kBlank.size()) : "##" + texts[i];
  }
  BANTAM_ASSIGN(
      BertNormalizerOptions options, ([&]() -> Result<BertNormalizerOptions> {
        BertNormalizerOptions out;
        BANTAM_ASSIGN(out.lower_case, file.get_bool_or("tokenizer.ggml.normalizer.lowercase", true));
        BANTAM_ASSIGN(out.strip_accents, file.get_bool_or("tokenizer.ggml.normalizer.strip_accents", true));
        return out;
      }()));
  parts.normalizer = [options](std::string& text) -> Status {
    bert_normalize(text, options);
    return {};
  };
  parts.pre_tokenizer = [](PreTokens& text) -> Status {
    std::vector<std::string> out;
    for (const auto& word : text.words) bert_split(word, out);
    text.words = std::move(out);
    return {};
  };
  parts.decoder = [](std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i].starts_with("##")) {
        tokens[i].erase(0, 2);
      } else if (i > 0) {
        tokens[i].insert(0, " ");
      }
    }
  };
  if (!roles.unknown)
    return fail(Code::kCorrupt, "{}: tokenizer.ggml.unknown_token_id: found none, expected one", file.path());
  const std::string unknown = texts[static_cast<size_t>(*roles.unknown)];
  apply_roles(roles, parts);
  auto vocabulary = WordVocabulary::create(numbered(texts));
  if (!vocabulary) return named(std::move(vocabulary).error(), file);
  auto model =
      make_word_piece_model(std::move(*vocabulary), unknown, "##", std::numeric_limits<size_t>::max());
  if (!model) return named(std::move(model).error(), file);
  parts.model = std::move(*model);
  BANTAM_ASSIGN(auto out, PipelineTokenizer::create(std::move(parts)));
  out->keep_keys(file);
  return out;
}

Result<std::unique_ptr<PipelineTokenizer>> unigram_from_gguf(const formats::GgufFile& file) {
  BANTAM_ASSIGN(TokenList list, read_tokens(file));
  TokenRoles roles;  // T5's own ids where the file names none
  roles.eos = 1;
  roles.unknown = 2;
  roles.padding = 0;
  roles.add_eos = list.texts.size() > 1;
  BANTAM_TRY(roles.read(file, list.texts.size()));
  BANTAM_ASSIGN(auto scores, file.get_floats("tokenizer.ggml.scores"));
  if (scores.size() != list.texts.size())
    return fail(Code::kCorrupt,
                "{}: tokenizer.ggml.scores: found {} entries, expected {}, one for each token", file.path(),
                scores.size(), list.texts.size());
  PipelineParts parts;
  add_special(list, parts);
  for (size_t i = 0; i < scores.size(); ++i) {
    if (list.types[i] == TokenType::kUserDefined) scores[i] = 0;
    const bool used = list.types[i] == TokenType::kNormal || list.types[i] == TokenType::kUserDefined ||
                      list.types[i] == TokenType::kUnused;
    if (!used) scores[i] = -std::numeric_limits<float>::infinity();
  }
  BANTAM_ASSIGN(const bool add_prefix, file.get_bool_or("tokenizer.ggml.add_space_prefix", true));
  BANTAM_ASSIGN(const bool merge_spaces, file.get_bool_or("tokenizer.ggml.remove_extra_whitespaces", true));
  std::shared_ptr<const CharsMap> map;
  if (const auto* value = file.find("tokenizer.ggml.precompiled_charsmap")) {
    BANTAM_ASSIGN(const auto bytes, file.get_ints("tokenizer.ggml.precompiled_charsmap"));
    std::string blob;
    for (int64_t byte : bytes) blob += static_cast<char>(byte);
    auto parsed = CharsMap::parse(blob);
    if (!parsed) return named(std::move(parsed).error(), file);
    map = std::make_shared<const CharsMap>(std::move(*parsed));
    (void)value;
  }
  parts.normalizer = [map, merge_spaces](std::string& text) -> Status {
    if (map != nullptr) text = map->normalized(text);
    if (!merge_spaces) return {};
    std::string out;
    for (char c : text) {
      if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    }
    while (out.ends_with(' ')) out.pop_back();
    text = std::move(out);
    return {};
  };
  MetaspaceOptions options;
  options.prepend = add_prefix ? MetaspaceOptions::Prepend::kAlways : MetaspaceOptions::Prepend::kNever;
  options.split = false;
  parts.pre_tokenizer = [options](PreTokens& text) -> Status {
    metaspace(text, options);
    return {};
  };
  parts.decoder = [add_prefix](std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool drop = i == 0 && add_prefix && tokens[i].starts_with(kBlank);
      tokens[i] = replace_all(tokens[i], kBlank, " ");
      if (drop) tokens[i].erase(0, 1);
    }
  };
  apply_roles(roles, parts);
  auto vocabulary = WordVocabulary::create(numbered(list.texts));
  if (!vocabulary) return named(std::move(vocabulary).error(), file);
  auto model = make_unigram_model(std::move(*vocabulary), std::move(scores), roles.unknown, false);
  if (!model) return named(std::move(model).error(), file);
  parts.model = std::move(*model);
  BANTAM_ASSIGN(auto out, PipelineTokenizer::create(std::move(parts)));
  out->keep_keys(file);
  return out;
}

}  // namespace bantam::text
