#include "text/score_bpe.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/utf8.h"

namespace bantam::text {
namespace {

std::string escape_blanks(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (char c : text) {
    if (c == ' ') {
      out += kBlank;
    } else {
      out += c;
    }
  }
  return out;
}

std::string unescape_blanks(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    bool blank = text.starts_with(kBlank);
    out += blank ? ' ' : text[0];
    text.remove_prefix(blank ? kBlank.size() : 1);
  }
  return out;
}

/// The byte that "<0x0A>" names; -1 for any other text.
int byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = -1;
  auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  return error == std::errc() && end == text.data() + 5 && value >= 0 ? value : -1;
}

}  // namespace

Result<std::unique_ptr<ScoreBpe>> ScoreBpe::load(const formats::GgufFile& file) {
  std::unique_ptr<ScoreBpe> out(new ScoreBpe());
  BANTAM_ASSIGN(out->list_, read_tokens(file));
  const size_t size = out->list_.texts.size();
  BANTAM_ASSIGN(out->scores_, file.get_floats("tokenizer.ggml.scores"));
  if (out->scores_.size() != size) {
    return fail(Code::kCorrupt,
                "{}: tokenizer.ggml.scores: found {} entries, expected {}, one for each token", file.path(),
                out->scores_.size(), size);
  }
  if (std::ranges::any_of(out->scores_, [](float score) { return std::isnan(score); })) {
    return fail(Code::kCorrupt, "{}: tokenizer.ggml.scores: found NaN, expected numbers", file.path());
  }
  BANTAM_ASSIGN(out->pre_, file.get_string_or("tokenizer.ggml.pre", ""));
  BANTAM_ASSIGN(out->add_space_prefix_, file.get_bool_or("tokenizer.ggml.add_space_prefix", true));
  // What llama.cpp takes where a file of this model names no ids.
  out->roles_.unknown = 0;
  out->roles_.bos = 1;
  out->roles_.eos = 2;
  out->roles_.add_bos = size > 1;
  BANTAM_TRY(out->roles_.read(file, size));
  out->index_tokens();
  return out;
}

void ScoreBpe::index_tokens() {
  byte_ids_.fill(-1);
  byte_values_.assign(list_.texts.size(), -1);
  for (size_t i = 0; i < list_.texts.size(); ++i) {
    const auto& text = list_.texts[i];
    auto id = static_cast<TokenId>(i);
    TokenType type = list_.types[i];
    if (type == TokenType::kByte) {
      int byte = byte_of(text);
      if (byte < 0) continue;
      byte_values_[i] = static_cast<int16_t>(byte);
      if (byte_ids_[byte] < 0) byte_ids_[byte] = id;
    } else if (type == TokenType::kNormal || type == TokenType::kUnused) {
      pieces_.emplace(text, id);
    } else {
      special_.add(text, id, type != TokenType::kUserDefined);
      if (type == TokenType::kUserDefined) pieces_.emplace(text, id);
    }
  }
}

Result<std::vector<TokenId>> ScoreBpe::encode(std::string_view text, EncodeOptions options) const {
  const Segment segment{text, options.parse_special};
  return encode_segments({&segment, 1}, options.add_special);
}

Result<std::vector<TokenId>> ScoreBpe::encode_segments(std::span<const Segment> segments,
                                                       bool add_special) const {
  BANTAM_TRY(check_length(segments));
  std::vector<TokenId> out;
  if (add_special && roles_.add_bos) out.push_back(*roles_.bos);
  bool after_special = true;  // the start counts as such
  for (const auto& part : special_.partition(segments)) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      BANTAM_TRY(
          encode_text(escape_blanks(add_space_prefix_ && after_special ? " " + part.text : part.text), out));
    }
    after_special = part.id >= 0;
  }
  if (add_special && roles_.add_eos) out.push_back(*roles_.eos);
  return out;
}

Status ScoreBpe::encode_text(std::string_view text, std::vector<TokenId>& out) const {
  if (text.size() > UINT32_MAX) {
    return fail(Code::kInvalidArgument,
                "text: found {} bytes with its spaces written out, expected fewer than 2^32", text.size());
  }
  auto id_of = [&](uint32_t begin, uint32_t length) {
    auto found = pieces_.find(text.substr(begin, length));
    return found == pieces_.end() ? -1 : found->second;
  };
  MergeState state;
  for (size_t i = 0; i < text.size();) {
    auto length = static_cast<uint32_t>(std::max(utf8_front(text.substr(i)).length, 1));
    state.add(id_of(static_cast<uint32_t>(i), length), static_cast<uint32_t>(i), length);
    i += length;
  }
  merge_all(state, [&](const MergeSymbol& left, const MergeSymbol& right) -> std::optional<MergeResult> {
    TokenId id = id_of(left.begin, left.length + right.length);
    if (id < 0) return std::nullopt;
    return MergeResult{-static_cast<double>(scores_[id]), id};
  });
  for (int32_t i = state.symbols.empty() ? -1 : 0; i >= 0; i = state.symbols[i].next) {
    const auto& symbol = state.symbols[i];
    if (symbol.id >= 0) {
      out.push_back(symbol.id);
    } else {
      BANTAM_TRY(append_bytes(text.substr(symbol.begin, symbol.length), out));
    }
  }
  return {};
}

Status ScoreBpe::append_bytes(std::string_view text, std::vector<TokenId>& out) const {
  auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (std::ranges::all_of(text, [&](char byte) { return id_of(byte) >= 0; })) {
    for (char byte : text) out.push_back(id_of(byte));
    return {};
  }
  if (!roles_.unknown) {
    return fail(
        Code::kInvalidArgument,
        "text: found a character that the vocabulary has neither a token, bytes nor an unknown token for");
  }
  out.push_back(*roles_.unknown);
  return {};
}

std::string ScoreBpe::piece(TokenId id, bool special) const {
  if (id < 0 || static_cast<size_t>(id) >= list_.texts.size()) return {};
  if (byte_values_[id] >= 0) return std::string(1, static_cast<char>(byte_values_[id]));
  TokenType type = list_.types[id];
  if (type == TokenType::kControl || type == TokenType::kUnknown)
    return special ? list_.texts[id] : std::string();
  return unescape_blanks(list_.texts[id]);
}

std::string ScoreBpe::decode(std::span<const TokenId> ids, bool special) const {
  std::string out;
  bool first = add_space_prefix_;
  for (TokenId id : ids) {
    std::string text = piece(id, special);
    if (text.empty()) continue;
    out += first && text[0] == ' ' ? text.substr(1) : text;
    first = false;
  }
  return out;
}

bool ScoreBpe::is_end(TokenId id) const {
  if (roles_.ends(id)) return true;
  return id >= 0 && static_cast<size_t>(id) < list_.texts.size() && list_.types[id] == TokenType::kControl &&
         ends_turn_by_name(list_.texts[id]);
}

std::optional<TokenId> ScoreBpe::find(std::string_view token) const {
  if (auto id = special_.find(token)) return id;
  auto found = pieces_.find(escape_blanks(token));
  return found == pieces_.end() ? std::nullopt : std::optional(found->second);
}

void ScoreBpe::save(formats::GgufWriter& file) const {
  file.set("tokenizer.ggml.model", "llama");
  if (pre_.empty()) {
    file.remove("tokenizer.ggml.pre");
  } else {
    file.set("tokenizer.ggml.pre", pre_);
  }
  save_tokens(list_, file);
  file.set("tokenizer.ggml.scores", formats::GgufArray(scores_));
  file.set("tokenizer.ggml.add_space_prefix", add_space_prefix_);
  roles_.save(file);
}

}  // namespace bantam::text
