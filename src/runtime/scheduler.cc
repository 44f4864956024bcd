#include "runtime/scheduler.h"

#include <algorithm>
#include <unordered_set>

#include "base/usage.h"
#include "runtime/drafter.h"
#include "runtime/sequence.h"

namespace bantam::runtime {
namespace {

/// Tokens for which another session's pages are taken, or a session is kept.
constexpr size_t kWorthwhile = 8;

size_t shared_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

struct Scheduler::Waiting {
  uint64_t ticket = 0;
  std::vector<TokenId> prompt;
  GenerateOptions options;
  Done done;        // of generate()
  Job job;          // of run()
  Look look;        // of look()
  size_t more = 0;  // tokens beside the prompt
};

struct Scheduler::Running {
  Waiting from;
  std::unique_ptr<Session> session;
  std::unique_ptr<Sequence>
      sequence;  // of generate(); of run(), one that reads the prompt but for its last token
};

Scheduler::Scheduler(std::shared_ptr<const Engine> engine, SchedulerOptions options)
    : engine_(std::move(engine)), options_(options) {
  budget_ = options_.kv_bytes != 0
                ? options_.kv_bytes
                : std::max<size_t>(1, options_.sequences) * engine_->memory().kv_cache;
  thread_ = std::thread([this] { work(); });
}

Scheduler::~Scheduler() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

Result<uint64_t> Scheduler::generate(std::vector<TokenId> prompt, GenerateOptions options, Done done) {
  Waiting job;
  job.more = options.max_tokens;
  job.prompt = std::move(prompt);
  job.options = std::move(options);
  job.done = std::move(done);
  return post(std::move(job));
}

Result<uint64_t> Scheduler::run(std::vector<TokenId> prompt, size_t more, Job job, std::stop_token cancel,
                                std::optional<std::vector<float>> adapter_scales) {
  Waiting out;
  out.more = more;
  out.prompt = std::move(prompt);
  out.options.cancel = std::move(cancel);
  out.options.adapter_scales = std::move(adapter_scales);
  out.job = std::move(job);
  return post(std::move(out));
}

Result<uint64_t> Scheduler::look(Look job) {
  Waiting out;
  out.look = std::move(job);
  return post(std::move(out));
}

void Scheduler::adopt(std::unique_ptr<Session> session) { keep(std::move(session)); }

Result<uint64_t> Scheduler::post(Waiting job) {
  std::lock_guard lock(mutex_);
  // A job for which there is room does not count as waiting.
  const size_t room = options_.sequences - std::min(options_.sequences, running_count_);
  if (queue_.size() >= options_.waiting + room) {
    return fail(Code::kBusy, "found {} requests waiting, expected fewer than {}", queue_.size(),
                options_.waiting);
  }
  job.ticket = next_ticket_++;
  const uint64_t ticket = job.ticket;
  queue_.push_back(std::move(job));
  arrived_.notify_one();
  return ticket;
}

void Scheduler::withdraw(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  full_ = false;
  std::erase_if(queue_, [ticket](const Waiting& job) { return job.ticket == ticket; });
}

Scheduler::Load Scheduler::load() const {
  std::lock_guard lock(mutex_);
  return {running_count_, queue_.size()};
}

void Scheduler::work() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      running_count_ = running_.size();
      arrived_.wait(lock, [this] { return stop_ || !queue_.empty() || !running_.empty(); });
      if (stop_) break;
    }
    admit();
    if (!running_.empty() && !step()) {
      // All of them wait for slow readers.
      std::unique_lock lock(mutex_);
      arrived_.wait_for(lock, std::chrono::milliseconds(2), [this] { return stop_; });
    }
  }
  for (const auto& one : running_) {
    if (one->sequence) one->sequence->cancel();
    if (one->from.done) one->from.done(one->sequence->result());
    if (one->from.job) one->from.job(fail(Code::kCancelled, "the engine is shut down"));
  }
}

/// Starts what waits, as far as there is room.
bool Scheduler::admit() {
  while (running_.size() < options_.sequences) {
    Waiting job;
    {
      std::lock_guard lock(mutex_);
      if (queue_.empty()) return true;
      if (full_ && !running_.empty()) return false;
      job = std::move(queue_.front());
      queue_.pop_front();
      running_count_ = running_.size() + 1;
    }
    if (job.look) {
      job.look(idle_.empty() ? nullptr : idle_.back().get());
      continue;
    }
    auto session = session_for(job);
    const bool later = !session && session.error().code == Code::kBusy;
    if (later) {  // memory that others hold
      std::lock_guard lock(mutex_);
      full_ = true;
      queue_.push_front(std::move(job));
      running_count_ = running_.size();
      return false;
    }
    if (!session) {
      if (job.done) job.done(std::unexpected(session.error()));
      if (job.job) job.job(std::unexpected(session.error()));
      continue;
    }
    start(std::move(job), std::move(*session));
  }
  return true;
}

