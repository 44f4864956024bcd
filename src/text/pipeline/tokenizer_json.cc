// tokenizer.json: the model, the added tokens and the post-processor; the other stages are in stage_json.cc.

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "formats/json.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/stage_json.h"

namespace bantam::text {
namespace {

using Json = nlohmann::json;

const Json& field(const Json& object, const char* key) {
  static const Json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

Result<WordVocabulary> word_vocabulary(const Json& model) {
  const Json& vocab = field(model, "vocab");
  if (!vocab.is_object() || vocab.empty())
    return fail(Code::kCorrupt, "model.vocab: found no object of tokens, expected one");
  std::vector<std::pair<std::string, int64_t>> tokens;
  tokens.reserve(vocab.size());
  for (const auto& [text, id] : vocab.items()) {
    if (!id.is_number_integer())
      return fail(Code::kCorrupt, "model.vocab: found another kind of value for \"{}\", expected its id",
                  text);
    tokens.emplace_back(
        text, id.is_number_unsigned() && id.get<uint64_t>() > INT32_MAX ? INT64_MAX : id.get<int64_t>());
  }
  return WordVocabulary::create(std::move(tokens));
}

/// Where "left right" is to be cut. Tokens may hold blanks themselves: then where both sides and the whole
/// are tokens.
std::optional<size_t> merge_blank(const WordVocabulary& vocabulary, std::string_view text) {
  const size_t first = text.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  if (text.find(' ', first + 1) == std::string_view::npos) return first;
  for (size_t at = first; at != std::string_view::npos; at = text.find(' ', at + 1)) {
    const std::string_view left = text.substr(0, at), right = text.substr(at + 1);
    if (vocabulary.find(left) && vocabulary.find(right) && vocabulary.find(std::string(left).append(right)))
      return at;
  }
  return std::nullopt;
}

Result<std::unique_ptr<WordModel>> bpe_model(const Json& model) {
  BANTAM_ASSIGN(WordVocabulary vocabulary, word_vocabulary(model));
  BpeModelOptions options;
  const Json& merges = field(model, "merges");
  if (!merges.is_array()) return fail(Code::kCorrupt, "model.merges: found no list, expected one");
  options.merges.reserve(merges.size());
  for (const auto& merge : merges) {
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const auto blank = merge_blank(vocabulary, text);
      if (!blank) return fail(Code::kCorrupt, "model.merges: found \"{}\", expected two tokens", text);
      options.merges.emplace_back(text.substr(0, *blank), text.substr(*blank + 1));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      options.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      return fail(Code::kCorrupt, "model.merges: found an item that is not two tokens");
    }
  }
  BANTAM_ASSIGN(const std::string unknown, json_string(model, "unk_token", ""));
  if (!unknown.empty()) options.unknown = unknown;
  BANTAM_ASSIGN(options.continuing_prefix, json_string(model, "continuing_subword_prefix", ""));
  BANTAM_ASSIGN(options.word_suffix, json_string(model, "end_of_word_suffix", ""));
  BANTAM_ASSIGN(options.fuse_unknown, json_bool(model, "fuse_unk", false));
  BANTAM_ASSIGN(options.byte_fallback, json_bool(model, "byte_fallback", false));
  BANTAM_ASSIGN(options.ignore_merges, json_bool(model, "ignore_merges", false));
  return make_bpe_model(std::move(vocabulary), options);
}

Result<std::unique_ptr<WordModel>> unigram_model(const Json& model) {
  const Json& vocab = field(model, "vocab");
  if (!vocab.is_array() || vocab.empty())
    return fail(Code::kCorrupt, "model.vocab: found no list of tokens, expected one");
  std::vector<std::pair<std::string, int64_t>> tokens;
  std::vector<float> scores;
  for (const auto& item : vocab) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_number())
      return fail(Code::kCorrupt, "model.vocab: found item {} that is not a token and its score",
                  tokens.size());
    tokens.emplace_back(item[0].get<std::string>(), static_cast<int64_t>(tokens.size()));
    scores.push_back(static_cast<float>(item[1].get<double>()));
  }
  BANTAM_ASSIGN(const int64_t unknown, json_int(model, "unk_id", -1));
  if (unknown >= static_cast<int64_t>(tokens.size()))
    return fail(Code::kCorrupt, "model.unk_id: found {}, expected an id below {}", unknown, tokens.size());
  if (unknown >= 0) scores[static_cast<size_t>(unknown)] = -std::numeric_limits<float>::infinity();
  BANTAM_ASSIGN(const bool byte_fallback, json_bool(model, "byte_fallback", false));
  BANTAM_ASSIGN(WordVocabulary vocabulary, WordVocabulary::create(std::move(tokens)));
  return make_unigram_model(std::move(vocabulary), std::move(scores),
                            unknown >= 0 ? std::optional(static_cast<TokenId>(unknown)) : std::nullopt,
                            byte_fallback);
}

