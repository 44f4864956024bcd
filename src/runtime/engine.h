#pragma once
// A loaded model that generates and chooses. An Engine is immutable and shared; each Session has a KV cache
// of its own.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "kernels/roofline.h"
#include "model/config.h"
#include "model/task.h"
#include "runtime/sampling.h"
#include "tensor/dtype.h"
#include "text/tokenizer.h"

namespace bantam::runtime {

/// A low-rank adapter (model/adapter_file.h) and how much of it sequences have unless they say otherwise.
struct AdapterOption {
  std::string path;
  float scale = 1;
};

/// "FILE" or "FILE:SCALE": what follows the last colon is a scale where it is a number. Errors:
/// kInvalidArgument for no file.
Result<AdapterOption> parse_adapter(std::string_view text);

/// Of keys and values: "f32", "f16" or "q8_0". Errors: kInvalidArgument.
Result<tensor::DType> parse_cache_type(std::string_view text);

struct EngineOptions {
  unsigned threads = 0;         // 0: one per hardware thread
  uint32_t context_length = 0;  // 0: the model's own, at most 8,192; more than it has is kInvalidArgument
  uint32_t batch = 256;         // prompt tokens per forward pass
  tensor::DType kv_cache = tensor::DType::kF16;  // or kF32, kQ8_0
  std::vector<AdapterOption> adapters = {};      // all of them at work at once
};

/// Bytes, known before weights are read and caches taken. `weights` are used in place in the mapped file, or
/// stand once, with their rows interleaved, in memory of the engine's own; `text` is what metadata and tokenizer took when they were loaded; `kv_cache` and `buffers` are one
/// session's.
struct MemoryPlan {
  uint64_t weights = 0, text = 0, kv_cache = 0, buffers = 0;
  uint64_t total() const { return computed() + text; }
  /// Without what was measured: the same for the same file and options.
  uint64_t computed() const { return weights + kv_cache + buffers; }
};

/// What one token takes at the least, for telling a speed as a share of the machine's (kernels/roofline.h).
struct TokenWork {
  uint64_t bytes = 0;                // of weights, all read for a token that is generated
  uint64_t layer_multiply_adds = 0;  // of a token of a prompt; attention not counted
  uint64_t head_multiply_adds = 0;   // of the one after whose logits are wanted
};

class Grammar;
class Drafter;
namespace grammar {
class Vocabulary;
}

/// What to do where the context is full and the answer goes on: keep the first `keep` tokens (BOS always),
/// drop the first half of the others, and read the rest again at its new place, so that the state is the one
/// that this shorter text has by itself.
struct ContextShift {
  uint32_t keep = 0;
};

struct GenerateOptions {
  SamplingOptions sampling = {};
  uint32_t max_tokens = 256;
  std::vector<std::string> stop = {};  // generation ends before the first of these
  bool ignore_end = false;             // go on past end-of-generation tokens (benchmarks)
  /// When set, Generation::logprobs holds each token's, beside those of so many of the likeliest.
  std::optional<uint32_t> top_logprobs = {};
  std::stop_token cancel = {};
  /// What the text must be: it ends when nothing more may follow.
  std::shared_ptr<const Grammar> grammar = {};
  /// Proposes tokens to check several at a time; the text is the same without. One generation's at a time.
  std::shared_ptr<Drafter> drafter = {};
  /// None: the answer ends at the context's end (Finish::kLength).
  std::optional<ContextShift> shift = {};
  /// The scale of each of the engine's adapters from now on; none: as the session has them.
  std::optional<std::vector<float>> adapter_scales = {};
  /// With top_logprobs: called for each token, before its text.
  std::function<void(const TokenLogprobs&)> on_logprobs = {};
  /// Of a scheduler's job: asked before each step; true lets it wait (a reader that is behind).
  std::function<bool()> paused = {};
  /// Called with each piece of complete UTF-8 text once it is known not to begin a stop string. Return false
  /// to end.
  std::function<bool(std::string_view text)> on_text = {};
};

enum class Finish {
  kStop,       // an end token or a stop string
  kLength,     // max_tokens or the context's end
  kCancelled,  // cancel, or on_text returned false
};

struct Generation {
  std::vector<TokenId> tokens;          // without the end token
  std::vector<TokenLogprobs> logprobs;  // one per token, when asked for
  std::string text;
  Finish finish = Finish::kStop;
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;        // of the prompt's, those whose keys and values were there already
  uint32_t shifts = 0, shifted = 0;  // how often the context was full, and tokens dropped there
  uint32_t drafted = 0, kept = 0;    // tokens proposed by the drafter, and those that were right
  double prefill_seconds = 0, decode_seconds = 0;
};

/// The outcome of choosing one of several texts. Probabilities are the softmax over the choices of the sum of
/// their tokens' log-probabilities divided by the temperature; a choice that is a prefix of another is ended
/// by the end token.
struct Choice {
  size_t best = 0;                    // index into the choices; ties go to the first
  std::vector<double> probabilities;  // one per choice, sum 1
  std::vector<double> scores;  // log-probability of each choice before the softmax, up to a common constant
  double confidence() const { return probabilities[best]; }
  uint32_t prompt_tokens = 0;
};

class Engine;

/// One sequence's state. Use from one thread at a time; several sessions of an engine may run at once, and
/// outlive it. A call whose prompt begins as the tokens before did takes their keys and values from the
/// cache; the result is the same in every bit as without them.
class Session {
 public:
  ~Session();
  /// Errors: kLimit when the prompt does not fit the context (message: tokens found, tokens allowed); nothing
  /// is ever cut.
  Result<Generation> generate(std::span<const TokenId> prompt, const GenerateOptions& options);
  /// `prior`, where there is one, is added to the choices' scores. Errors: kLimit as above; kInvalidArgument
  /// for no choices or an empty one, or a prior of another length.
  Result<Choice> choose(std::span<const TokenId> prompt, std::span<const std::vector<TokenId>> choices,
                        double temperature = 1.0, std::stop_token cancel = {},
                        std::span<const double> prior = {});
  /// The text's vector [C], of length 1: the mean of the last hidden states, or the first or last one where
  /// the file's pooling_type says so. Starts afresh. Errors: as generate; kCancelled.
  Result<std::vector<float>> embed(std::span<const TokenId> tokens, std::stop_token cancel = {});
  /// Logits after each token, for perplexity and for tests: calls sink(t, logits[V]) for t = 0 .. T-1. Starts
  /// afresh.
  Status logits(std::span<const TokenId> tokens,
                const std::function<void(size_t, std::span<const float>)>& sink);
  /// The `most` likeliest tokens after `tokens`, each the likeliest after those before it. REQUIRES: they fit
  /// the context.
  void continue_greedily(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out);
  /// The scale of each of the engine's adapters, from the next call on. What the cache holds is forgotten
  /// where that changes it. Errors: kInvalidArgument for another number of them or a scale that is no number.
  Status set_adapters(std::span<const float> scales);
  /// The tokens whose keys and values the session holds. Valid until its next call.
  std::span<const TokenId> tokens() const;
  /// Writes them with their keys and values to a file, complete or not at all (state_file.h). Errors:
  /// kInvalidArgument for a session without tokens, kUnsupported for an encoder; kIo, kNoSpace.
  Status save(const std::string& path) const;
  /// Takes them back, in place of what the session holds: a call whose prompt begins with these tokens gives
  /// what it would have given before, in every bit. Errors, after which the session is as it was: kCorrupt
  /// for a damaged file; kInvalidArgument for the state of another model, other adapters or another kind of
  /// cache; kLimit for more tokens than the context.
  Status restore(const std::string& path);
  /// Forgets all tokens, so that the next call starts from nothing (for measurements).
  void reset();

