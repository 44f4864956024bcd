#include "text/pipeline/to_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/utf8.h"
#include "text/pipeline/base64.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_gguf.h"
#include "text/special_tokens.h"
#include "text/splitter_schemes.h"

namespace bantam::text {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Source {
  const formats::GgufFile& file;
  std::string model;  // tokenizer.ggml.model
  TokenList list;
  TokenRoles roles;

  const std::string& text(TokenId id) const { return list.texts[static_cast<size_t>(id)]; }
  bool is_piece(size_t id) const {
    return list.types[id] == TokenType::kNormal || list.types[id] == TokenType::kUnused ||
           list.types[id] == TokenType::kUserDefined;
  }
};

/// Roles with what the readers of each model take where the file says nothing.
Result<TokenRoles> read_roles(const formats::GgufFile& file, const std::string& model, size_t size) {
  TokenRoles roles;
  if (model == "llama") {
    roles.unknown = 0;
    roles.bos = 1;
    roles.eos = 2;
    roles.add_bos = size > 1;
  } else if (model == "t5") {
    roles.eos = 1;
    roles.unknown = 2;
    roles.padding = 0;
    roles.add_eos = size > 1;
  } else if (model == "bert") {
    roles.bos = 101;
    roles.eos = 102;
    roles.unknown = 100;
    roles.padding = 0;
    for (const char* key : {"tokenizer.ggml.separator_token_id", "tokenizer.ggml.seperator_token_id"}) {
      BANTAM_ASSIGN(const uint64_t id, file.get_uint_or(key, static_cast<uint64_t>(*roles.eos)));
      if (id < size) roles.eos = static_cast<TokenId>(id);
    }
    roles.add_bos = roles.add_eos = size > 102;
  } else {
    BANTAM_ASSIGN(const std::string pre, file.get_string_or("tokenizer.ggml.pre", "default"));
    const SplitScheme* scheme = find_split_scheme(pre);
    roles.add_bos =
        scheme != nullptr && scheme->add_bos && file.find("tokenizer.ggml.bos_token_id") != nullptr;
  }
  BANTAM_TRY(roles.read(file, size));
  return roles;
}

OrderedJson added_tokens(const Source& in) {
  OrderedJson out = OrderedJson::array();
  for (size_t i = 0; i < in.list.texts.size(); ++i) {
    const TokenType type = in.list.types[i];
    const bool special = type == TokenType::kControl || type == TokenType::kUnknown;
    if ((!special && type != TokenType::kUserDefined) || in.list.texts[i].empty()) continue;
    out.push_back({{"id", i},
                   {"content", in.list.texts[i]},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false},
                   {"normalized", false},
                   {"special", special}});
  }
  return out;
}

/// Text by id. Errors: kUnsupported where two tokens have one text.
Result<OrderedJson> vocabulary(const std::vector<std::string>& texts) {
  std::unordered_map<std::string_view, size_t> seen;
  OrderedJson out = OrderedJson::object();
  auto& object =
      out.get_ref<OrderedJson::object_t&>();  // an ordered object looks for the key at each insertion
  object.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto [found, fresh] = seen.emplace(texts[i], i);
    if (!fresh) {
      return fail(Code::kUnsupported,
                  "tokenizer.ggml.tokens: found the text \"{}\" as tokens {} and {}, expected it once",
                  texts[i], found->second, i);
    }
    object.emplace_back(texts[i], i);
  }
  return out;
}