Result<std::unique_ptr<WordModel>> word_model(const Json& model) {
  if (!model.is_object()) return fail(Code::kCorrupt, "model: found no object, expected one");
  // Old files name no type: their shape tells it.
  const char* guess = field(model, "merges").is_array()                       ? "BPE"
                      : field(model, "vocab").is_array()                      ? "Unigram"
                      : field(model, "continuing_subword_prefix").is_string() ? "WordPiece"
                                                                              : "WordLevel";
  BANTAM_ASSIGN(const std::string type, json_string(model, "type", guess));
  if (type == "BPE") return bpe_model(model);
  if (type == "Unigram") return unigram_model(model);
  if (type != "WordPiece" && type != "WordLevel")
    return fail(Code::kUnsupported, "model.type: found \"{}\", expected BPE, Unigram, WordPiece or WordLevel",
                type);
  BANTAM_ASSIGN(WordVocabulary vocabulary, word_vocabulary(model));
  BANTAM_ASSIGN(std::string unknown, json_string(model, "unk_token", "[UNK]"));
  if (type == "WordLevel") return make_word_level_model(std::move(vocabulary), std::move(unknown));
  BANTAM_ASSIGN(std::string prefix, json_string(model, "continuing_subword_prefix", "##"));
  BANTAM_ASSIGN(const int64_t longest, json_int(model, "max_input_chars_per_word", 100));
  return make_word_piece_model(std::move(vocabulary), std::move(unknown), std::move(prefix),
                               static_cast<size_t>(std::max<int64_t>(longest, 0)));
}

Status read_added(const Json& json, PipelineParts& parts) {
  if (json.is_null()) return {};
  if (!json.is_array()) return fail(Code::kCorrupt, "added_tokens: found no list, expected one");
  for (const auto& item : json) {
    if (!item.is_object()) return fail(Code::kCorrupt, "added_tokens: found an item that is no object");
    AddedToken token;
    BANTAM_ASSIGN(token.text, json_string(item, "content"));
    BANTAM_ASSIGN(const int64_t id, json_int(item, "id", -1));
    if (id < 0 || id >= (1 << 24))
      return fail(Code::kCorrupt, "added_tokens: found id {} for \"{}\", expected one below 2^24", id,
                  token.text);
    token.id = static_cast<TokenId>(id);
    BANTAM_ASSIGN(token.special, json_bool(item, "special", false));
    BANTAM_ASSIGN(token.single_word, json_bool(item, "single_word", false));
    BANTAM_ASSIGN(token.strip_left, json_bool(item, "lstrip", false));
    BANTAM_ASSIGN(token.strip_right, json_bool(item, "rstrip", false));
    BANTAM_ASSIGN(token.normalized, json_bool(item, "normalized", !token.special));
    parts.added.push_back(std::move(token));
  }
  return {};
}

std::optional<TokenId> id_of(const PipelineParts& parts, std::string_view text) {
  for (const auto& token : parts.added) {
    if (token.text == text) return token.id;
  }
  return parts.model->vocabulary().find(text);
}

/// The template's special tokens before and behind the text.
Status read_template(const Json& json, PipelineParts& parts) {
  const Json& single = field(json, "single");
  if (!single.is_array()) return fail(Code::kCorrupt, "post_processor.single: found no list, expected one");
  bool behind = false;
  for (const auto& item : single) {
    if (!item.is_object())
      return fail(Code::kCorrupt, "post_processor.single: found an item that is no object");
    if (item.contains("Sequence")) {
      behind = true;
      continue;
    }
    const Json& special = field(item, "SpecialToken");
    if (!special.is_object()) continue;
    BANTAM_ASSIGN(const std::string name, json_string(special, "id"));
    const Json& tokens = field(json, "special_tokens");
    const Json& entry = tokens.is_object() ? field(tokens, name.c_str()) : tokens;
    const Json& ids = entry.is_object() ? field(entry, "ids") : entry;
    if (!ids.is_array())
      return fail(Code::kCorrupt, "post_processor.special_tokens: found no ids of \"{}\", expected some",
                  name);
    for (const auto& id : ids) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= (1 << 24))
        return fail(Code::kCorrupt, "post_processor.special_tokens: found an id of \"{}\" that is none",
                    name);
      (behind ? parts.suffix : parts.prefix).push_back(static_cast<TokenId>(id.get<int64_t>()));
    }
  }
  return {};
}