  struct State;

 private:
  friend class Engine;
  friend class Scheduler;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Engine {
 public:
  /// Errors: those of GgufFile::open, read_config, load_tokenizer and AdapterFile::open; kCorrupt for a
  /// missing or mis-shaped tensor (its name, found, expected); kUnsupported for an adapter of an encoder;
  /// kLimit when the plan does not fit the memory that is available.
  static Result<std::shared_ptr<const Engine>> load(const std::string& path,
                                                    const EngineOptions& options = {});
  /// The same of a file's bytes, which must outlive the engine and its sessions. `name` stands for the path.
  static Result<std::shared_ptr<const Engine>> load(std::span<const std::byte> bytes, std::string name,
                                                    const EngineOptions& options = {});
  ~Engine();

  /// Brings the weights into the form that products read; otherwise the first session does, and is late by
  /// that. Errors: kLimit.
  Status prepare() const;
  Result<std::unique_ptr<Session>> new_session() const;
  /// The vocabulary as grammars need it; made at the first call (some 0.1 s for 100,000 tokens).
  std::shared_ptr<const grammar::Vocabulary> vocabulary() const;
  /// Another one, in which these control tokens stand for their text.
  std::shared_ptr<const grammar::Vocabulary> vocabulary(std::span<const TokenId> shown) const;

  const std::string& path() const;
  uint64_t file_bytes() const;
  /// Of the decoder or encoder, and of the n-gram part where the file has one.
  uint64_t parameters() const;
  const model::Config& config() const;
  const text::Tokenizer& tokenizer() const;
  const std::optional<model::Task>& task() const;
  uint32_t context_length() const;
  MemoryPlan memory() const;
  TokenWork token_work() const;
  /// The machine at this engine's threads, measured now.
  kernels::Roofline roofline() const;
  const std::vector<AdapterOption>& adapters() const;
  /// tokenizer.chat_template, empty when the file has none.
  const std::string& chat_template() const;

  /// The task's prompt with `input` in place, tokenised: control tokens of the template parsed, those in the
  /// input not. Errors: kInvalidArgument when the model has no task.
  Result<std::vector<TokenId>> task_prompt(std::string_view input) const;
  /// The task's choices, tokenised once at load.
  std::span<const std::vector<TokenId>> task_choices() const;
  /// What the n-gram part of the classifier (model/ngram_part.h) adds to the choices' scores; empty where it has none.
  std::vector<double> task_prior(std::string_view input) const;
  /// task_prompt + choose with task_prior, in a session of the caller's: at a temperature of 1, for calibrating.
  Result<Choice> score(Session& session, std::string_view input, std::stop_token cancel = {}) const;
  /// The same at the calibration's temperature.
  Result<Choice> classify(Session& session, std::string_view input, std::stop_token cancel = {}) const;

  struct Impl;

 private:
  friend class Scheduler;
  explicit Engine(std::shared_ptr<const Impl> impl);
  static Result<std::shared_ptr<const Engine>> make(formats::GgufFile file, const EngineOptions& options,
                                                    uint64_t own_before);
  std::shared_ptr<const Impl> impl_;  // sessions share it
};

}  // namespace bantam::runtime