/// What is put around every text; null where there is nothing.
OrderedJson post_processor(const Source& in) {
  const bool begins = in.roles.add_bos && in.roles.bos, ends = in.roles.add_eos && in.roles.eos;
  if (!begins && !ends) return {};
  OrderedJson tokens = OrderedJson::object();
  const auto special = [&](TokenId id, int type) {
    const std::string& text = in.text(id);
    tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    return OrderedJson{{"SpecialToken", {{"id", text}, {"type_id", type}}}};
  };
  const bool bert = in.model == "bert";
  OrderedJson single = OrderedJson::array(), pair = OrderedJson::array();
  for (int type = 0; type < 2; ++type) {
    const OrderedJson text{{"Sequence", {{"id", type == 0 ? "A" : "B"}, {"type_id", type}}}};
    if (begins && (type == 0 || !bert)) pair.push_back(special(*in.roles.bos, type));
    pair.push_back(text);
    if (ends) pair.push_back(special(*in.roles.eos, type));
    if (type == 0) single = pair;
  }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

/// "\x{4E00}" as the character itself, which every library of patterns reads.
std::string portable(std::string_view pattern) {
  std::string out;
  while (!pattern.empty()) {
    const size_t close = pattern.find('}');
    if (pattern.starts_with("\\x{") && close != std::string_view::npos) {
      append_utf8(out,
                  static_cast<uint32_t>(std::stoul(std::string(pattern.substr(3, close - 3)), nullptr, 16)));
      pattern.remove_prefix(close + 1);
    } else {
      const size_t length = pattern[0] == '\\' && pattern.size() > 1 ? 2 : 1;
      out += pattern.substr(0, length);
      pattern.remove_prefix(length);
    }
  }
  return out;
}

OrderedJson byte_level_json(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Result<OrderedJson> byte_level_bpe(const Source& in) {
  BANTAM_ASSIGN(const std::string pre, in.file.get_string_or("tokenizer.ggml.pre", "default"));
  const SplitScheme* scheme = find_split_scheme(pre);
  if (scheme == nullptr)
    return fail(Code::kUnsupported, "tokenizer.ggml.pre: found \"{}\", expected a known splitter", pre);
  OrderedJson stages = OrderedJson::array();
  for (std::string_view pattern : scheme->patterns) {
    stages.push_back({{"type", "Split"},
                      {"pattern", {{"Regex", portable(pattern)}}},
                      {"behavior", "Isolated"},
                      {"invert", false}});
  }
  stages.push_back(byte_level_json(false));
  BANTAM_ASSIGN(const auto merges, in.file.get_strings("tokenizer.ggml.merges"));
  BANTAM_ASSIGN(OrderedJson vocab, vocabulary(in.list.texts));
  OrderedJson post = post_processor(in);
  post = post.is_null() ? byte_level_json(true)
                        : OrderedJson{{"type", "Sequence"}, {"processors", {byte_level_json(true), post}}};
  return OrderedJson{{"normalizer", nullptr},
                     {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", stages}}},
                     {"post_processor", post},
                     {"decoder", byte_level_json(true)},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", scheme->whole_words_first},
                       {"vocab", std::move(vocab)},
                       {"merges", merges}}}};
}

/// Each way to put a piece together out of two, the piece with the best score first: what joins the best pair
/// by score joins the first by rank then.
std::vector<std::string> merges_by_score(const Source& in, const std::vector<float>& scores) {
  std::unordered_map<std::string_view, size_t> pieces;
  for (size_t i = 0; i < in.list.texts.size(); ++i) {
    if (in.is_piece(i)) pieces.emplace(in.list.texts[i], i);
  }
  struct Merge {
    float score;
    size_t left, right;
  };
  std::vector<Merge> merges;
  for (const auto& [text, id] : pieces) {
    for (size_t cut = static_cast<size_t>(std::max(utf8_front(text).length, 1)); cut < text.size();
         cut += static_cast<size_t>(std::max(utf8_front(text.substr(cut)).length, 1))) {
      const auto left = pieces.find(text.substr(0, cut)), right = pieces.find(text.substr(cut));
      if (left != pieces.end() && right != pieces.end())
        merges.push_back({scores[id], left->second, right->second});
    }
  }
  std::ranges::sort(merges, [](const Merge& a, const Merge& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(a.left, a.right) < std::pair(b.left, b.right);
  });
  std::vector<std::string> out;
  out.reserve(merges.size());
  for (const auto& merge : merges)
    out.push_back(in.list.texts[merge.left] + " " + in.list.texts[merge.right]);
  return out;
}

Result<OrderedJson> score_bpe(const Source& in) {
  BANTAM_ASSIGN(const auto scores, in.file.get_floats("tokenizer.ggml.scores"));
  if (scores.size() != in.list.texts.size())
    return fail(Code::kCorrupt, "tokenizer.ggml.scores: found {} entries, expected {}", scores.size(),
                in.list.texts.size());
  BANTAM_ASSIGN(const bool prefix, in.file.get_bool_or("tokenizer.ggml.add_space_prefix", true));
  const bool bytes = std::ranges::find(in.list.types, TokenType::kByte) != in.list.types.end();
  const OrderedJson blanks{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kBlank}};
  const OrderedJson normalizer =
      prefix ? OrderedJson{{"type", "Sequence"},
                           {"normalizers", {OrderedJson{{"type", "Prepend"}, {"prepend", kBlank}}, blanks}}}
             : blanks;
  OrderedJson decoders = {
      OrderedJson{{"type", "Replace"}, {"pattern", {{"String", kBlank}}}, {"content", " "}},
      OrderedJson{{"type", "ByteFallback"}}, OrderedJson{{"type", "Fuse"}}};
  if (prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  BANTAM_ASSIGN(OrderedJson vocab, vocabulary(in.list.texts));
  return OrderedJson{
      {"normalizer", normalizer},
      {"pre_tokenizer", nullptr},
      {"post_processor", post_processor(in)},
      {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", in.roles.unknown ? OrderedJson(in.text(*in.roles.unknown)) : OrderedJson()},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", bytes},
        {"ignore_merges", false},
        {"vocab", std::move(vocab)},
        {"merges", merges_by_score(in, scores)}}}};
}