/// How many tokens of the job's prompt a session has read with the job's adapters.
size_t Scheduler::shared_with(const Session& session, const Waiting& job) const {
  const auto& state = *session.state_;
  return std::ranges::equal(state.scales, scales_of(job)) ? shared_prefix(state.past, job.prompt) : 0;
}

/// A session whose cache has room for the job: an idle one that the job continues, or a new one; it shares the pages with what another
/// has read of the prompt's beginning, be that one idle or running. Errors: kLimit where it can never fit, kBusy where it does not now.
Result<std::unique_ptr<Session>> Scheduler::session_for(const Waiting& job) {
  if (!workspace_) {  // also where the session is an adopted one, so that none was made here yet
    BANTAM_ASSIGN(auto made, engine_->impl_->new_workspace());
    workspace_ = std::make_shared<model::Workspace>(std::move(made));
  }
  const auto& config = engine_->config();
  const auto wanted = static_cast<uint32_t>(
      std::min<uint64_t>(engine_->context_length(), job.prompt.size() + uint64_t{job.more}));
  const uint64_t bytes = model::KvCache::bytes(config, engine_->impl_->options.kv_cache, wanted);
  if (bytes > budget_) {
    return fail(Code::kLimit,
                "prompt and answer: found {} tokens, whose cache takes {} bytes, expected at most {}", wanted,
                bytes, budget_);
  }
  BANTAM_ASSIGN(auto out, continued(job));
  BANTAM_TRY(share_beginning(job, *out));
  Session::State& state = *out->state_;
  if (Status room = make_room(state, model::KvCache::page_count(wanted)); !room) {
    if (!state.past.empty()) keep(std::move(out));
    return std::unexpected(std::move(room).error());
  }
  BANTAM_TRY(state.reserve(wanted));
  return out;
}

/// The idle session that the job continues nearly where it ended, or a new and empty one.
Result<std::unique_ptr<Session>> Scheduler::continued(const Waiting& job) {
  auto best = idle_.end();
  size_t most = 0;
  for (auto place = idle_.begin(); place != idle_.end(); ++place) {
    const size_t shared = shared_with(**place, job);
    if (shared > most) {
      best = place;
      most = shared;
    }
  }
  // One that would lose what others may continue stays.
  if (best != idle_.end() && (*best)->state_->past.size() - most < kWorthwhile) {
    auto out = std::move(*best);
    idle_.erase(best);
    return out;
  }
  BANTAM_ASSIGN(auto state, Session::State::create(engine_->impl_, std::static_pointer_cast<model::Workspace>(workspace_)));
  std::unique_ptr<Session> out(new Session(std::move(state)));
  BANTAM_TRY(out->state_->use_adapters(scales_of(job)));
  return out;
}

/// Pages of all sessions, those that several share counted once.
size_t Scheduler::pages_held(const Session::State& also) const {
  std::unordered_set<const void*> held;
  const auto add = [&held](const Session::State& state) {
    for (const auto& page : state.pages) held.insert(page.get());
  };
  add(also);
  for (const auto& session : idle_) add(*session->state_);
  for (const auto& one : running_) add(*one->session->state_);
  return held.size();
}

/// Drops idle sessions, those used longest ago first, until `state` can have `pages` and they are not too many. Errors: kBusy.
Status Scheduler::make_room(const Session::State& state, size_t pages) {
  const uint64_t page = model::KvCache::page_bytes(engine_->config(), state.cache.type);
  const size_t more = pages - std::min(pages, state.pages.size());
  while (idle_.size() >= options_.sequences) idle_.pop_front();
  while ((pages_held(state) + more) * page > budget_) {
    if (idle_.empty() && running_.empty()) return {};  // it is alone
    if (idle_.empty()) return fail(Code::kBusy, "the caches of others fill the memory");
    idle_.pop_front();
  }
  return {};
}

/// What another session has read of the prompt beyond what this one has. Errors: kLimit.
Status Scheduler::share_beginning(const Waiting& job, Session& to) {
  const Session* from = nullptr;
  size_t most = shared_with(to, job) + kWorthwhile;
  const auto look = [&](const Session& session) {
    const size_t shared = shared_with(session, job);
    if (&session != &to && shared > most) {
      from = &session;
      most = shared;
    }
  };
  for (const auto& session : idle_) look(*session);
  for (const auto& one : running_) look(*one->session);
  // The last token is read again in any case, and no page is shared that is written to.
  return from != nullptr ? to.state_->share_prefix(*from->state_, std::min(most, job.prompt.size() - 1)) : Status{};
}

/// The adapters' scales that a job wants.
std::span<const float> Scheduler::scales_of(const Waiting& job) const {
  return job.options.adapter_scales ? *job.options.adapter_scales : engine_->impl_->adapter_scales;
}

