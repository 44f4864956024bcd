// ngram_model: bits per byte of an interpolated n-gram model, the classical yardstick for a small language
// model. Modified Kneser-Ney smoothing (Chen and Goodman 1999, section 3) over the tokens of a GGUF's
// vocabulary, learned from the same documents that pretraining uses.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "formats/documents.h"
#include "text/tokenizer.h"

namespace {

using namespace bantam;

constexpr int kMostOrder = 6;

/// The hash of a context in 48 bits and a word in 16: one key. Contexts collide once in 2^48.
uint64_t context_hash(const uint16_t* first, int length) {
  uint64_t h = 0x9e3779b97f4a7c15ULL + static_cast<uint64_t>(length);
  for (int i = 0; i < length; ++i) {
    h = (h ^ first[i]) * 0xff51afd7ed558ccdULL;
    h ^= h >> 32;
  }
  return h >> 16;
}

/// Open addressing from a key to a count; key 0 is none.
template <class Value>
class Table {
 public:
  Table() : slots_(1 << 16) {}
  /// The value of a key, inserted where it is new.
  Value& at(uint64_t key) {
    if (used_ * 10 > slots_.size() * 6) grow();
    Slot& slot = find(key + 1);
    if (slot.key == 0) {
      slot.key = key + 1;
      ++used_;
    }
    return slot.value;
  }
  const Value* look(uint64_t key) const {
    const Slot& slot = const_cast<Table*>(this)->find(key + 1);
    return slot.key == 0 ? nullptr : &slot.value;
  }
  template <class Each>
  void for_each(const Each& each) const {
    for (const Slot& slot : slots_) {
      if (slot.key != 0) each(slot.key - 1, slot.value);
    }
  }
  size_t size() const { return used_; }

 private:
  struct Slot {
    uint64_t key = 0;
    Value value{};
  };
  Slot& find(uint64_t key) {
    const size_t mask = slots_.size() - 1;
    for (size_t i = (key * 0x9e3779b97f4a7c15ULL) >> 20 & mask;; i = (i + 1) & mask) {
      if (slots_[i].key == key || slots_[i].key == 0) return slots_[i];
    }
  }
  void grow() {
    std::vector<Slot> old = std::move(slots_);
    slots_.assign(old.size() * 2, {});
    for (const Slot& slot : old) {
      if (slot.key != 0) find(slot.key) = slot;
    }
  }
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

/// What follows a context: the sum of the counts and how many words have count 1, 2 and more.
struct Followers {
  uint32_t total = 0;
  std::array<uint32_t, 3> words{};
};

class NGramModel {
 public:
  NGramModel(int order, size_t vocabulary) : order_(order), vocabulary_(vocabulary) {}

  /// `tokens` has order - 1 start tokens in front.
  void learn(const std::vector<uint16_t>& tokens) {
    for (size_t i = static_cast<size_t>(order_) - 1; i < tokens.size(); ++i) {
      // The highest order counts occurrences, the others different words before the gram: those grow only
      // when the gram one longer is new.
      for (int k = order_; k >= 1; --k) {
        if (counts_[k].at(key(tokens, i, k))++ != 0) break;
      }
    }
  }

  void finish() {
    for (int k = 1; k <= order_; ++k) {
      std::array<double, 5> of{};  // how many grams have count 1 to 4
      counts_[k].for_each([&](uint64_t key, uint32_t count) {
        if (count <= 4) ++of[count];
        Followers& f = followers_[k].at(key >> 16);
        f.total += count;
        ++f.words[std::min<uint32_t>(count, 3) - 1];
      });
      const double y = of[1] / std::max(1.0, of[1] + 2 * of[2]);
      for (int c = 1; c <= 3; ++c)
        discounts_[k][c - 1] =
            of[c] > 0 ? std::clamp(c - (c + 1) * y * of[c + 1] / of[c], 0.0, double(c)) : 0.5;
    }
  }

  double probability(const std::vector<uint16_t>& tokens, size_t i) const {
    double p = 1.0 / static_cast<double>(vocabulary_);
    for (int k = 1; k <= order_; ++k) {
      const uint64_t gram = key(tokens, i, k);
      const Followers* f = followers_[k].look(gram >> 16);
      if (f == nullptr) break;  // no longer context was seen either
      const uint32_t* count = counts_[k].look(gram);
      const auto& d = discounts_[k];
      const double left = d[0] * f->words[0] + d[1] * f->words[1] + d[2] * f->words[2];
      const double own = count == nullptr ? 0.0 : *count - d[std::min<uint32_t>(*count, 3) - 1];
      p = (own + left * p) / f->total;
    }
    return p;
  }

