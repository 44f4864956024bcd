// Training of byte-level BPE with incremental pair counts: each merge touches only the words that hold its
// pair.

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "text/byte_level_bpe.h"

namespace bantam::text {
namespace {

constexpr size_t kBytes = 256;

struct Word {
  std::vector<TokenId> symbols;
  int64_t count = 0;
};

using Pair = std::pair<TokenId, TokenId>;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    uint64_t key =
        static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 | static_cast<uint32_t>(pair.second);
    return (key ^ key >> 29) * 0x9e3779b97f4a7c15ULL >> 7;
  }
};

struct PairUse {
  int64_t count = 0;
  std::vector<uint32_t> words;  // those that hold it or once held it, perhaps repeated
};

struct Candidate {
  int64_t count;
  Pair pair;
  /// For a max-heap: more frequent first, the smaller pair of equals.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Trainer {
 public:
  Trainer(BpeVocabulary& vocab, const BpeTrainOptions& options) : vocab_(vocab), options_(options) {
    for (const auto& text : options.whole) forbidden_.insert(text);
    for (const auto& text : options.control) forbidden_.insert(text);
  }

  void add_bytes() {
    first_byte_ = static_cast<TokenId>(vocab_.texts.size());
    for (size_t byte = 0; byte < kBytes; ++byte) add_token(std::string(1, static_cast<char>(byte)));
  }

  void add_word(std::string_view text, int64_t count) {
    Word word{{}, count};
    for (unsigned char byte : text) word.symbols.push_back(first_byte_ + byte);
    words_.push_back(std::move(word));
  }

  /// Merges until the vocabulary has `size` tokens or no pair is frequent enough.
  void run(size_t size) {
    for (uint32_t w = 0; w < words_.size(); ++w) {
      const auto& symbols = words_[w].symbols;
      for (size_t i = 1; i < symbols.size(); ++i) change({symbols[i - 1], symbols[i]}, words_[w].count, w);
    }
    for (const auto& [pair, use] : uses_) heap_.push({use.count, pair});
    auto least = static_cast<int64_t>(std::max<size_t>(options_.min_frequency, 1));
    while (vocab_.texts.size() < size && !heap_.empty()) {
      Candidate best = heap_.top();
      heap_.pop();
      int64_t now = uses_[best.pair].count;
      if (now < least) continue;
      if (now != best.count) {  // stale; where the count grew, a newer entry stands in the heap already
        if (now < best.count) heap_.push({now, best.pair});
        continue;
      }
      std::string text = vocab_.texts[best.pair.first] + vocab_.texts[best.pair.second];
      if (!forbidden_.contains(text)) merge(best.pair, std::move(text));
    }
  }

 private:
  TokenId add_token(std::string text) {
    auto [place, added] = ids_.emplace(std::move(text), static_cast<TokenId>(vocab_.texts.size()));
    if (added) {
      vocab_.texts.push_back(place->first);
      vocab_.types.push_back(TokenType::kNormal);
    }
    return place->second;
  }

  void change(Pair pair, int64_t delta, uint32_t word) {
    auto& use = uses_[pair];
    use.count += delta;
    if (delta > 0 && (use.words.empty() || use.words.back() != word)) use.words.push_back(word);
  }

  void merge(Pair pair, std::string text) {
    if (merged_.insert(pair).second) vocab_.merges.push_back(pair);
    TokenId id = add_token(std::move(text));  // two pairs may give one text: then the token is there already
    std::vector<uint32_t> words = std::move(uses_[pair].words);
    std::ranges::sort(words);
    words.erase(std::ranges::unique(words).begin(), words.end());
    grown_.clear();
    for (uint32_t w : words) merge_in(w, pair, id);
    uses_.erase(pair);
    std::ranges::sort(grown_);
    grown_.erase(std::ranges::unique(grown_).begin(), grown_.end());
    for (const auto& p : grown_) {
      if (auto use = uses_.find(p); use != uses_.end()) heap_.push({use->second.count, p});
    }
  }

