#include "collab/confidence.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "collab/ask.h"

namespace bantam::collab {
namespace {

using chat::Reply;
using chat::Request;
using compress::Signals;

constexpr std::string_view kSelfCheckPlaces[] = {"request", "draft"};
constexpr std::string_view kSelfCheckPrompt =
    "{request}\n\nProposed answer:\n{draft}\n\nIs the proposed answer right? Answer yes or no.";

std::optional<double> known(double signal) {
  if (std::isnan(signal)) return std::nullopt;
  return std::clamp(signal, 0.0, 1.0);
}

}  // namespace

Result<ConfidenceMeter> ConfidenceMeter::make(ConfidenceOptions options) {
  if (options.by == ConfidenceBy::kSamples && options.samples == 0)
    return fail(Code::kInvalidArgument, "samples: found 0, expected at least 1");
  if (options.samples > 0 && !(options.sample_temperature > 0))
    return fail(Code::kInvalidArgument, "sample_temperature: found {}, expected more than 0",
                options.sample_temperature);
  if (options.agreement.measure == Measure::kJudge)
    return fail(Code::kInvalidArgument, "agreement: samples are not compared by a judge");
  if (options.self_check_prompt.empty()) options.self_check_prompt = kSelfCheckPrompt;
  auto prompt = PromptTemplate::parse(options.self_check_prompt, kSelfCheckPlaces, kSelfCheckPlaces);
  if (!prompt) return std::unexpected(std::move(prompt).error().in("self_check_prompt"));
  std::optional<compress::Combination> learned;
  if (options.by == ConfidenceBy::kLearned) {
    auto read = compress::Combination::from(options.weights);
    if (!read) return std::unexpected(std::move(read).error().in("weights"));
    learned = std::move(*read);
  } else if (!options.weights.empty()) {
    return fail(Code::kInvalidArgument, "weights: belongs to the learned confidence");
  }
  return ConfidenceMeter(std::move(options), std::move(*prompt), std::move(learned));
}

bool ConfidenceMeter::needs_logprobs() const {
  return options_.by == ConfidenceBy::kSequence || options_.by == ConfidenceBy::kMeanToken ||
         options_.by == ConfidenceBy::kLeastToken || options_.by == ConfidenceBy::kLearned;
}

Signals ConfidenceMeter::signals_of(const Reply& reply) {
  Signals out;
  if (!reply.logprobs.empty()) {
    std::vector<double> logprobs;
    for (const chat::TokenLogprob& token : reply.logprobs) logprobs.push_back(token.logprob);
    out = compress::sequence_signals(logprobs);
  }
  if (!reply.choice_shares.empty()) {
    // Their logarithms are scores at temperature 1; a share of 0 is one too small for a double.
    std::vector<double> scores;
    for (double share : reply.choice_shares) scores.push_back(std::log(std::max(share, 1e-300)));
    Signals choice = compress::choice_signals(scores, 1.0);
    out.top = choice.top;
    out.margin = choice.margin;
    out.entropy = choice.entropy;
  } else if (reply.confidence) {
    out.top = *reply.confidence;
  }
  return out;
}

chat::Awaitable<std::optional<double>> ConfidenceMeter::measure(LlmCall& slm, const Request& request,
                                                                const Reply& reply, Trace& trace) const {
  Signals measured = co_await signals(slm, request, reply, trace);
  co_return value(measured, reply);
}

chat::Awaitable<Signals> ConfidenceMeter::signals(LlmCall& slm, const Request& request, const Reply& reply,
                                                  Trace& trace) const {
  Signals signals = signals_of(reply);
  std::vector<Request> questions;
  for (uint32_t i = 0; i < options_.samples; ++i) {
    Request sample = request;
    sample.typed_events = false;
    sample.logprobs = false;
    sample.sampling.temperature = options_.sample_temperature;
    sample.sampling.seed = request.sampling.seed.value_or(0) + i + 1;
    questions.push_back(std::move(sample));
  }
  bool checks = options_.self_check || options_.by == ConfidenceBy::kSelfCheck;
  if (checks) {
    std::string prompt = prompt_.fill({{"request", question_of(request)}, {"draft", reply.text}});
    questions.push_back(side_question(request, std::move(prompt), {options_.yes, options_.no}));
  }
  auto replies = co_await ask_all(slm, std::move(questions), std::max<size_t>(options_.samples, 1));
  size_t agree = 0, said = 0;
  for (size_t i = 0; i < options_.samples; ++i) {
    if (!replies[i]) continue;
    trace.add(*replies[i], "sample");
    ++said;
    bool same =
        replies[i]->tool_calls.empty() && reply.tool_calls.empty()
            ? compare_texts(options_.agreement, reply.text, true, replies[i]->text, true) == Match::kAgree
            : same_calls(reply.tool_calls, replies[i]->tool_calls);
    agree += same;
  }
  if (said > 0) signals.agreement = static_cast<double>(agree) / static_cast<double>(said);
  if (checks && replies.back()) {
    trace.add(*replies.back(), "self-check");
    signals.self_check = share_of_yes(*replies.back(), options_.yes);
  }
  co_return signals;
}

std::optional<double> ConfidenceMeter::value(const Signals& s, const Reply& reply) const {
  switch (options_.by) {
    case ConfidenceBy::kModel:
      return reply.confidence;
    case ConfidenceBy::kSequence:
      return known(std::exp(s.mean_logprob * s.tokens));
    case ConfidenceBy::kMeanToken:
      return known(std::exp(s.mean_logprob));
    case ConfidenceBy::kLeastToken:
      return known(std::exp(s.least_logprob));
    case ConfidenceBy::kMargin:
      return known(s.margin);
    case ConfidenceBy::kEntropy:
      return known(1 - s.entropy);
    case ConfidenceBy::kSamples:
      return known(s.agreement);
    case ConfidenceBy::kSelfCheck:
      return known(s.self_check);
    case ConfidenceBy::kLearned:
      return (*learned_)(s);
  }
  return std::nullopt;
}

}  // namespace bantam::collab