void Scheduler::start(Waiting job, std::unique_ptr<Session> session) {
  if (Status used = session->state_->use_adapters(scales_of(job)); !used) {
    keep(std::move(session));
    if (job.done) job.done(std::unexpected(used.error()));
    if (job.job) job.job(std::unexpected(used.error()));
    return;
  }
  auto one = std::make_unique<Running>();
  one->from = std::move(job);
  one->session = std::move(session);
  if (one->from.job && engine_->config().encoder) {  // has no prompt to read ahead
    one->from.job(one->session.get());
    keep(std::move(one->session));
    return;
  }
  std::span<const TokenId> prompt = one->from.prompt;
  GenerateOptions options = std::move(one->from.options);
  if (one->from.job) {
    options.max_tokens = 1;
    auto valid = one->session->state_->check_tokens(prompt, 0);
    if (valid && prompt.size() > 1) prompt = prompt.first(prompt.size() - 1);
  }
  auto sequence = Sequence::begin(*one->session->state_, prompt, std::move(options));
  if (!sequence) {
    keep(std::move(one->session));
    if (one->from.done) one->from.done(std::unexpected(sequence.error()));
    if (one->from.job) one->from.job(std::unexpected(sequence.error()));
    return;
  }
  one->sequence = std::move(*sequence);
  running_.push_back(std::move(one));
}

/// How much of the prompts to read in this step.
size_t Scheduler::prefill_tokens(size_t decoding, size_t room) const {
  if (decoding == 0 || token_seconds_ <= 0) return decoding == 0 ? room : std::min<size_t>(room, 16);
  const double affordable = options_.step_seconds / token_seconds_;
  return std::min(room, std::max<size_t>(8, static_cast<size_t>(std::min(affordable, 1e6))));
}

/// One step of all that can take one. False: none could.
bool Scheduler::step() {
  std::vector<Sequence*> sequences;
  std::vector<Sequence::Feed> feeds;
  std::vector<Session::State*> states;
  std::vector<size_t> indices, readers;
  std::vector<size_t> ended;
  const auto& workspace = std::static_pointer_cast<model::Workspace>(workspace_);
  size_t room = workspace->batch();
  const auto add = [&](size_t i, size_t most) {
    feeds.push_back(running_[i]->sequence->next(most));
    sequences.push_back(running_[i]->sequence.get());
    states.push_back(running_[i]->session->state_.get());
    indices.push_back(i);
    room -= feeds.back().tokens.size();
    return feeds.back().tokens.size();
  };
  size_t live = 0;
  for (size_t i = 0; i < running_.size(); ++i) {
    auto& sequence = *running_[i]->sequence;
    if (sequence.cancelled()) sequence.cancel();
    if (sequence.done()) {
      ended.push_back(i);
    } else if (!sequence.paused()) {
      ++live;
      if (sequence.reading()) readers.push_back(i);
    }
  }
  // Those that generate, with a share of the room each so that none waits for another's draft.
  size_t decoding = 0;
  const size_t share = std::max<size_t>(1, room / std::max<size_t>(1, live));
  for (size_t i = 0; i < running_.size() && room > 0; ++i) {
    auto& sequence = *running_[i]->sequence;
    if (sequence.done() || sequence.paused() || sequence.reading()) continue;
    add(i, std::min(room, share));
    ++decoding;
  }
  size_t left = prefill_tokens(decoding, room), read = 0;
  for (size_t r = 0; r < readers.size() && left > 0; ++r) {
    const size_t taken = add(readers[(turn_ + r) % readers.size()], left);
    left -= taken;
    read += taken;
  }
  ++turn_;
  if (!feeds.empty()) {
    const double start = wall_seconds();
    std::vector<Status> results;
    advance(*engine_->impl_, sequences, feeds, states, *workspace, scratch_, results);
    if (read >= 8) {  // the others' share of the time counts too: it delays them as much
      const double each = (wall_seconds() - start) / static_cast<double>(read);
      token_seconds_ = token_seconds_ <= 0 ? each : 0.7 * token_seconds_ + 0.3 * each;
    }
    for (size_t k = 0; k < indices.size(); ++k) {
      if (!results[k]) {
        finish(indices[k], std::move(results[k]));
      } else if (sequences[k]->done()) {
        ended.push_back(indices[k]);
      }
    }
  }
  for (size_t i : ended) finish(i, {});
  const bool any = !feeds.empty() || !ended.empty();
  std::erase_if(running_, [](const auto& one) { return one == nullptr; });
  return any;
}

/// Tells the caller, and leaves the place empty.
void Scheduler::finish(size_t index, Status status) {
  std::unique_ptr<Running> one = std::move(running_[index]);
  Result<Generation> result =
      status ? Result<Generation>(one->sequence->result()) : std::unexpected(status.error());
  one->sequence.reset();
  {
    std::lock_guard lock(mutex_);
    full_ = false;
  }
  if (one->from.done) one->from.done(std::move(result));
  if (one->from.job) {
    if (!result) {
      one->from.job(std::unexpected(result.error()));
    } else if (result->finish == Finish::kCancelled) {
      one->from.job(fail(Code::kCancelled, "cancelled"));
    } else {
      one->from.job(one->session.get());
    }
  }
  keep(std::move(one->session));
}

/// Without the pages for an answer that is over.
void Scheduler::keep(std::unique_ptr<Session> session) {
  session->state_->trim();
  idle_.push_back(std::move(session));
}

}  // namespace bantam::runtime
