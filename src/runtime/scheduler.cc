#include "runtime/scheduler.h"

#include <algorithm>

#include "base/usage.h"
#include "runtime/drafter.h"
#include "runtime/memory.h"
#include "runtime/sequence.h"

namespace bantam::runtime {
namespace {

constexpr uint32_t kCapacityUnit = 64;
/// Tokens for which a session is copied or kept.
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
                : std::max<size_t>(1, options_.sequences) * bytes_of(engine_->context_length());
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

uint64_t Scheduler::bytes_of(uint32_t capacity) const {
  return 2 * model::KvCache::bytes(engine_->config(), engine_->impl_->options.kv_cache, capacity);
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

void Scheduler::adopt(std::unique_ptr<Session> session) {
  used_ += bytes_of(session->state_->cache.capacity);
  keep(std::move(session));
}

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

/// A session whose cache has room for the job: an idle one that the job continues, or a new one, to which the
/// beginning of the prompt is copied from where it was read already, be it idle or running. Errors: kLimit
/// where it can never fit, kBusy where it does not now.
Result<std::unique_ptr<Session>> Scheduler::session_for(const Waiting& job) {
  if (!workspace_) {  // also where the session is an adopted one, so that none was made here yet
    BANTAM_ASSIGN(auto made, engine_->impl_->new_workspace());
    workspace_ = std::make_shared<model::Workspace>(std::move(made));
  }
  const uint32_t context = engine_->context_length();
  const uint64_t wanted = std::min<uint64_t>(context, job.prompt.size() + uint64_t{job.more});
  const auto capacity = static_cast<uint32_t>(
      std::min<uint64_t>(context, (wanted + kCapacityUnit - 1) / kCapacityUnit * kCapacityUnit));
  auto best = idle_.end();
  size_t most = 0;
  for (auto place = idle_.begin(); place != idle_.end(); ++place) {
    const size_t shared = shared_with(**place, job);
    if ((*place)->state_->cache.capacity >= wanted && shared > most) {
      best = place;
      most = shared;
    }
  }
  const uint64_t bytes = bytes_of(capacity);
  if (bytes > budget_) {
    return fail(Code::kLimit,
                "prompt and answer: found {} tokens, whose cache takes {} bytes, expected at most {}", wanted,
                bytes, budget_);
  }
  // A session that would lose what others may continue is copied from, where there is room for one more.
  const bool fits = used_ + bytes <= budget_ && idle_.size() < options_.sequences;
  if (best != idle_.end() && ((*best)->state_->past.size() - most < kWorthwhile || !fits)) {
    auto out = std::move(*best);
    idle_.erase(best);
    copy_beginning(job, *out);
    return out;
  }
  BANTAM_TRY(make_room(bytes));
  BANTAM_ASSIGN(auto state, Session::State::create(engine_->impl_, capacity,
                                                   std::static_pointer_cast<model::Workspace>(workspace_)));
  std::unique_ptr<Session> out(new Session(std::move(state)));
  BANTAM_TRY(out->state_->use_adapters(scales_of(job)));
  used_ += bytes;
  copy_beginning(job, *out);
  return out;
}

/// Drops idle sessions, those used longest ago first, until there is room. Errors: kBusy.
Status Scheduler::make_room(uint64_t bytes) {
  while (!idle_.empty() && (used_ + bytes > budget_ || idle_.size() >= options_.sequences)) {
    used_ -= bytes_of(idle_.front()->state_->cache.capacity);
    idle_.pop_front();
  }
  if (used_ + bytes > budget_) return fail(Code::kBusy, "the caches of others fill the memory");
  return {};
}

/// What another session has read of the prompt beyond what this one has: copying a token's keys and values
/// takes a thousandth of the time of reading it.
void Scheduler::copy_beginning(const Waiting& job, Session& to) {
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
  if (from != nullptr) to.state_->copy_prefix(*from->state_, most);
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

void Scheduler::keep(std::unique_ptr<Session> session) { idle_.push_back(std::move(session)); }

}  // namespace bantam::runtime
