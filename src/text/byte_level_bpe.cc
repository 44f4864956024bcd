#include "text/byte_level_bpe.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/splitter_schemes.h"

namespace bantam::text {
namespace {

/// "left right" as it stands in tokenizer.ggml.merges; the parts hold no blank, but the left one may be one
/// (never GPT-2's).
std::pair<std::string_view, std::string_view> merge_parts(std::string_view merge) {
  size_t blank = merge.find(' ', 1);
  if (blank == std::string_view::npos) return {merge, {}};
  return {merge.substr(0, blank), merge.substr(blank + 1)};
}

}  // namespace

ByteLevelBpe::ByteLevelBpe(BpeVocabulary vocabulary, Splitter splitter)
    : vocab_(std::move(vocabulary)), splitter_(std::move(splitter)) {
  byte_ids_.fill(-1);
  normal_.reserve(vocab_.texts.size());
  for (size_t i = 0; i < vocab_.texts.size(); ++i) {
    const auto& text = vocab_.texts[i];
    auto id = static_cast<TokenId>(i);
    if (vocab_.types[i] == TokenType::kNormal) {
      bool first = normal_.add(vocab_.texts, id);
      if (first && text.size() == 1) byte_ids_[static_cast<unsigned char>(text[0])] = id;
    } else if (vocab_.types[i] != TokenType::kUnused) {
      special_.add(text, id, vocab_.types[i] != TokenType::kUserDefined);
    }
  }
  const SplitScheme* scheme = find_split_scheme(vocab_.pre);
  whole_words_first_ = scheme != nullptr && scheme->whole_words_first;
}

Result<std::unique_ptr<ByteLevelBpe>> ByteLevelBpe::create(BpeVocabulary vocabulary,
                                                           const std::string& name) {
  auto splitter = Splitter::create(vocabulary.pre);
  if (!splitter) return std::unexpected(std::move(splitter).error().in(name));
  std::unique_ptr<ByteLevelBpe> out(new ByteLevelBpe(std::move(vocabulary), std::move(*splitter)));
  BANTAM_TRY(out->index_merges(name));
  return out;
}

Status ByteLevelBpe::index_merges(const std::string& name) {
  merges_.reserve(vocab_.merges.size());
  std::string text;
  for (size_t rank = 0; rank < vocab_.merges.size(); ++rank) {
    auto [left, right] = vocab_.merges[rank];
    text.assign(vocab_.texts[left]).append(vocab_.texts[right]);
    const TokenId found = normal_.find(vocab_.texts, text);
    if (found < 0) {
      return fail(Code::kCorrupt,
                  "{}: tokenizer.ggml.merges: found merge {} to \"{}\", expected a token of that text", name,
                  rank, bytes_to_text(text));
    }
    merges_.add(left, right, {static_cast<int32_t>(rank), found});
  }
  return {};
}

Result<std::unique_ptr<ByteLevelBpe>> ByteLevelBpe::load(const formats::GgufFile& file) {
  BpeVocabulary vocab;
  BANTAM_ASSIGN(auto list, read_tokens(file));
  vocab.types = std::move(list.types);
  const std::vector<std::string> stored = list.texts;
  TextIndex ids;  // of normal tokens by stored text
  ids.reserve(stored.size());
  for (size_t i = 0; i < list.texts.size(); ++i) {
    auto& text = list.texts[i];
    if (vocab.types[i] == TokenType::kNormal) {
      ids.add(stored, static_cast<TokenId>(i));
      if (auto bytes = text_to_bytes(text)) {
        text = std::move(*bytes);
      } else {
        vocab.types[i] = TokenType::kUnused;  // no text is spelled with it, as its text stands for no bytes
      }
    }
  }
  vocab.texts = std::move(list.texts);
  BANTAM_ASSIGN(const auto merges, file.get_strings("tokenizer.ggml.merges"));
  vocab.merges.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    auto [left, right] = merge_parts(merges[rank]);
    const TokenId l = ids.find(stored, left), r = ids.find(stored, right);
    if (l < 0 || r < 0) {
      return fail(
          Code::kCorrupt,
          "{}: tokenizer.ggml.merges: found \"{}\" as merge {}, expected two tokens and a blank between",
          file.path(), merges[rank], rank);
    }
    vocab.merges.emplace_back(l, r);
  }
  BANTAM_ASSIGN(vocab.pre, file.get_string_or("tokenizer.ggml.pre", "default"));
  const SplitScheme* scheme = find_split_scheme(vocab.pre);
  vocab.roles.add_bos =
      scheme != nullptr && scheme->add_bos && file.find("tokenizer.ggml.bos_token_id") != nullptr;
  BANTAM_TRY(vocab.roles.read(file, vocab.texts.size()));
  return create(std::move(vocab), file.path());
}

Result<std::vector<TokenId>> ByteLevelBpe::encode(std::string_view text, EncodeOptions options) const {
  const Segment segment{text, options.parse_special};
  return encode_segments({&segment, 1}, options.add_special);
}

Result<std::vector<TokenId>> ByteLevelBpe::encode_segments(std::span<const Segment> segments,
                                                           bool add_special) const {
  return encode_parts(segments, add_special, 0, nullptr);
}

