#include "text/pipeline/pipeline.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/pipeline/unicode.h"
#include "text/special_tokens.h"

namespace bantam::text {
namespace {

/// The character that ends at `end`, or nothing.
uint32_t character_before(std::string_view text, size_t end) {
  size_t begin = end;
  while (begin > 0 && end - begin < 4) {
    --begin;
    if (!continues_character(text[begin])) break;
  }
  return utf8_front(text.substr(begin, end - begin)).code;
}

void strip_end(std::string& text) {
  while (!text.empty()) {
    const uint32_t last = character_before(text, text.size());
    if (!is_white_space(last)) return;
    std::string bytes;
    append_utf8(bytes, last);
    text.erase(text.size() - bytes.size());
  }
}

size_t leading_space(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const Utf8Char front = utf8_front(text.substr(length));
    if (front.length == 0 || !is_white_space(front.code)) break;
    length += static_cast<size_t>(front.length);
  }
  return length;
}

}  // namespace

PipelineTokenizer::PipelineTokenizer(PipelineParts parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<PipelineTokenizer>> PipelineTokenizer::create(PipelineParts parts) {
  const size_t words = parts.model->vocabulary().size();
  const auto most =
      static_cast<TokenId>(std::min<size_t>(words + 4 * parts.added.size() + 65536, size_t{1} << 24));
  size_t size = words;
  for (const auto& token : parts.added) {
    if (token.id < 0 || token.id >= most)
      return fail(Code::kCorrupt, "added_tokens: found id {} for \"{}\", expected one below {}", token.id,
                  token.text, most);
    size = std::max(size, static_cast<size_t>(token.id) + 1);
  }
  auto inside = [&](TokenId id) { return id >= 0 && static_cast<size_t>(id) < size; };
  if (!std::ranges::all_of(parts.prefix, inside) || !std::ranges::all_of(parts.suffix, inside) ||
      !std::ranges::all_of(parts.ends, inside))
    return fail(Code::kCorrupt, "post_processor: found an id outside the vocabulary of {}", size);
  std::unique_ptr<PipelineTokenizer> out(new PipelineTokenizer(std::move(parts)));
  out->size_ = size;
  out->index();
  return out;
}

void PipelineTokenizer::index() {
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    const AddedToken& token = parts_.added[i];
    added_ids_.emplace(token.id, i);
    std::string needle = token.text;
    if (token.normalized && parts_.normalizer) (void)parts_.normalizer(needle);
    needles_.push_back(needle);
    if (needle.empty()) continue;
    (token.normalized ? normalized_ : raw_)[static_cast<unsigned char>(needle[0])].push_back(i);
  }
  for (Matcher* matcher : {&raw_, &normalized_}) {
    for (auto& list : *matcher)
      std::ranges::stable_sort(list,
                               [&](size_t a, size_t b) { return needles_[a].size() > needles_[b].size(); });
  }
}

const AddedToken* PipelineTokenizer::match(std::string_view text, size_t at, const Matcher& matcher,
                                           bool parse_special) const {
  for (size_t i : matcher[static_cast<unsigned char>(text[at])]) {
    const AddedToken& token = parts_.added[i];
    const std::string& needle = needles_[i];
    if ((token.special && !parse_special) || text.substr(at, needle.size()) != needle) continue;
    if (token.single_word) {
      const size_t end = at + needle.size();
      if ((at > 0 && is_word(character_before(text, at))) ||
          (end < text.size() && is_word(utf8_front(text.substr(end)).code)))
        continue;
    }
    return &token;
  }
  return nullptr;
}

void PipelineTokenizer::find_added(std::string_view text, const Matcher& matcher, bool parse_special,
                                   std::vector<Part>& out) const {
  auto add_text = [&](std::string_view more) {
    if (more.empty()) return;
    if (out.empty() || out.back().id >= 0) out.emplace_back();
    out.back().text += more;
  };
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken* token = match(text, at, matcher, parse_special);
    if (token == nullptr) {
      ++at;
      continue;
    }
    add_text(text.substr(begin, at - begin));
    if (token->strip_left && !out.empty() && out.back().id < 0) {
      strip_end(out.back().text);
      if (out.back().text.empty()) out.pop_back();
    }
    at += needles_[static_cast<size_t>(token - parts_.added.data())].size();
    if (token->strip_right) at += leading_space(text.substr(at));
    begin = at;
    out.push_back({{}, token->id, false});
  }
  add_text(text.substr(begin));
}

