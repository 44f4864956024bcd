#pragma once
// How sure a team is of its SLM's answer: signals measured on the answer, and one number made of them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "collab/agreement.h"
#include "collab/llm_call.h"
#include "collab/prompt_template.h"
#include "collab/trace.h"
#include "compress/confidence.h"

namespace bantam::collab {

enum class ConfidenceBy {
  kModel,       // Reply::confidence: a task model's calibrated one
  kSequence,    // the probability of the whole text: the product of its tokens'
  kMeanToken,   // their geometric mean
  kLeastToken,  // the least of them
  kMargin,      // of the two likeliest choices
  kEntropy,     // 1 - the choices' entropy, as a share of the largest possible
  kSamples,     // share of further samples that agree with the answer
  kSelfCheck,   // what the SLM, asked, gives to its answer being right
  kLearned,     // a logistic combination of all that is measured
};

struct ConfidenceOptions {
  ConfidenceBy by = ConfidenceBy::kModel;
  uint32_t samples = 0;  // further answers of the SLM; kSamples needs at least 1
  float sample_temperature = 0.8F;
  Agreement agreement;            // of samples; not kJudge
  bool self_check = false;        // measured too, for kLearned
  std::string self_check_prompt;  // places {request}, {draft}; empty: a default in English
  std::string yes = "yes", no = "no";
  std::vector<double> weights;  // of kLearned: what compress::Combination::weights() gave
};

/// Immutable; safe to use from many threads.
class ConfidenceMeter {
 public:
  /// Errors: kInvalidArgument naming the key.
  static Result<ConfidenceMeter> make(ConfidenceOptions options);

  /// Whether the SLM has to be asked for log-probabilities.
  bool needs_logprobs() const;
  /// What an answer by itself shows, without asking anything more.
  static compress::Signals signals_of(const chat::Reply& reply);
  /// What `measure` makes its number of.
  chat::Awaitable<compress::Signals> signals(LlmCall& slm, const chat::Request& request,
                                             const chat::Reply& reply, Trace& trace) const;
  /// Measures what is configured; samples and self-check are further calls of the SLM and go into the trace.
  /// A call that fails leaves its signal unknown. In [0, 1]; none where what it rests on is unknown.
  chat::Awaitable<std::optional<double>> measure(LlmCall& slm, const chat::Request& request,
                                                 const chat::Reply& reply, Trace& trace) const;

 private:
  ConfidenceMeter(ConfidenceOptions options, PromptTemplate prompt,
                  std::optional<compress::Combination> learned)
      : options_(std::move(options)), prompt_(std::move(prompt)), learned_(std::move(learned)) {}
  std::optional<double> value(const compress::Signals& signals, const chat::Reply& reply) const;

  ConfidenceOptions options_;
  PromptTemplate prompt_;
  std::optional<compress::Combination> learned_;
};

}  // namespace bantam::collab
