#include "text/pipeline/word_models.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "text/flat_index.h"
#include "text/merge.h"

namespace bantam::text {
namespace {

size_t character_length(std::string_view text) {
  return static_cast<size_t>(std::max(utf8_front(text).length, 1));
}

std::unexpected<Error> cannot_spell(std::string_view character) {
  return fail(Code::kInvalidArgument,
              "text: found \"{}\", which the vocabulary has neither a token, bytes nor an unknown token for",
              character);
}

/// The ids of "<0x00>" to "<0xFF>"; empty where one is missing.
std::vector<TokenId> byte_tokens(const WordVocabulary& vocabulary) {
  std::vector<TokenId> out;
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = vocabulary.find(fmt::format("<0x{:02X}>", byte));
    if (!id) return {};
    out.push_back(*id);
  }
  return out;
}

class BpeModel final : public WordModel {
 public:
  BpeModel(WordVocabulary vocabulary, const BpeModelOptions& options) : WordModel(std::move(vocabulary)) {
    prefix_ = options.continuing_prefix;
    suffix_ = options.word_suffix;
    fuse_unknown_ = options.fuse_unknown;
    ignore_merges_ = options.ignore_merges;
    if (options.byte_fallback) bytes_ = byte_tokens(vocabulary_);
    if (options.unknown) unknown_ = vocabulary_.find(*options.unknown);
  }

  Status index(const BpeModelOptions& options) {
    merges_.reserve(options.merges.size());
    for (size_t rank = 0; rank < options.merges.size(); ++rank) {
      const auto& [left, right] = options.merges[rank];
      const std::string_view tail =
          std::string_view(right).substr(right.starts_with(prefix_) ? prefix_.size() : 0);
      const auto l = vocabulary_.find(left), r = vocabulary_.find(right),
                 both = vocabulary_.find(left + std::string(tail));
      if (!l || !r || !both)
        return fail(Code::kCorrupt,
                    "model.merges: found \"{}\" \"{}\" as merge {}, expected tokens that make a token", left,
                    right, rank);
      merges_.add(*l, *r, {static_cast<int32_t>(rank), *both});
    }
    return {};
  }

  Status encode(std::string_view word, std::vector<TokenId>& out) const override {
    if (ignore_merges_) {
      if (const auto whole = vocabulary_.find(word)) {
        out.push_back(*whole);
        return {};
      }
    }
    MergeState state;
    BANTAM_TRY(start(word, state));
    merge_all(state, [&](const MergeSymbol& left, const MergeSymbol& right) -> std::optional<MergeResult> {
      const auto* merge = merges_.find(left.id, right.id);
      if (merge == nullptr) return std::nullopt;
      return MergeResult{static_cast<double>(merge->rank), merge->result};
    });
    for (int32_t i = state.symbols.empty() ? -1 : 0; i >= 0; i = state.symbols[i].next)
      out.push_back(state.symbols[i].id);
    return {};
  }

 private:
  /// The characters as symbols, with what stands for those that have no token.
  Status start(std::string_view word, MergeState& state) const {
    bool after_unknown = false;
    for (size_t i = 0; i < word.size();) {
      const size_t length = character_length(word.substr(i));
      const auto begin = static_cast<uint32_t>(i), size = static_cast<uint32_t>(length);
      std::string name(i > 0 ? prefix_ : "");
      name += word.substr(i, length);
      if (i + length == word.size()) name += suffix_;
      const auto id = vocabulary_.find(name);
      const bool unknown = !id && bytes_.empty();
      if (id) {
        state.add(*id, begin, size);
      } else if (!bytes_.empty()) {
        for (size_t k = 0; k < length; ++k)
          state.add(bytes_[static_cast<unsigned char>(word[i + k])], static_cast<uint32_t>(i + k), 1);
      } else if (unknown_ && !(after_unknown && fuse_unknown_)) {
        state.add(*unknown_, begin, size);
      } else if (!unknown_) {
        return cannot_spell(word.substr(i, length));
      }
      after_unknown = unknown;
      i += length;
    }
    return {};
  }

