#include "eval/linear_baseline.h"

#include <linear.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "eval/ngrams.h"

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

struct Weighted {
  uint32_t index;
  double value;
};
using Sparse = std::vector<Weighted>;  // indices ascending and unique

/// The n-grams of one kind: their indices and their weights.
struct Block {
  Vocabulary vocabulary;
  std::vector<float> idf;  // of index - first
  uint32_t first = 0;
};

enum Kind : size_t { kWords, kCharacters, kKinds };

void each_ngram(const LowerText& text, Kind kind, const LinearOptions& options, const LowerText::Sink& sink) {
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
Block learn(std::span<const LowerText> texts, Kind kind, const LinearOptions& options, uint32_t first) {
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
Sparse vectorize(const LowerText& text, std::span<const Block> blocks, const LinearOptions& options) {
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

void silent(const char*) {}

/// liblinear numbers features from 1 and ends a vector with index -1; the bias is a feature of its own after
/// the others.
struct Problem {
  std::vector<std::vector<feature_node>> rows;
  std::vector<feature_node*> pointers;
  std::vector<double> gold;
};

Problem make_problem(std::span<const LowerText> texts, std::span<const formats::Example> examples,
                     std::span<const Block> blocks, uint32_t features, const LinearOptions& options) {
  Problem problem;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto& row = problem.rows.emplace_back();
    for (const auto& entry : vectorize(texts[i], blocks, options)) {
      row.push_back({static_cast<int>(entry.index) + 1, entry.value});
    }
    row.push_back({static_cast<int>(features) + 1, 1.0});
    row.push_back({-1, 0.0});
    problem.gold.push_back(examples[i].label);
  }
  for (auto& row : problem.rows) problem.pointers.push_back(row.data());
  return problem;
}

struct Weights {
  std::vector<float> values;      // [features + 1][columns], the bias last
  std::vector<int32_t> label_of;  // of a column
};

/// Trains; two labels give one column in liblinear, which is written here as two, so that each label has its
/// margin.
Weights solve(Problem& problem, uint32_t features, double c) {
  static std::mutex turn;  // liblinear draws from rand() and prints through a global function
  const std::lock_guard lock(turn);
  ::set_print_string_function(&silent);
  ::srand(1);
  // No bias term for liblinear: it is a feature already, so that the weights of all lie in one array.
  ::problem input{.l = static_cast<int>(problem.rows.size()),
                  .n = static_cast<int>(features) + 1,
                  .y = problem.gold.data(),
                  .x = problem.pointers.data(),
                  .bias = -1};
  ::parameter options{};
  options.solver_type = L2R_L2LOSS_SVC_DUAL;
  options.eps = 0.1;  // liblinear's own default for this solver
  options.C = c;
  ::model* trained = ::train(&input, &options);
  const auto columns = static_cast<size_t>(trained->nr_class);
  Weights weights;
  weights.label_of.assign(trained->label, trained->label + columns);
  weights.values.resize((features + size_t{1}) * columns);
  for (size_t f = 0; f <= features; ++f) {
    for (size_t k = 0; k < columns; ++k) {
      const double w = columns == 2 ? (k == 0 ? trained->w[f] : -trained->w[f]) : trained->w[f * columns + k];
      weights.values[f * columns + k] = static_cast<float>(w);
    }
  }
  ::free_and_destroy_model(&trained);
  return weights;
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
  if (examples.empty()) return fail(Code::kInvalidArgument, "linear baseline: found no training examples");
  std::vector<bool> present(labels);
  for (const auto& example : examples) {
    if (example.label < 0 || static_cast<size_t>(example.label) >= labels) {
      return fail(Code::kInvalidArgument,
                  "linear baseline: the example of line {} has label {}, expected 0 to {}", example.line,
                  example.label, static_cast<int64_t>(labels) - 1);
    }
    present[static_cast<size_t>(example.label)] = true;
  }
  if (std::count(present.begin(), present.end(), true) < 2) {
    return fail(Code::kInvalidArgument,
                "linear baseline: all {} training examples have one label, expected at least two",
                examples.size());
  }
  return {};
}

}  // namespace

struct LinearBaseline::Impl {
  LinearOptions options;
  std::vector<Block> blocks;
  Weights weights;
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
  std::vector<LowerText> texts;
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
  Problem problem = make_problem(texts, examples, impl->blocks, impl->features, options);
  impl->weights = solve(problem, impl->features, options.c);
  return LinearBaseline(std::move(impl));
}

std::vector<double> LinearBaseline::decision(std::string_view text) const {
  const auto& weights = impl_->weights;
  const size_t columns = weights.label_of.size();
  const float* bias = &weights.values[impl_->features * columns];
  std::vector<double> sums(bias, bias + columns);
  for (const auto& entry : vectorize(LowerText(text), impl_->blocks, impl_->options)) {
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