Result<OrderedJson> unigram(const Source& in) {
  BANTAM_ASSIGN(const auto scores, in.file.get_floats("tokenizer.ggml.scores"));
  if (scores.size() != in.list.texts.size())
    return fail(Code::kCorrupt, "tokenizer.ggml.scores: found {} entries, expected {}", scores.size(),
                in.list.texts.size());
  BANTAM_ASSIGN(const bool prefix, in.file.get_bool_or("tokenizer.ggml.add_space_prefix", true));
  BANTAM_ASSIGN(const bool merge_spaces,
                in.file.get_bool_or("tokenizer.ggml.remove_extra_whitespaces", true));
  OrderedJson normalizers = OrderedJson::array();
  if (in.file.find("tokenizer.ggml.precompiled_charsmap") != nullptr) {
    BANTAM_ASSIGN(const auto bytes, in.file.get_ints("tokenizer.ggml.precompiled_charsmap"));
    std::string blob;
    for (int64_t byte : bytes) blob += static_cast<char>(byte);
    normalizers.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(blob)}});
  }
  if (merge_spaces) {
    normalizers.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
    normalizers.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
  }
  OrderedJson vocab = OrderedJson::array();
  for (size_t i = 0; i < scores.size(); ++i) vocab.push_back({in.list.texts[i], scores[i]});
  const OrderedJson metaspace{{"type", "Metaspace"},
                              {"replacement", kBlank},
                              {"prepend_scheme", prefix ? "always" : "never"},
                              {"add_prefix_space", prefix},
                              {"split", false}};
  return OrderedJson{
      {"normalizer",
       normalizers.empty() ? OrderedJson() : OrderedJson{{"type", "Sequence"}, {"normalizers", normalizers}}},
      {"pre_tokenizer", metaspace},
      {"post_processor", post_processor(in)},
      {"decoder", metaspace},
      {"model",
       {{"type", "Unigram"},
        {"unk_id", in.roles.unknown ? OrderedJson(*in.roles.unknown) : OrderedJson()},
        {"vocab", std::move(vocab)},
        {"byte_fallback", false}}}};
}