  PairIndex merges_;
  std::string prefix_, suffix_;
  std::optional<TokenId> unknown_;
  std::vector<TokenId> bytes_;
  bool fuse_unknown_ = false, ignore_merges_ = false;
};

class UnigramModel final : public WordModel {
 public:
  UnigramModel(WordVocabulary vocabulary, std::vector<float> scores, std::optional<TokenId> unknown,
               bool byte_fallback)
      : WordModel(std::move(vocabulary)), scores_(std::move(scores)), unknown_(unknown) {
    double lowest = 0;
    bool any = false;
    for (size_t id = 0; id < scores_.size(); ++id) {
      if (!std::isfinite(scores_[id])) continue;
      lowest = any ? std::min<double>(lowest, scores_[id]) : scores_[id];
      any = true;
      longest_ = std::max(longest_, vocabulary_.text(static_cast<TokenId>(id)).size());
    }
    unknown_score_ = lowest - 10;  // SentencePiece's penalty
    if (byte_fallback) bytes_ = byte_tokens(vocabulary_);
  }

  Status encode(std::string_view word, std::vector<TokenId>& out) const override {
    struct Best {
      double score = -std::numeric_limits<double>::infinity();
      size_t begin = 0;
      TokenId id = -1;  // -1: unknown
    };
    std::vector<Best> best(word.size() + 1);
    best[0].score = 0;
    for (size_t i = 0; i < word.size();) {
      const size_t length = character_length(word.substr(i));
      bool single = false;
      auto offer = [&](size_t end, double score, TokenId id) {
        if (best[i].score + score > best[end].score) best[end] = {best[i].score + score, i, id};
      };
      for (size_t end = i + length; end <= word.size() && end - i <= longest_;) {
        const auto id = vocabulary_.find(word.substr(i, end - i));
        if (id && std::isfinite(scores_[*id])) {
          single |= end == i + length;
          offer(end, scores_[*id], *id);
        }
        if (end == word.size()) break;
        end += character_length(word.substr(end));
      }
      if (!single) offer(i + length, unknown_score_, -1);
      i += length;
    }
    std::vector<std::pair<size_t, size_t>> pieces;  // backwards: begin and end
    for (size_t end = word.size(); end > 0; end = best[end].begin) pieces.emplace_back(best[end].begin, end);
    bool after_unknown = false;
    for (auto it = pieces.rbegin(); it != pieces.rend(); ++it) {
      const TokenId id = best[it->second].id;
      if (id >= 0) {
        out.push_back(id);
      } else if (!bytes_.empty()) {
        for (char byte : word.substr(it->first, it->second - it->first))
          out.push_back(bytes_[static_cast<unsigned char>(byte)]);
      } else if (!unknown_) {
        return cannot_spell(word.substr(it->first, it->second - it->first));
      } else if (!after_unknown) {
        out.push_back(*unknown_);
      }
      after_unknown = id < 0;
    }
    return {};
  }

 private:
  std::vector<float> scores_;
  std::optional<TokenId> unknown_;
  std::vector<TokenId> bytes_;
  double unknown_score_ = -10;
  size_t longest_ = 0;
};

class WordPieceModel final : public WordModel {
 public:
  WordPieceModel(WordVocabulary vocabulary, TokenId unknown, std::string prefix, size_t longest_word)
      : WordModel(std::move(vocabulary)),
        unknown_(unknown),
        prefix_(std::move(prefix)),
        longest_word_(longest_word) {
    for (size_t id = 0; id < vocabulary_.size(); ++id)
      longest_token_ = std::max(longest_token_, vocabulary_.text(static_cast<TokenId>(id)).size());
  }

  Status encode(std::string_view word, std::vector<TokenId>& out) const override {
    const size_t before = out.size();
    size_t characters = 0;
    for (size_t i = 0; i < word.size(); i += character_length(word.substr(i))) ++characters;
    bool spelled = characters <= longest_word_;
    std::string name;
    for (size_t i = 0; spelled && i < word.size();) {
      std::optional<TokenId> id;
      size_t end = std::min(word.size(), i + longest_token_);
      for (; end > i && !id; --end) {
        name.assign(i > 0 ? prefix_ : "").append(word.substr(i, end - i));
        id = vocabulary_.find(name);
      }
      spelled = id.has_value();
      if (id) out.push_back(*id);
      i = end + 1;  // the loop went one further
    }
    if (!spelled) {
      out.resize(before);
      out.push_back(unknown_);
    }
    return {};
  }

