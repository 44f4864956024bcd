#pragma once
// Inside of Engine and Session. Not for other layers.

#include <algorithm>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "model/adapters.h"
#include "model/encoder.h"
#include "model/ngram_part.h"
#include "model/task_prompt.h"
#include "model/transformer.h"
#include "runtime/engine.h"
#include "tensor/storage.h"

namespace bantam::runtime {

/// How hidden states become one vector: `ARCHITECTURE.pooling_type` of the file; the mean where it names
/// none.
enum class Pooling { kMean, kFirst, kLast };
/// Errors: kUnsupported for another type.
Result<Pooling> read_pooling(const formats::GgufFile& file, std::string_view architecture);

/// The hidden states of one text, pooled.
class Pooled {
 public:
  explicit Pooled(size_t dim) : sum_(dim) {}
  /// hidden: [n, C], of the tokens from `position` on. Every token once, in order.
  void add(const float* hidden, size_t n, size_t position, Pooling pooling);
  /// [C], of length 1. Errors: kCorrupt where it has no direction.
  Result<std::vector<float>> vector() const;

 private:
  std::vector<double> sum_;
};

struct Engine::Impl {
  explicit Impl(formats::GgufFile opened) : file(std::move(opened)) {}
  /// Errors: kLimit.
  Result<model::Workspace> new_workspace() const {
    return model::Workspace::create(config, options.batch, adapters.empty() ? nullptr : &adapters);
  }

  /// Brings the weights into the form that products read, once, before the first of them. Errors: kLimit.
  Status prepare() const;

  formats::GgufFile file;
  EngineOptions options;  // with defaults filled in
  model::Config config;
  mutable model::Weights weights;  // prepare() adds the panels
  mutable std::once_flag prepared;
  mutable Status preparation;
  mutable tensor::Storage panels;  // of the matrices
  const kernels::Table* table = nullptr;
  model::Adapters adapters;
  std::vector<float> adapter_scales;  // of sequences that say nothing else
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::optional<model::Task> task;
  std::optional<model::TaskPrompt> prompt;
  std::vector<std::vector<TokenId>> choices;
  std::optional<model::NgramPart> ngrams;  // borrows from the file
  std::string chat_template;
  Pooling pooling = Pooling::kMean;
  MemoryPlan plan;
  mutable std::unique_ptr<ThreadPool> pool;
  mutable std::once_flag fingerprint_made;
  mutable std::string fingerprint;  // of the file, made when a state is saved or restored
  mutable std::once_flag vocabulary_made;
  mutable std::shared_ptr<const grammar::Vocabulary> vocabulary;
  std::unique_ptr<model::Transformer> transformer;  // of a decoder,
  std::unique_ptr<model::Encoder> encoder;          // or this
};

/// The cache of one sequence, what is in it, and the buffers to add to it.
struct Session::State {
  /// With room for the engine's context and buffers of its own, or with `workspace`, which others use too, and no room yet.
  static Result<std::unique_ptr<State>> create(std::shared_ptr<const Engine::Impl> engine,
                                               std::shared_ptr<model::Workspace> workspace = nullptr);

  /// Makes the cache hold exactly `tokens`, keeping what it shares with them, and leaves the last token's
  /// hidden state in hidden[0, C]. REQUIRES: tokens not empty, checked. False: cancelled, the cache holds a
  /// part.
  bool feed_prompt(std::span<const TokenId> tokens, const std::stop_token& cancel);
  /// Adds tokens behind those in the cache; hidden states of all of them (or of the last only) to `out`.
  void feed(std::span<const TokenId> tokens, bool all, float* out);
  void logits(const float* hidden, size_t n, std::span<const TokenId> rows, float* out) const;
  /// Errors: kInvalidArgument for no tokens or one outside the vocabulary, kLimit for tokens + `more` over
  /// the context.
  Status check_tokens(std::span<const TokenId> tokens, size_t more) const;
  /// Errors: kUnsupported for an encoder.
  Status check_decoder() const;
  /// As Session::set_adapters.
  Status use_adapters(std::span<const float> wanted);
  /// Errors: kInvalidArgument for a bias on a token outside the vocabulary.
  Status check_bias(const SamplingOptions& sampling) const;
  void rewind(size_t tokens) { past.resize(tokens); }
  /// Makes the cache one of `capacity` tokens, with pages for all of them. Errors: kLimit.
  Status reserve(uint32_t capacity);
  /// Gives back the pages behind the tokens that the cache holds.
  void trim();
  /// Makes the cache hold the first `tokens` of what another one of the engine holds: whole pages are shared from then on, the rest is
  /// copied. Errors: kLimit.
  Status share_prefix(const State& from, size_t tokens);
  /// Before `tokens` are added: copies of the pages there that others share. Throws std::bad_alloc.
  void make_writable(size_t tokens);
  /// Bytes of one head's keys at one position.
  size_t row_bytes() const;
  /// Calls fn(std::byte* first row, bytes) for the keys of `tokens` in all layers and heads, page by page, then for their values.
  template <class F>
  Status for_rows(size_t tokens, const F& fn) const {
    const size_t half = model::KvCache::page_bytes(engine->config, cache.type) / 2, run = model::kPageTokens * row_bytes();
    for (size_t at = 0; at < 2 * half; at += run) {
      for (size_t begin = 0; begin < tokens; begin += model::kPageTokens) {
        const size_t rows = std::min<size_t>(model::kPageTokens, tokens - begin);
        BANTAM_TRY(fn(cache.pages[begin / model::kPageTokens] + at, rows * row_bytes()));
      }
    }
    return {};
  }

  std::shared_ptr<const Engine::Impl> engine;
  using Page = std::shared_ptr<tensor::Storage>;
  std::vector<Page> pages;            // some shared with other sessions, which then write to none of those
  std::vector<std::byte*> addresses;  // of their bytes
  model::KvCache cache;               // a view of them
  std::shared_ptr<model::Workspace> workspace;
  std::vector<TokenId> past;      // tokens whose keys and values the cache holds
  std::vector<float> scales;      // of the engine's adapters, for all of them
  std::vector<float> hidden;      // [1, C]
  std::vector<float> vocabulary;  // [V], taken when first needed
  std::vector<float> scratch;     // of advance()
  std::vector<uint32_t> outputs;  // 0 .. batch - 1
};

/// Scores of the choices after the prompt whose last hidden state state.hidden holds, as Choice::scores.
/// REQUIRES: choices checked.
Result<std::vector<double>> score_choices(Session::State& state,
                                          std::span<const std::vector<TokenId>> choices,
                                          const std::stop_token& cancel);

}  // namespace bantam::runtime