Result<OrderedJson> word_piece(const Source& in) {
  std::vector<std::string> texts = in.list.texts;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (in.list.types[i] == TokenType::kControl || in.list.types[i] == TokenType::kUnknown) continue;
    texts[i] = texts[i].starts_with(kBlank) ? texts[i].substr(kBlank.size()) : "##" + texts[i];
  }
  BANTAM_ASSIGN(const bool lower, in.file.get_bool_or("tokenizer.ggml.normalizer.lowercase", true));
  BANTAM_ASSIGN(const bool strip, in.file.get_bool_or("tokenizer.ggml.normalizer.strip_accents", true));
  BANTAM_ASSIGN(OrderedJson vocab, vocabulary(texts));
  if (!in.roles.unknown)
    return fail(Code::kCorrupt, "tokenizer.ggml.unknown_token_id: found none, expected one");
  return OrderedJson{{"normalizer",
                      {{"type", "BertNormalizer"},
                       {"clean_text", true},
                       {"handle_chinese_chars", true},
                       {"strip_accents", strip},
                       {"lowercase", lower}}},
                     {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                     {"post_processor", post_processor(in)},
                     {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", false}}},
                     {"model",
                      {{"type", "WordPiece"},
                       {"unk_token", in.text(*in.roles.unknown)},
                       {"continuing_subword_prefix", "##"},
                       {"max_input_chars_per_word", 1'000'000},
                       {"vocab", std::move(vocab)}}}};
}

Result<OrderedJson> stages_of(const Source& in) {
  if (in.model == "gpt2") return byte_level_bpe(in);
  if (in.model == "llama") return score_bpe(in);
  return in.model == "t5" ? unigram(in) : word_piece(in);
}

OrderedJson config_of(const Source& in, uint64_t context, const std::string& chat_template) {
  OrderedJson out{{"add_bos_token", in.roles.add_bos}, {"add_eos_token", in.roles.add_eos}};
  const bool bert = in.model == "bert";
  const std::pair<const char*, std::optional<TokenId>> roles[] = {
      {bert ? "cls_token" : "bos_token", in.roles.bos},
      {bert ? "sep_token" : "eos_token", in.roles.eos},
      {"unk_token", in.roles.unknown},
      {"pad_token", in.roles.padding}};
  for (const auto& [name, id] : roles) {
    if (id) out[name] = in.text(*id);
  }
  if (!chat_template.empty()) out["chat_template"] = chat_template;
  out["clean_up_tokenization_spaces"] = false;
  out["model_max_length"] = context;
  out["tokenizer_class"] = bert ? "BertTokenizer" : "PreTrainedTokenizerFast";
  return out;
}

}  // namespace

Result<HfTokenizer> tokenizer_to_hf(const formats::GgufFile& file, uint64_t context) {
  BANTAM_ASSIGN(const auto original, load_tokenizer(file));
  Source in{file, {}, {}, {}};
  BANTAM_ASSIGN(in.model, file.get_string("tokenizer.ggml.model"));
  BANTAM_ASSIGN(in.list, read_tokens(file));
  BANTAM_ASSIGN(in.roles, read_roles(file, in.model, in.list.texts.size()));
  auto stages = stages_of(in);
  if (!stages) return std::unexpected(std::move(stages).error().in(file.path()));
  OrderedJson json{
      {"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added_tokens(in)}};
  for (auto& [key, value] : stages->items()) json[key] = std::move(value);
  BANTAM_ASSIGN(const std::string chat_template, file.get_string_or("tokenizer.chat_template", ""));
  HfTokenizer out;
  // Tokens may hold halves of characters; JSON cannot.
  out.tokenizer = json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
  out.config =
      config_of(in, context, chat_template).dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
  if (in.roles.eos) out.ends.push_back(*in.roles.eos);
  // Those that end by their names are named, too: nothing at Hugging Face goes by these.
  for (TokenId id = 0; static_cast<size_t>(id) < in.list.texts.size(); ++id) {
    if (id != in.roles.eos && original->is_end(id)) out.ends.push_back(id);
  }
  out.bos = in.roles.bos;
  out.padding = in.roles.padding;
  BANTAM_ASSIGN(const auto again, tokenizer_from_json(out.tokenizer, "tokenizer.json"));
  if (const auto different = first_difference(*original, *again))
    out.notes.push_back(fmt::format("texts such as \"{}\" have other ids than in the GGUF", *different));
  return out;
}

}  // namespace bantam::text
