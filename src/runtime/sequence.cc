#include "runtime/sequence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/usage.h"
#include "runtime/drafter.h"
#include "runtime/grammar/vocabulary.h"

namespace bantam::runtime {
namespace {

constexpr size_t kLogitRows = 32;  // of the head at a time: its weights are read once for them

}  // namespace

Sequence::Sequence(Session::State& state, GenerateOptions options)
    : state_(state),
      options_(std::move(options)),
      sampler_(options_.sampling, state.engine->tokenizer.get()),
      filter_(options_.stop, options_.on_text, out_.text) {}

Result<std::unique_ptr<Sequence>> Sequence::begin(Session::State& state, std::span<const TokenId> prompt,
                                                  GenerateOptions options) {
  BANTAM_TRY(check(options.sampling));
  BANTAM_TRY(state.check_decoder());
  BANTAM_TRY(state.check_tokens(prompt, 0));
  BANTAM_TRY(state.check_bias(options.sampling));
  if (options.adapter_scales) BANTAM_TRY(state.use_adapters(*options.adapter_scales));
  std::unique_ptr<Sequence> out(new Sequence(state, std::move(options)));
  out->out_.prompt_tokens = static_cast<uint32_t>(prompt.size());
  if (out->options_.grammar) out->grammar_.emplace(out->options_.grammar);
  for (TokenId token : prompt) out->sampler_.accept(token);
  out->tokens_.assign(prompt.begin(), prompt.end());
  const auto differs = std::mismatch(state.past.begin(), state.past.end(), prompt.begin(), prompt.end());
  // The last token is always computed: its hidden state is what is wanted.
  state.rewind(std::min<size_t>(static_cast<size_t>(differs.first - state.past.begin()), prompt.size() - 1));
  out->out_.cached_tokens = static_cast<uint32_t>(state.past.size());
  out->start_ = wall_seconds();
  if (out->options_.max_tokens == 0) out->end(Finish::kLength);
  if (auto& shift = out->options_.shift) {
    // Without what a text begins with, a model is lost.
    if (prompt.front() == state.engine->tokenizer->bos()) shift->keep = std::max(shift->keep, 1U);
    const uint32_t most = state.cache.capacity - std::min(state.cache.capacity, 2U);
    if (shift->keep > most)
      return fail(Code::kInvalidArgument, "context shift: found {} tokens to keep, expected at most {}",
                  shift->keep, most);
  }
  return out;
}

void Sequence::set_draft(size_t most) {
  draft_.clear();
  if (!options_.drafter || out_.tokens.empty()) return;
  most = std::min({most - 1, width_,
                   state_.cache.capacity - std::min<size_t>(tokens_.size(), state_.cache.capacity),
                   static_cast<size_t>(options_.max_tokens) - out_.tokens.size() - 1});
  if (most == 0) return;
  options_.drafter->propose(tokens_, most, draft_);
  const auto foreign = std::ranges::find_if(draft_, [this](TokenId token) {
    return token < 0 || static_cast<uint32_t>(token) >= state_.engine->config.vocab_size;
  });
  draft_.erase(foreign, draft_.end());
}

Sequence::Feed Sequence::next(size_t most) {
  before_ = state_.past.size();
  const size_t left = tokens_.size() - before_, n = std::min(left, most);
  feed_.assign(tokens_.begin() + static_cast<std::ptrdiff_t>(before_),
               tokens_.begin() + static_cast<std::ptrdiff_t>(before_ + n));
  draft_.clear();
  outputs_ = n == left ? 1 : 0;
  if (n == left && n < most) {
    set_draft(most - n + 1);
    feed_.insert(feed_.end(), draft_.begin(), draft_.end());
    outputs_ += draft_.size();
  }
  return {feed_, outputs_};
}

Status Sequence::take(const float* logits) {
  if (outputs_ == 0) return {};
  const size_t width = state_.engine->config.vocab_size, first = before_ + feed_.size() - outputs_;
  if (out_.tokens.empty()) {
    prefilled_ = wall_seconds();
    out_.prefill_seconds = prefilled_ - start_;
  }
  size_t row = 0;
  for (bool going = true; going; ++row) {
    const size_t count = out_.tokens.size();
    // What the cache holds once this row's token is fed: the answer may end with it.
    const bool full = first + row + 1 == state_.cache.capacity;
    BANTAM_ASSIGN(going, draw({logits + row * width, width}, full));
    const bool drawn = out_.tokens.size() > count;
    out_.drafted += row < draft_.size() ? 1 : 0;
    const bool kept = drawn && row < draft_.size() && draft_[row] == out_.tokens.back();
    out_.kept += kept ? 1 : 0;
    going = going && kept;
  }
  // The widths that pay depend on the text: more after success, fewer after failure.
  constexpr size_t kWidest = 7;
  if (!draft_.empty())
    width_ = row > draft_.size() ? std::min(kWidest, width_ * 2) : std::max<size_t>(1, row);
  state_.rewind(std::min(state_.past.size(), first + row));
  if (!done_ && tokens_.size() > state_.cache.capacity) shift();
  if (done_) out_.decode_seconds = wall_seconds() - prefilled_;
  return {};
}

Result<bool> Sequence::draw(std::span<const float> row, bool full) {
  const auto& engine = *state_.engine;
  if (cancelled()) {
    end(Finish::kCancelled);
    return false;
  }
  if (grammar_) {
    grammar_->mask(mask_);
    if (std::ranges::all_of(mask_, [](uint64_t word) { return word == 0; })) {
      return fail(Code::kUnsupported, "{}: the vocabulary has no token for what the grammar wants next",
                  engine.file.path());
    }
  }
  const TokenId token =
      sampler_.sample(row, grammar_ ? std::span<const uint64_t>(mask_) : std::span<const uint64_t>());
  if (std::isnan(row[static_cast<size_t>(token)])) {
    return fail(Code::kCorrupt, "{}: the weights give logits that are not numbers", engine.file.path());
  }
  if (engine.tokenizer->is_end(token) && (!options_.ignore_end || grammar_)) {
    end(Finish::kStop);
    return false;
  }
  sampler_.accept(token);
  out_.tokens.push_back(token);
  tokens_.push_back(token);
  if (options_.top_logprobs) {
    out_.logprobs.push_back(logprobs_of(row, token, *options_.top_logprobs));
    if (options_.on_logprobs) options_.on_logprobs(out_.logprobs.back());
  }
  if (grammar_ && !grammar_->accept(token))
    return fail(Code::kInternal, "the grammar refuses its own token {}", token);
  const auto step =
      grammar_ ? filter_.push(grammar_->piece(token)) : filter_.push(engine.tokenizer->piece(token));
  if (step != StopFilter::Step::kGo) {
    done_ = true;
    out_.finish = step == StopFilter::Step::kStopped ? Finish::kStop : Finish::kCancelled;
    return false;
  }
  if (grammar_ && grammar_->must_end()) {
    end(Finish::kStop);
  } else if ((full && !options_.shift) || out_.tokens.size() == options_.max_tokens) {
    end(Finish::kLength);
  }
  return !done_ && !full;
}

/// The cache is full and a token waits for its place.
void Sequence::shift() {
  const size_t keep = options_.shift->keep, dropped = (tokens_.size() - keep + 1) / 2;
  const auto from = tokens_.begin() + static_cast<std::ptrdiff_t>(keep);
  tokens_.erase(from, from + static_cast<std::ptrdiff_t>(dropped));
  state_.rewind(keep);  // what follows stands elsewhere now and saw other tokens
  ++out_.shifts;
  out_.shifted += static_cast<uint32_t>(dropped);
}

void Sequence::end(Finish finish) {
  done_ = true;
  out_.finish = finish;
  if (filter_.finish() == StopFilter::Step::kStopped) out_.finish = Finish::kStop;
}

void Sequence::cancel() {
  if (!done_) end(Finish::kCancelled);
}

void advance(const Engine::Impl& engine, std::span<Sequence* const> sequences,
             std::span<const Sequence::Feed> feeds, std::span<Session::State* const> states,
             model::Workspace& workspace, std::vector<float>& scratch, std::vector<Status>& results) {
  const auto& config = engine.config;
  std::vector<std::vector<uint32_t>> outputs(feeds.size());
  std::vector<model::Segment> segments;
  size_t rows = 0;
  for (size_t i = 0; i < feeds.size(); ++i) {
    const auto& [tokens, wanted] = feeds[i];
    outputs[i].resize(wanted);
    std::iota(outputs[i].begin(), outputs[i].end(), static_cast<uint32_t>(tokens.size() - wanted));
    states[i]->make_writable(tokens.size());
    segments.push_back({{tokens, static_cast<uint32_t>(states[i]->past.size()), outputs[i]},
                        &states[i]->cache,
                        states[i]->scales});
    rows += wanted;
  }
  const size_t at_once = std::min(kLogitRows, static_cast<size_t>(workspace.batch()));
  scratch.resize(rows * (config.dim + size_t{config.vocab_size}));
  float *hidden = scratch.data(), *logits = hidden + rows * config.dim;
  engine.transformer->forward(segments, workspace, hidden);
  // The head's weights are read once for several sequences, unless an adapter gives each a head of its own.
  const bool alike = !engine.adapters.changes(engine.weights.output);
  size_t end = 0;
  for (size_t row = 0, i = 0; row < rows; row = end) {
    for (; !alike && end == row; ++i) end += feeds[i].outputs;
    const size_t last = alike ? rows : end;
    const model::AdapterScales scales = alike ? model::AdapterScales{} : states[i - 1]->scales;
    for (end = row; end < last; end += std::min(at_once, last - end)) {
      engine.transformer->logits(hidden + end * config.dim, std::min(at_once, last - end), {}, workspace,
                                 logits + end * config.vocab_size, scales);
    }
  }
  results.assign(feeds.size(), {});
  for (size_t i = 0; i < feeds.size(); ++i) {
    auto& past = states[i]->past;
    past.insert(past.end(), feeds[i].tokens.begin(), feeds[i].tokens.end());
    results[i] = sequences[i]->take(logits);
    logits += feeds[i].outputs * config.vocab_size;
  }
}

}  // namespace bantam::runtime