 private:
  TokenId unknown_;
  std::string prefix_;
  size_t longest_word_, longest_token_ = 0;
};

class WordLevelModel final : public WordModel {
 public:
  WordLevelModel(WordVocabulary vocabulary, std::optional<TokenId> unknown)
      : WordModel(std::move(vocabulary)), unknown_(unknown) {}
  Status encode(std::string_view word, std::vector<TokenId>& out) const override {
    const auto id = vocabulary_.find(word);
    if (!id && !unknown_) return cannot_spell(word);
    out.push_back(id ? *id : *unknown_);
    return {};
  }

 private:
  std::optional<TokenId> unknown_;
};

}  // namespace

int byte_token_value(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = -1;
  const auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  return error == std::errc() && end == text.data() + 5 && value >= 0 ? value : -1;
}

Result<WordVocabulary> WordVocabulary::create(std::vector<std::pair<std::string, int64_t>> tokens) {
  WordVocabulary out;
  const auto most = static_cast<int64_t>(4 * tokens.size() + 65536);
  int64_t largest = -1;
  for (const auto& [text, id] : tokens) {
    if (id < 0 || id >= most || id >= (int64_t{1} << 24))
      return fail(Code::kCorrupt, "vocab: found id {} for \"{}\" among {} tokens, expected one below {}", id,
                  text, tokens.size(), most);
    largest = std::max(largest, id);
  }
  out.texts_.resize(static_cast<size_t>(largest + 1));
  out.ids_.reserve(tokens.size());
  for (auto& [text, id] : tokens) {
    out.ids_.emplace(text, static_cast<TokenId>(id));
    out.texts_[static_cast<size_t>(id)] = std::move(text);
  }
  return out;
}

std::optional<TokenId> WordVocabulary::find(std::string_view text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

Result<std::unique_ptr<WordModel>> make_bpe_model(WordVocabulary vocabulary, const BpeModelOptions& options) {
  auto out = std::make_unique<BpeModel>(std::move(vocabulary), options);
  BANTAM_TRY(out->index(options));
  return out;
}

Result<std::unique_ptr<WordModel>> make_unigram_model(WordVocabulary vocabulary, std::vector<float> scores,
                                                      std::optional<TokenId> unknown, bool byte_fallback) {
  if (scores.size() != vocabulary.size())
    return fail(Code::kCorrupt, "vocab: found {} scores, expected {}", scores.size(), vocabulary.size());
  if (std::ranges::any_of(scores, [](float score) {
        return std::isnan(score) || score == std::numeric_limits<float>::infinity();
      }))
    return fail(Code::kCorrupt, "vocab: found a score that is NaN or infinite, expected numbers");
  if (unknown && (*unknown < 0 || static_cast<size_t>(*unknown) >= vocabulary.size()))
    return fail(Code::kCorrupt, "unk_id: found {}, expected an id below {}", *unknown, vocabulary.size());
  return std::make_unique<UnigramModel>(std::move(vocabulary), std::move(scores), unknown, byte_fallback);
}

Result<std::unique_ptr<WordModel>> make_word_piece_model(WordVocabulary vocabulary, std::string unknown,
                                                         std::string continuing_prefix, size_t longest_word) {
  const auto id = vocabulary.find(unknown);
  if (!id) return fail(Code::kCorrupt, "model.unk_token: found \"{}\", expected a token", unknown);
  return std::make_unique<WordPieceModel>(std::move(vocabulary), *id, std::move(continuing_prefix),
                                          longest_word);
}

Result<std::unique_ptr<WordModel>> make_word_level_model(WordVocabulary vocabulary, std::string unknown) {
  const auto id = vocabulary.find(unknown);
  return std::make_unique<WordLevelModel>(std::move(vocabulary), id);
}

}  // namespace bantam::text