  size_t grams(int k) const { return counts_[k].size(); }

 private:
  static uint64_t key(const std::vector<uint16_t>& tokens, size_t i, int k) {
    return context_hash(tokens.data() + i - (static_cast<size_t>(k) - 1), k - 1) << 16 | tokens[i];
  }

  int order_;
  size_t vocabulary_;
  std::array<Table<uint32_t>, kMostOrder + 1> counts_;
  std::array<Table<Followers>, kMostOrder + 1> followers_;
  std::array<std::array<double, 3>, kMostOrder + 1> discounts_{};
};

struct Arguments {
  std::string vocabulary;
  std::vector<std::string> train, test;
  uint32_t held_back = 10;
  int order = 5;
  bool only_test = false;
};

/// A document's tokens behind order - 1 start tokens.
Result<std::vector<uint16_t>> tokens_of(const text::Tokenizer& tokenizer, const std::string& document,
                                        int order) {
  BANTAM_ASSIGN(const auto ids, tokenizer.encode(document, {.add_special = false, .parse_special = false}));
  std::vector<uint16_t> out(static_cast<size_t>(order) - 1,
                            static_cast<uint16_t>(tokenizer.bos().value_or(0)));
  out.insert(out.end(), ids.begin(), ids.end());
  return out;
}

/// Calls work(document, held back) for every document of a file.
Status for_each_document(const std::string& path, uint32_t held_back,
                         const std::function<Status(const std::string&, bool)>& work) {
  BANTAM_ASSIGN(auto reader, formats::DocumentReader::open(path));
  uint64_t index = 0;
  for (std::string document;;) {
    BANTAM_ASSIGN(const bool more, reader.next(document));
    if (!more) return {};
    ++index;
    BANTAM_TRY(work(document, held_back > 0 && index % held_back == 0));
  }
}

Status run(const Arguments& a) {
  BANTAM_ASSIGN(auto file, formats::GgufFile::open(a.vocabulary));
  BANTAM_ASSIGN(auto tokenizer, text::load_tokenizer(file));
  if (tokenizer->vocab_size() > 65536)
    return fail(Code::kUnsupported, "{}: more than 65536 tokens", a.vocabulary);
  NGramModel model(a.order, tokenizer->vocab_size());
  uint64_t learned = 0;
  for (const auto& path : a.train) {
    BANTAM_TRY(for_each_document(path, a.held_back, [&](const std::string& document, bool held) -> Status {
      if (held) return {};
      BANTAM_ASSIGN(const auto tokens, tokens_of(*tokenizer, document, a.order));
      learned += tokens.size();
      model.learn(tokens);
      return {};
    }));
    fmt::print(stderr, "learned {}: {} tokens, {} {}-grams so far\n", path, learned, model.grams(a.order),
               a.order);
  }
  model.finish();
  auto measure = [&](const std::string& path, bool only_held) -> Status {
    double bits = 0;
    uint64_t bytes = 0;
    BANTAM_TRY(for_each_document(path, only_held ? a.held_back : 0,
                                 [&](const std::string& document, bool held) -> Status {
                                   if (held != only_held) return {};
                                   BANTAM_ASSIGN(const auto tokens, tokens_of(*tokenizer, document, a.order));
                                   for (size_t i = static_cast<size_t>(a.order) - 1; i < tokens.size(); ++i)
                                     bits -= std::log2(model.probability(tokens, i));
                                   bytes += document.size();
                                   return {};
                                 }));
    fmt::print("{}\t{}\t{}\t{:.4f}\n", path, only_held ? "held back" : "whole", bytes,
               bits / static_cast<double>(std::max<uint64_t>(1, bytes)));
    return {};
  };
  for (const auto& path : a.train) {
    if (!a.only_test) BANTAM_TRY(measure(path, true));
  }
  for (const auto& path : a.test) BANTAM_TRY(measure(path, false));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Bits per byte of an interpolated n-gram model (modified Kneser-Ney): file, part, bytes, bits per "
      "byte"};
  Arguments a;
  app.add_option("--vocabulary", a.vocabulary, "GGUF whose tokens are the words")->required();
  app.add_option("--train", a.train,
                 "Text collections to learn from (.txt, .txt.xz); their held-back documents are measured")
      ->required();
  app.add_option("--test", a.test, "Texts to measure besides");
  app.add_option("--held-back-one-in", a.held_back, "As in the pretraining recipe")->capture_default_str();
  app.add_flag("--only-test", a.only_test, "Measure the --test texts alone");
  app.add_option("--order", a.order, "Longest gram")->check(CLI::Range(1, kMostOrder))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (auto done = run(a); !done) {
    fmt::print(stderr, "ngram_model: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