Result<std::vector<TokenId>> PipelineTokenizer::encode(std::string_view text, EncodeOptions options) const {
  const Segment segment{text, options.parse_special};
  return encode_segments({&segment, 1}, options.add_special);
}

Result<std::vector<TokenId>> PipelineTokenizer::encode_segments(std::span<const Segment> segments,
                                                                bool add_special) const {
  BANTAM_TRY(check_length(segments));
  std::vector<TokenId> out;
  if (add_special) out = parts_.prefix;
  std::vector<Part> parts;
  bool any_special = false;
  for (const auto& segment : segments) {
    find_added(segment.text, raw_, segment.parse_special, parts);
    any_special |= segment.parse_special;
  }
  bool first = true;
  for (auto& part : parts) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      if (parts_.normalizer) BANTAM_TRY(parts_.normalizer(part.text));
      // Which segment a normalised text came from is no longer known: control tokens only where all may hold
      // them.
      const bool parse = any_special && std::ranges::all_of(segments, &Segment::parse_special);
      std::vector<Part> inner;
      find_added(part.text, normalized_, parse, inner);
      for (auto& piece : inner) {
        if (piece.id >= 0) {
          out.push_back(piece.id);
        } else {
          BANTAM_TRY(encode_part(std::move(piece.text), first, out));
        }
        first = false;
      }
    }
    first = false;
  }
  if (add_special) out.insert(out.end(), parts_.suffix.begin(), parts_.suffix.end());
  return out;
}

Status PipelineTokenizer::encode_part(std::string text, bool first, std::vector<TokenId>& out) const {
  PreTokens words{{std::move(text)}, first};
  if (parts_.pre_tokenizer) BANTAM_TRY(parts_.pre_tokenizer(words));
  for (const auto& word : words.words) {
    if (!word.empty()) BANTAM_TRY(parts_.model->encode(word, out));
  }
  return {};
}

std::string_view PipelineTokenizer::stored(TokenId id) const {
  if (id < 0 || static_cast<size_t>(id) >= size_) return {};
  if (const auto added = added_ids_.find(id); added != added_ids_.end())
    return parts_.added[added->second].text;
  return static_cast<size_t>(id) < parts_.model->vocabulary().size()
             ? std::string_view(parts_.model->vocabulary().text(id))
             : std::string_view();
}

std::string PipelineTokenizer::piece(TokenId id, bool special) const {
  const auto added = added_ids_.find(id);
  if (added != added_ids_.end()) {
    const AddedToken& token = parts_.added[added->second];
    return token.special && !special ? std::string() : token.text;
  }
  const std::string_view text = stored(id);
  if (const int byte = byte_token_value(text); byte >= 0) return std::string(1, static_cast<char>(byte));
  if (!parts_.decoder || text.empty()) return std::string(text);
  // What the token adds behind another: decoders treat the first one apart.
  std::vector<std::string> tokens = {"a", std::string(text)};
  parts_.decoder(tokens);
  std::string out;
  for (const auto& token : tokens) out += token;
  return out.starts_with("a") ? out.substr(1) : out;
}

std::string PipelineTokenizer::decode(std::span<const TokenId> ids, bool special) const {
  std::vector<std::string> tokens;
  for (TokenId id : ids) {
    const auto added = added_ids_.find(id);
    if (added != added_ids_.end() && parts_.added[added->second].special && !special) continue;
    tokens.emplace_back(stored(id));
  }
  if (parts_.decoder) parts_.decoder(tokens);
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !parts_.decoder) out += ' ';
    out += tokens[i];
  }
  return out;
}

bool PipelineTokenizer::is_end(TokenId id) const {
  if (id == parts_.eos || std::ranges::find(parts_.ends, id) != parts_.ends.end()) return true;
  const auto added = added_ids_.find(id);
  return added != added_ids_.end() && parts_.added[added->second].special &&
         ends_turn_by_name(parts_.added[added->second].text);
}

std::optional<TokenId> PipelineTokenizer::find(std::string_view token) const {
  for (const auto& added : parts_.added) {
    if (added.text == token) return added.id;
  }
  if (const auto id = parts_.model->vocabulary().find(token)) return id;
  const auto ids = encode(token, {.add_special = false, .parse_special = false});
  return ids && ids->size() == 1 ? std::optional(ids->front()) : std::nullopt;
}

void PipelineTokenizer::keep_keys(const formats::GgufFile& file) {
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with("tokenizer.ggml.")) keys_.emplace_back(key, value);
  }
}

void PipelineTokenizer::save(formats::GgufWriter& file) const {
  for (const auto& [key, value] : keys_) file.set(key, value);
}

}  // namespace bantam::text