Status read_pair(const Json& json, const char* key, std::vector<TokenId>& out, size_t words) {
  const Json& pair = field(json, key);
  if (!pair.is_array() || pair.size() != 2 || !pair[1].is_number_integer())
    return fail(Code::kCorrupt, "post_processor.{}: found no token and id, expected both", key);
  const auto id = pair[1].get<int64_t>();
  if (id < 0 || id >= static_cast<int64_t>(words) + 65536)
    return fail(Code::kCorrupt, "post_processor.{}: found id {}", key, id);
  out.push_back(static_cast<TokenId>(id));
  return {};
}

Status read_post_processor(const Json& json, PipelineParts& parts, size_t depth) {
  if (json.is_null()) return {};
  if (!json.is_object()) return fail(Code::kCorrupt, "post_processor: found no object, expected one");
  BANTAM_ASSIGN(const std::string type, json_string(json, "type"));
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return read_template(json, parts);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    BANTAM_TRY(read_pair(json, "cls", parts.prefix, parts.model->vocabulary().size()));
    return read_pair(json, "sep", parts.suffix, parts.model->vocabulary().size());
  }
  if (type == "Sequence") {
    const Json& list = field(json, "processors");
    if (!list.is_array() || depth > 16)
      return fail(Code::kCorrupt, "post_processor.processors: found no list, expected one");
    for (const auto& item : list) BANTAM_TRY(read_post_processor(item, parts, depth + 1));
    return {};
  }
  return fail(Code::kUnsupported,
              "post_processor: found the type \"{}\", expected TemplateProcessing, BertProcessing, "
              "RobertaProcessing, "
              "ByteLevel or Sequence",
              type);
}

/// tokenizer_config.json says which tokens these are; without it, the post-processor and well-known names do.
void guess_roles(PipelineParts& parts) {
  if (!parts.prefix.empty()) parts.bos = parts.prefix.front();
  for (const char* name : {"<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>"}) {
    if (!parts.bos) parts.bos = id_of(parts, name);
  }
  for (const char* name : {"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>"}) {
    if (!parts.eos) parts.eos = id_of(parts, name);
  }
}

Result<PipelineParts> read_parts(const Json& json) {
  PipelineParts parts;
  BANTAM_ASSIGN(parts.model, word_model(field(json, "model")));
  BANTAM_TRY(read_added(field(json, "added_tokens"), parts));
  BANTAM_ASSIGN(parts.normalizer, normalizer_from_json(field(json, "normalizer")));
  BANTAM_ASSIGN(parts.pre_tokenizer, pre_tokenizer_from_json(field(json, "pre_tokenizer")));
  BANTAM_TRY(read_post_processor(field(json, "post_processor"), parts, 0));
  BANTAM_ASSIGN(parts.decoder, decoder_from_json(field(json, "decoder")));
  guess_roles(parts);
  return parts;
}

}  // namespace

Result<std::unique_ptr<PipelineTokenizer>> tokenizer_from_json(std::string_view text,
                                                               const std::string& name) {
  BANTAM_ASSIGN(const Json json, formats::parse_json(text, name));
  return pipeline_from_json(json, name);
}

Result<std::unique_ptr<PipelineTokenizer>> pipeline_from_json(const Json& json, const std::string& name) {
  if (!json.is_object())
    return fail(Code::kCorrupt, "{}: found no JSON object, expected a tokenizer.json", name);
  auto parts = read_parts(json);
  if (!parts) return std::unexpected(std::move(parts).error().in(name));
  auto out = PipelineTokenizer::create(std::move(*parts));
  if (!out) return std::unexpected(std::move(out).error().in(name));
  return out;
}

}  // namespace bantam::text
