#include "runtime/session.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <numeric>

#include "runtime/memory.h"
#include "runtime/sequence.h"
#include "runtime/stop_filter.h"

namespace bantam::runtime {

Result<std::unique_ptr<Session::State>> Session::State::create(std::shared_ptr<const Engine::Impl> engine,
                                                               std::shared_ptr<model::Workspace> workspace) {
  BANTAM_TRY(engine->prepare());
  const auto& config = engine->config;
  const auto& options = engine->options;
  const uint32_t capacity = workspace ? 0 : options.context_length;
  auto out = std::make_unique<State>();
  out->cache.type = options.kv_cache;
  if (!workspace) {
    BANTAM_TRY(check_memory(engine->plan.kv_cache + engine->plan.buffers, "a session"));
    BANTAM_ASSIGN(auto own, engine->new_workspace());
    workspace = std::make_shared<model::Workspace>(std::move(own));
  }
  out->workspace = std::move(workspace);
  out->hidden.resize(config.dim);
  out->outputs.resize(options.batch);
  std::iota(out->outputs.begin(), out->outputs.end(), 0U);
  out->scales = engine->adapter_scales;
  out->engine = std::move(engine);
  BANTAM_TRY(out->reserve(capacity));
  return out;
}

Status Session::State::reserve(uint32_t capacity) {
  const uint64_t bytes = model::KvCache::page_bytes(engine->config, cache.type);
  const size_t count = model::KvCache::page_count(capacity);
  if (count > pages.size()) BANTAM_TRY(check_memory((count - pages.size()) * bytes, "keys and values"));
  while (pages.size() < count) {
    BANTAM_ASSIGN(auto page, tensor::Storage::allocate(bytes));
    pages.push_back(std::make_shared<tensor::Storage>(std::move(page)));
    addresses.push_back(pages.back()->data());
  }
  cache.capacity = capacity;
  cache.pages = addresses;
  return {};
}

void Session::State::trim() {
  const auto capacity = static_cast<uint32_t>(
      std::min<size_t>(cache.capacity, model::KvCache::page_count(static_cast<uint32_t>(past.size())) * model::kPageTokens));
  pages.resize(model::KvCache::page_count(capacity));
  addresses.resize(pages.size());
  cache.capacity = capacity;
  cache.pages = addresses;
}

void Session::State::make_writable(size_t tokens) {
  const size_t first = past.size() / model::kPageTokens, end = (past.size() + tokens + model::kPageTokens - 1) / model::kPageTokens;
  for (size_t i = first; i < end; ++i) {
    if (pages[i].use_count() == 1) continue;
    auto copy = tensor::Storage::allocate(pages[i]->bytes());
    if (!copy) throw std::bad_alloc();
    std::memcpy(copy->data(), pages[i]->data(), copy->bytes());
    pages[i] = std::make_shared<tensor::Storage>(std::move(*copy));
    addresses[i] = pages[i]->data();
  }
}

Status Session::State::share_prefix(const State& from, size_t tokens) {
  const size_t whole = tokens / model::kPageTokens, rest = tokens % model::kPageTokens;
  pages.resize(std::max(pages.size(), whole));
  addresses.resize(pages.size());
  std::copy_n(from.pages.begin(), whole, pages.begin());
  std::copy_n(from.addresses.begin(), whole, addresses.begin());
  cache.pages = addresses;
  past.assign(from.past.begin(), from.past.begin() + static_cast<std::ptrdiff_t>(tokens - rest));
  BANTAM_TRY(reserve(std::max(cache.capacity, static_cast<uint32_t>(tokens))));
  if (rest == 0) return {};
  make_writable(rest);
  const size_t run = model::kPageTokens * row_bytes();
  for (size_t at = 0; at < pages[whole]->bytes(); at += run)
    std::memcpy(addresses[whole] + at, from.addresses[whole] + at, rest * row_bytes());
  past.assign(from.past.begin(), from.past.begin() + static_cast<std::ptrdiff_t>(tokens));
  return {};
}

Status Session::State::check_tokens(std::span<const TokenId> tokens, size_t more) const {
  if (tokens.empty()) return fail(Code::kInvalidArgument, "prompt: found no tokens, expected at least one");
  if (tokens.size() + more > cache.capacity) {
    return fail(Code::kLimit, "prompt: found {} tokens, expected at most {} (the context is {})",
                tokens.size(), cache.capacity - std::min<size_t>(more, cache.capacity), cache.capacity);
  }
  for (TokenId token : tokens) {
    if (token < 0 || static_cast<uint32_t>(token) >= engine->config.vocab_size) {
      return fail(Code::kInvalidArgument, "prompt: found token {}, expected 0 to {}", token,
                  engine->config.vocab_size - 1);
    }
  }
  return {};
}

Status Session::State::check_decoder() const {
  if (!engine->encoder) return {};
  return fail(Code::kUnsupported, "{}: found an encoder ({}), which makes vectors; expected a decoder",
              engine->file.path(), engine->config.architecture);
}

Status Session::State::check_bias(const SamplingOptions& sampling) const {
  for (const auto& [token, bias] : sampling.logit_bias) {
    if (static_cast<uint32_t>(token) >= engine->config.vocab_size) {
      return fail(Code::kInvalidArgument, "logit_bias: found token {}, expected 0 to {}", token,
                  engine->config.vocab_size - 1);
    }
  }
  return {};
}

size_t Session::State::row_bytes() const {
  const auto& config = engine->config;
  const size_t rows = 2 * (config.encoder ? 1 : size_t{config.layers}) * config.kv_heads * model::kPageTokens;
  return model::KvCache::page_bytes(config, cache.type) / rows;
}

void Session::State::feed(std::span<const TokenId> tokens, bool all, float* out) {
  const uint32_t last = tokens.empty() ? 0 : static_cast<uint32_t>(tokens.size() - 1);
  const std::span<const uint32_t> wanted = all ? std::span<const uint32_t>(outputs).first(tokens.size())
                                               : std::span<const uint32_t>(&outputs[last], 1);
  const auto position = static_cast<uint32_t>(past.size());
  make_writable(tokens.size());
  engine->transformer->forward({tokens, position, wanted}, cache, *workspace, out, scales);
  past.insert(past.end(), tokens.begin(), tokens.end());
}

bool Session::State::feed_prompt(std::span<const TokenId> tokens, const std::stop_token& cancel) {
  const auto differs = std::mismatch(past.begin(), past.end(), tokens.begin(), tokens.end());
  // The last token is always computed: its hidden state is what the caller wants.
  rewind(std::min<size_t>(differs.first - past.begin(), tokens.size() - 1));
  tokens = tokens.subspan(past.size());
  const size_t batch = workspace->batch();
  for (; tokens.size() > batch; tokens = tokens.subspan(batch)) {
    if (cancel.stop_requested()) return false;
    const auto position = static_cast<uint32_t>(past.size());
    make_writable(batch);
    engine->transformer->forward({tokens.first(batch), position, {}}, cache, *workspace, nullptr, scales);
    past.insert(past.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(batch));
  }
  if (cancel.stop_requested()) return false;
  feed(tokens, false, hidden.data());
  return true;
}

void Session::State::logits(const float* from, size_t n, std::span<const TokenId> rows, float* out) const {
  engine->transformer->logits(from, n, rows, *workspace, out, scales);
}

Status Session::State::use_adapters(std::span<const float> wanted) {
  if (wanted.size() != engine->adapter_scales.size()) {
    return fail(Code::kInvalidArgument, "adapters: found {} scales, expected one for each of the {}",
                wanted.size(), engine->adapter_scales.size());
  }
  for (const float scale : wanted) {
    if (!std::isfinite(scale))
      return fail(Code::kInvalidArgument, "adapters: found a scale of {}, expected a number", scale);
  }
  if (std::ranges::equal(wanted, scales)) return {};
  rewind(0);
  scales.assign(wanted.begin(), wanted.end());
  return {};
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;

void Session::reset() { state_->rewind(0); }

Status Session::set_adapters(std::span<const float> scales) { return state_->use_adapters(scales); }

Result<Generation> Session::generate(std::span<const TokenId> prompt, const GenerateOptions& options) {
  auto& state = *state_;
  BANTAM_ASSIGN(auto sequence, Sequence::begin(state, prompt, options));
  std::vector<Status> results;
  while (!sequence->done()) {
    if (sequence->cancelled()) {
      sequence->cancel();
      break;
    }
    const Sequence::Feed feed = sequence->next(state.workspace->batch());
    Sequence* const one = sequence.get();
    Session::State* const its = &state;
    advance(*state.engine, {&one, 1}, {&feed, 1}, {&its, 1}, *state.workspace, state.scratch, results);
    BANTAM_TRY(results.front());
  }
  return sequence->result();
}

void Session::continue_greedily(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) {
  auto& state = *state_;
  out.clear();
  if (most == 0 || !state.check_decoder() || !state.check_tokens(tokens, most) ||
      !state.feed_prompt(tokens, {}))
    return;
  state.vocabulary.resize(state.engine->config.vocab_size);
  while (true) {
    state.logits(state.hidden.data(), 1, {}, state.vocabulary.data());
    out.push_back(
        static_cast<TokenId>(std::ranges::max_element(state.vocabulary) - state.vocabulary.begin()));
    if (out.size() == most) return;
    state.feed({&out.back(), 1}, false, state.hidden.data());
  }
}

Result<Choice> Session::choose(std::span<const TokenId> prompt, std::span<const std::vector<TokenId>> choices,
                               double temperature, std::stop_token cancel,
                               std::span<const double> prior) {
  auto& state = *state_;
  BANTAM_TRY(state.check_decoder());
  if (choices.empty()) return fail(Code::kInvalidArgument, "choices: found none, expected at least one");
  if (!(temperature > 0 && std::isfinite(temperature))) {
    return fail(Code::kInvalidArgument, "temperature: found {}, expected a positive number", temperature);
  }
  if (!prior.empty() && prior.size() != choices.size()) {
    return fail(Code::kInvalidArgument, "prior: found {} numbers, expected one for each of {} choices",
                prior.size(), choices.size());
  }
  size_t longest = 0;
  for (const auto& choice : choices) {
    if (choice.empty()) return fail(Code::kInvalidArgument, "choices: found one without tokens");
    if (auto status = state.check_tokens(choice, 0); !status)
      return std::unexpected(std::move(status).error().in("choice"));
    longest = std::max(longest, choice.size());
  }
  BANTAM_TRY(state.check_tokens(prompt, longest > 1 ? longest : 0));
  if (!state.feed_prompt(prompt, cancel))
    return fail(Code::kCancelled, "cancelled before the prompt was read");
  Choice out;
  out.prompt_tokens = static_cast<uint32_t>(prompt.size());
  BANTAM_ASSIGN(out.scores, score_choices(state, choices, cancel));
  for (size_t i = 0; i < prior.size(); ++i) out.scores[i] += prior[i];
  const auto& scores = out.scores;
  if (std::ranges::any_of(scores, [](double score) { return std::isnan(score); })) {
    return fail(Code::kCorrupt, "{}: the weights give logits that are not numbers",
                state.engine->file.path());
  }
  out.best = static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
  out.probabilities.resize(scores.size());
  double total = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    total += out.probabilities[i] = std::exp((scores[i] - scores[out.best]) / temperature);
  }
  for (double& p : out.probabilities) p /= total;
  return out;
}

Status Session::logits(std::span<const TokenId> tokens,
                       const std::function<void(size_t, std::span<const float>)>& sink) {
  auto& state = *state_;
  BANTAM_TRY(state.check_decoder());
  BANTAM_TRY(state.check_tokens(tokens, 0));
  state.rewind(0);
  const auto& config = state.engine->config;
  constexpr size_t kRows =
      32;  // logits of that many tokens at a time: the head's weights are read once for them
  std::vector<float> hidden(kRows * config.dim), logits(kRows * config.vocab_size);
  const size_t batch = std::min<size_t>(kRows, state.workspace->batch());
  for (size_t begin = 0; begin < tokens.size(); begin += batch) {
    const size_t n = std::min(batch, tokens.size() - begin);
    state.feed(tokens.subspan(begin, n), true, hidden.data());
    state.logits(hidden.data(), n, {}, logits.data());
    for (size_t i = 0; i < n; ++i) {
      sink(begin + i, std::span<const float>(logits).subspan(i * config.vocab_size, config.vocab_size));
    }
  }
  return {};
}

}  // namespace bantam::runtime