  /// Replaces `pair` by `id` in one word and corrects the counts of the pairs around each place.
  void merge_in(uint32_t w, Pair pair, TokenId id) {
    auto& [symbols, count] = words_[w];
    size_t out = 0;
    for (size_t i = 0; i < symbols.size(); ++out) {
      if (i + 1 >= symbols.size() || symbols[i] != pair.first || symbols[i + 1] != pair.second) {
        symbols[out] = symbols[i++];
        continue;
      }
      change(pair, -count, w);
      if (out > 0) {
        change({symbols[out - 1], pair.first}, -count, w);
        change({symbols[out - 1], id}, count, w);
        grown_.push_back({symbols[out - 1], id});
      }
      if (i + 2 < symbols.size()) {
        change({pair.second, symbols[i + 2]}, -count, w);
        change({id, symbols[i + 2]}, count, w);
        grown_.push_back({id, symbols[i + 2]});
      }
      symbols[out] = id;
      i += 2;
    }
    symbols.resize(out);
  }

  BpeVocabulary& vocab_;
  const BpeTrainOptions& options_;
  TokenId first_byte_ = 0;
  std::unordered_set<std::string> forbidden_;
  std::unordered_map<std::string, TokenId> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, PairUse, PairHash> uses_;
  std::priority_queue<Candidate> heap_;
  std::unordered_set<Pair, PairHash>
      merged_;               // a pair can come back when another merge gives the text of one of its halves
  std::vector<Pair> grown_;  // pairs whose count the current merge raised
};

Status check_options(std::span<const std::string> texts, const BpeTrainOptions& options) {
  if (std::ranges::all_of(texts, &std::string::empty)) {
    return fail(Code::kInvalidArgument, "tokenizer training: found no text, expected some");
  }
  size_t least = kBytes + options.control.size() + options.whole.size();
  if (options.vocab_size < least || options.vocab_size > (size_t{1} << 24)) {
    return fail(
        Code::kInvalidArgument,
        "tokenizer training: vocab_size: found {}, expected {} (bytes, control and whole tokens) to 2^24",
        options.vocab_size, least);
  }
  std::unordered_set<std::string_view> names;
  for (const auto* list : {&options.control, &options.whole}) {
    for (const auto& name : *list) {
      if (name.empty() || !names.insert(name).second) {
        return fail(Code::kInvalidArgument,
                    "tokenizer training: found \"{}\" {}, expected distinct control and whole tokens", name,
                    name.empty() ? "(empty)" : "twice");
      }
    }
  }
  for (const auto& name : options.whole) {
    if (name.size() == 1) {
      return fail(Code::kInvalidArgument,
                  "tokenizer training: whole token \"{}\": found one byte, expected two or more (each byte "
                  "is a token already)",
                  name);
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<BpeTokenizer>> train_bpe(std::span<const std::string> texts,
                                                const BpeTrainOptions& options) {
  BANTAM_TRY(check_options(texts, options));
  BpeVocabulary vocab;
  for (const auto& name : options.control) {
    vocab.texts.push_back(name);
    vocab.types.push_back(TokenType::kControl);
  }
  if (!options.control.empty()) {
    vocab.roles.bos = vocab.roles.eos = 0;
    vocab.roles.add_bos = true;
  }
  BANTAM_ASSIGN(auto splitter, Splitter::create(vocab.pre));
  std::unordered_map<std::string, int64_t> counts;
  for (const auto& text : texts) {
    BANTAM_TRY(splitter.split(text, [&](std::string_view word) { ++counts[std::string(word)]; }));
  }
  Trainer trainer(vocab, options);
  trainer.add_bytes();
  for (const auto& [word, count] : counts) {
    if (word.size() > 1) trainer.add_word(word, count);
  }
  trainer.run(options.vocab_size - options.whole.size());
  for (const auto& text : options.whole) {
    vocab.texts.push_back(text);
    vocab.types.push_back(TokenType::kNormal);
  }
  return ByteLevelBpe::create(std::move(vocab), "trained tokenizer");
}

}  // namespace bantam::text
