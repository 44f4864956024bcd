#include "eval/linear_baseline.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "eval/linear_solver.h"
#include "text/ngrams.h"

namespace bantam::eval {
namespace {

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
struct Equal {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
};
using Vocabulary = std::unordered_map<std::string, uint32_t, Hash, Equal>;

/// The n-grams of one kind: their indices and their weights.
struct Block {
  Vocabulary vocabulary;
  std::vector<float> idf;  // of index - first
  uint32_t first = 0;
};

enum Kind : size_t { kWords, kCharacters, kKinds };

void each_ngram(const text::LowerText& text, Kind kind, const LinearOptions& options, const text::LowerText::Sink& sink) {
  if (kind == kWords) {
    text.word_ngrams(options.word_min, options.word_max, sink);
  } else {
    text.char_ngrams(options.char_min, options.char_max, sink);
  }
}

/// Sorts, adds up equal indices: the counts of one text.
Sparse term_counts(std::vector<uint32_t>& indices) {
  std::sort(indices.begin(), indices.end());
  Sparse counts;
  for (uint32_t index : indices) {
    if (!counts.empty() && counts.back().index == index) {
      counts.back().value += 1;
    } else {
      counts.push_back({index, 1.0});
    }
  }
  return counts;
}

/// Collects the n-grams of one kind that occur in enough examples, numbered from `first` by first appearance.
Block learn(std::span<const text::LowerText> texts, Kind kind, const LinearOptions& options, uint32_t first) {
  struct Seen {
    uint32_t examples = 0, order = 0;
    size_t last = std::numeric_limits<size_t>::max();
  };
  std::unordered_map<std::string, Seen, Hash, Equal> seen;
  for (size_t i = 0; i < texts.size(); ++i) {
    each_ngram(texts[i], kind, options, [&](std::string_view ngram) {
      auto found = seen.find(ngram);
      if (found == seen.end()) {
        found = seen.emplace(std::string(ngram), Seen{.order = static_cast<uint32_t>(seen.size())}).first;
      }
      if (found->second.last != i) ++found->second.examples;
      found->second.last = i;
    });
  }
  std::vector<std::pair<uint32_t, const std::string*>> kept;  // order, n-gram
  for (const auto& [ngram, s] : seen) {
    if (s.examples >= static_cast<uint32_t>(options.min_df)) kept.emplace_back(s.order, &ngram);
  }
  std::sort(kept.begin(), kept.end());
  Block block;
  block.first = first;
  block.vocabulary.reserve(kept.size());
  for (const auto& [order, ngram] : kept) {
    const double df = seen.find(*ngram)->second.examples;
    block.vocabulary.emplace(*ngram, first + static_cast<uint32_t>(block.idf.size()));
    block.idf.push_back(
        static_cast<float>(std::log((1.0 + static_cast<double>(texts.size())) / (1.0 + df)) + 1.0));
  }
  return block;
}

/// The TF-IDF vector of one text: each block scaled to length 1, the blocks one after the other.
Sparse vectorize(const text::LowerText& text, std::span<const Block> blocks, const LinearOptions& options) {
  Sparse all;
  std::vector<uint32_t> indices;
  for (Kind kind : {kWords, kCharacters}) {
    const Block& block = blocks[kind];
    indices.clear();
    each_ngram(text, kind, options, [&](std::string_view ngram) {
      const auto found = block.vocabulary.find(ngram);
      if (found != block.vocabulary.end()) indices.push_back(found->second);
    });
    Sparse counts = term_counts(indices);
    double squares = 0;
    for (auto& entry : counts) {
      const double tf = options.sublinear_tf ? 1 + std::log(entry.value) : entry.value;
      entry.value = tf * block.idf[entry.index - block.first];
      squares += entry.value * entry.value;
    }
    for (auto& entry : counts) entry.value /= std::sqrt(squares);
    all.insert(all.end(), counts.begin(), counts.end());
  }
  return all;
}

Status check(std::span<const formats::Example> examples, size_t labels, const LinearOptions& options) {
  if (options.word_min < 1 || options.word_max < options.word_min || options.char_min < 1 ||
      options.char_max < options.char_min || options.min_df < 1 || !(options.c > 0)) {
    return fail(Code::kInvalidArgument,
                "linear baseline: word n-grams {}-{}, character n-grams {}-{}, min_df {}, C {}: expected 1 "
                "<= min <= max, "
                "min_df >= 1, C > 0",
                options.word_min, options.word_max, options.char_min, options.char_max, options.min_df,
                options.c);
  }
  return check_linear_examples(examples, labels);
}

}  // namespace

struct LinearBaseline::Impl {
  LinearOptions options;
  std::vector<Block> blocks;
  LinearWeights weights;
  size_t labels = 0;
  uint32_t features = 0;
};

LinearBaseline::LinearBaseline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinearBaseline::LinearBaseline(LinearBaseline&&) noexcept = default;
LinearBaseline& LinearBaseline::operator=(LinearBaseline&&) noexcept = default;
LinearBaseline::~LinearBaseline() = default;

Result<LinearBaseline> LinearBaseline::train(std::span<const formats::Example> examples, size_t labels,
                                             const LinearOptions& options) {
  BANTAM_TRY(check(examples, labels, options));
  std::vector<text::LowerText> texts;
  texts.reserve(examples.size());
  for (const auto& example : examples) texts.emplace_back(example.text);
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->labels = labels;
  for (Kind kind : {kWords, kCharacters}) {
    impl->blocks.push_back(learn(texts, kind, options, impl->features));
    impl->features += static_cast<uint32_t>(impl->blocks.back().idf.size());
  }
  if (impl->features == 0) {
    return fail(Code::kInvalidArgument, "linear baseline: no n-gram occurs in {} of the {} texts",
                options.min_df, examples.size());
  }
  std::vector<Sparse> rows;
  rows.reserve(texts.size());
  for (const auto& text : texts) rows.push_back(vectorize(text, impl->blocks, options));
  impl->weights = solve_linear(std::move(rows), examples, impl->features, options.c);
  return LinearBaseline(std::move(impl));
}

std::vector<double> LinearBaseline::decision(std::string_view text) const {
  const auto& weights = impl_->weights;
  const size_t columns = weights.label_of.size();
  const float* bias = &weights.values[impl_->features * columns];
  std::vector<double> sums(bias, bias + columns);
  for (const auto& entry : vectorize(text::LowerText(text), impl_->blocks, impl_->options)) {
    const float* row = &weights.values[entry.index * columns];
    for (size_t k = 0; k < columns; ++k) sums[k] += entry.value * row[k];
  }
  std::vector<double> margins(impl_->labels, -std::numeric_limits<double>::infinity());
  for (size_t k = 0; k < columns; ++k) margins[static_cast<size_t>(weights.label_of[k])] = sums[k];
  return margins;
}

int32_t LinearBaseline::predict(std::string_view text) const {
  const auto margins = decision(text);
  return static_cast<int32_t>(std::max_element(margins.begin(), margins.end()) - margins.begin());
}

uint64_t LinearBaseline::features() const { return impl_->features; }
uint64_t LinearBaseline::parameters() const { return impl_->weights.values.size(); }

uint64_t LinearBaseline::bytes() const {
  uint64_t total =
      impl_->weights.values.size() * sizeof(float) + impl_->weights.label_of.size() * sizeof(int32_t);
  for (const auto& block : impl_->blocks) {
    total += block.idf.size() * sizeof(float) + block.vocabulary.bucket_count() * sizeof(void*);
    for (const auto& [ngram, index] : block.vocabulary) {
      // A node: the link, the stored hash, the pair, and the text where it is too long for the string itself.
      total += 2 * sizeof(void*) + sizeof(std::pair<const std::string, uint32_t>);
      if (ngram.capacity() > std::string().capacity()) total += ngram.capacity() + 1;
    }
  }
  return total;
}

}  // namespace bantam::eval