Result<std::unique_ptr<ByteLevelBpe>> ByteLevelBpe::extended(std::span<const std::string> whole) const {
  BpeVocabulary more = vocab_;
  for (const auto& token : whole) {
    if (token.empty()) return fail(Code::kInvalidArgument, "whole token: found \"\", expected a text");
    BANTAM_ASSIGN(const auto ids, encode(token, {.add_special = false, .parse_special = false}));
    if (ids.size() == 1 || find(token)) continue;
    more.texts.push_back(token);
    more.types.push_back(TokenType::kNormal);
  }
  return create(std::move(more), "extended tokenizer");
}

Result<std::unique_ptr<BpeTokenizer>> with_whole_tokens(const BpeTokenizer& base,
                                                        std::span<const std::string> whole) {
  const auto* bpe = dynamic_cast<const ByteLevelBpe*>(&base);
  if (bpe == nullptr)
    return fail(Code::kUnsupported, "whole tokens: found a tokenizer that is not byte-level BPE");
  BANTAM_ASSIGN(auto out, bpe->extended(whole));
  return std::unique_ptr<BpeTokenizer>(std::move(out));
}

Result<std::vector<TokenId>> ByteLevelBpe::encode_with_dropout(std::span<const Segment> segments,
                                                               double dropout, Rng& rng) const {
  return encode_parts(segments, false, dropout, dropout > 0 ? &rng : nullptr);
}

Result<std::vector<TokenId>> ByteLevelBpe::encode_parts(std::span<const Segment> segments, bool add_special,
                                                        double dropout, Rng* rng) const {
  BANTAM_TRY(check_length(segments));
  std::vector<TokenId> out;
  if (add_special && vocab_.roles.add_bos) out.push_back(*vocab_.roles.bos);
  for (const auto& part : special_.partition(segments)) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      BANTAM_TRY(encode_text(part.text, out, dropout, rng));
    }
  }
  if (add_special && vocab_.roles.add_eos) out.push_back(*vocab_.roles.eos);
  return out;
}

Status ByteLevelBpe::encode_text(std::string_view text, std::vector<TokenId>& out, double dropout,
                                 Rng* rng) const {
  MergeState state;
  bool spelled = true;
  BANTAM_TRY(splitter_.split(text, [&](std::string_view word) {
    if (whole_words_first_ && rng == nullptr) {
      if (const TokenId found = normal_.find(vocab_.texts, word); found >= 0) {
        out.push_back(found);
        return;
      }
    }
    spelled = encode_word(word, state, out, dropout, rng) && spelled;
  }));
  if (!spelled)
    return fail(Code::kInvalidArgument, "text: found a byte that the vocabulary has no token for");
  return {};
}

bool ByteLevelBpe::encode_word(std::string_view word, MergeState& state, std::vector<TokenId>& out,
                               double dropout, Rng* rng) const {
  state.symbols.clear();
  for (size_t i = 0; i < word.size(); ++i) {
    TokenId id = byte_ids_[static_cast<unsigned char>(word[i])];
    if (id < 0) return false;
    state.add(id, static_cast<uint32_t>(i), 1);
  }
  merge_all(
      state,
      [&](const MergeSymbol& left, const MergeSymbol& right) -> std::optional<MergeResult> {
        const auto* merge = merges_.find(left.id, right.id);
        if (merge == nullptr) return std::nullopt;
        return MergeResult{static_cast<double>(merge->rank), merge->result};
      },
      dropout, rng);
  for (int32_t i = 0; i >= 0; i = state.symbols[i].next) out.push_back(state.symbols[i].id);
  return true;
}

std::string ByteLevelBpe::piece(TokenId id, bool special) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_.texts.size()) return {};
  TokenType type = vocab_.types[id];
  bool hidden = type == TokenType::kControl || type == TokenType::kUnknown;
  return hidden && !special ? std::string() : vocab_.texts[id];
}

std::string ByteLevelBpe::decode(std::span<const TokenId> ids, bool special) const {
  std::string out;
  for (TokenId id : ids) out += piece(id, special);
  return out;
}

bool ByteLevelBpe::is_end(TokenId id) const {
  if (vocab_.roles.ends(id)) return true;
  return id >= 0 && static_cast<size_t>(id) < vocab_.texts.size() &&
         vocab_.types[id] == TokenType::kControl && ends_turn_by_name(vocab_.texts[id]);
}

std::optional<TokenId> ByteLevelBpe::find(std::string_view token) const {
  if (auto id = special_.find(token)) return id;
  const TokenId found = normal_.find(vocab_.texts, token);
  return found < 0 ? std::nullopt : std::optional(found);
}

void ByteLevelBpe::save(formats::GgufWriter& file) const {
  TokenList list{vocab_.texts, vocab_.types};
  for (size_t i = 0; i < list.texts.size(); ++i) {
    if (list.types[i] == TokenType::kNormal) list.texts[i] = bytes_to_text(list.texts[i]);
  }
  std::vector<std::string> merges;
  merges.reserve(vocab_.merges.size());
  for (auto [left, right] : vocab_.merges) merges.push_back(list.texts[left] + " " + list.texts[right]);
  file.set("tokenizer.ggml.model", "gpt2");
  file.set("tokenizer.ggml.pre", vocab_.pre);
  save_tokens(std::move(list), file);
  file.set("tokenizer.ggml.merges", formats::GgufArray(std::move(merges)));
  vocab_.roles.save(file);
}

}  // namespace bantam::text
