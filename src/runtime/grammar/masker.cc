#include "runtime/grammar/masker.h"

#include <algorithm>

namespace bantam::runtime::grammar {
namespace {

constexpr size_t kMostCached = size_t{64} << 20;

void tidy(std::vector<Thread>& threads) {
  if (threads.size() < 2) return;
  std::ranges::sort(threads);
  threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
}

void set_bit(std::vector<uint64_t>& mask, TokenId id) {
  mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
}

}  // namespace

Masker::Masker(Machine& machine, std::shared_ptr<const Vocabulary> vocabulary)
    : machine_(machine), vocabulary_(std::move(vocabulary)) {}

void Masker::forget_if_large() {
  if (bytes_ + machine_.cached_bytes() < kMostCached) return;
  parts_.clear();
  masks_.clear();
  machine_.forget();
  bytes_ = 0;
}

bool Masker::advance(std::vector<Thread>& threads, std::string_view bytes) {
  std::vector<Thread> now = threads, next;
  for (char c : bytes) {
    next.clear();
    bool popped = false;
    for (Thread thread : now) machine_.step(thread, static_cast<uint8_t>(c), next, popped);
    tidy(next);
    now.swap(next);
    if (now.empty()) return false;
  }
  threads = std::move(now);
  return true;
}

const std::vector<uint64_t>& Masker::mask(const std::vector<Thread>& threads) {
  forget_if_large();
  auto [place, fresh] = masks_.try_emplace(threads);
  if (!fresh) return place->second;
  std::vector<uint64_t>& mask = place->second;
  mask.assign(vocabulary_->words(), 0);
  bytes_ += mask.size() * sizeof(uint64_t) + 128;
  for (Thread thread : threads) add(thread, mask);
  if (std::ranges::any_of(threads, [this](Thread thread) { return machine_.complete(thread); })) {
    for (TokenId id : vocabulary_->ends()) set_bit(mask, id);
  }
  return mask;
}

void Masker::add(Thread thread, std::vector<uint64_t>& mask) {
  std::vector<uint32_t> borders{0}, next;
  while (true) {
    next.clear();
    for (uint32_t node : borders) {
      const Part& found = part(node, thread.state);
      for (size_t i = 0; i < found.bits.size(); ++i) mask[i] |= found.bits[i];
      for (TokenId id : found.tokens) set_bit(mask, id);
      next.insert(next.end(), found.borders.begin(), found.borders.end());
    }
    if (next.empty() || thread.stack == Machine::kEmpty) return;
    std::ranges::sort(next);
    next.erase(std::unique(next.begin(), next.end()), next.end());
    borders.swap(next);
    thread = machine_.frame(thread.stack);
  }
}

const Masker::Part& Masker::part(uint32_t node, int state) {
  const uint64_t key = uint64_t{node} << 32 | static_cast<uint32_t>(state);
  if (const auto place = parts_.find(key); place != parts_.end()) return *place->second;
  auto made = std::make_unique<Part>();
  const State& s = machine_.state(state);
  if (node == 0) made->bits.assign(vocabulary_->words(), 0);
  if (node == 0 && s.kind == State::kFree && s.phase == 1 && s.a == Free::kClean) {
    free_part(s, *made);
  } else if (node == 0 && begins_in_key(s) && key_part(state, *made)) {
    // done
  } else {
    Sink sink{*made, node == 0};
    walk(node, {{state, Machine::kBase}}, sink);
  }
  bytes_ += made->bits.size() * 8 + made->tokens.size() * 4 + made->borders.size() * 4 + 128;
  return *(parts_[key] = std::move(made));
}

void Masker::free_part(const State& s, Part& out) const {
  const int64_t most = s.c < 0 ? INT64_MAX : s.c - s.d, least = std::max(0, s.b - s.d);
  const auto inside = vocabulary_->inside(static_cast<size_t>(most));
  out.bits.assign(inside.begin(), inside.end());
  Sink sink{out, true};
  for (const auto& [node, characters] : vocabulary_->quotes()) {
    if (characters < least || characters > most) continue;
    mark(node, sink);
    if (vocabulary_->nodes()[node].end > node + 1) out.borders.push_back(node);
  }
}

/// What differs from keys of which nothing is said.
struct NameWalk {
  const CharDfa& keys;
  int sink;
  const std::vector<bool>& open;
  std::vector<std::pair<uint32_t, uint32_t>> judged;  // ranges of nodes
};

/// In a key that may be any string but for some names: tokens of any string, put right along the names'
/// paths. False where keys are not so.
bool Masker::key_part(int id, Part& out) {
  const State s = machine_.state(id);
  const ObjectSpec& spec = machine_.object(s.a);
  const std::vector<bool> open = machine_.situation_at(s.b).open;
  if (spec.sink < 0 || !open[static_cast<size_t>(spec.sink)]) return false;
  const auto inside = vocabulary_->canonical_inside();
  out.bits.assign(inside.begin(), inside.end());
  Sink sink{out, true};
  NameWalk names{machine_.dfa(spec.keys), spec.sink, open, {}};
  if (s.c != spec.sink) follow_names(0, s, names, sink);
  State anywhere = s;
  anywhere.c = spec.sink;
  const int after = machine_.move(machine_.intern(anywhere), '"');
  if (after < 0) return true;
  auto judged = names.judged.begin();
  for (uint32_t node : vocabulary_->canonical_quotes()) {
    while (judged != names.judged.end() && judged->second <= node) ++judged;
    if (judged != names.judged.end() && judged->first <= node) continue;
    mark(node, sink);
    if (vocabulary_->nodes()[node].end > node + 1) walk(node, {{after, Machine::kBase}}, sink);
  }
  return true;
}

void Masker::judge_exactly(uint32_t child, const State& state, NameWalk& names, Sink& sink) {
  const auto& n = vocabulary_->nodes()[child];
  names.judged.emplace_back(child, n.end);
  for (uint32_t t = n.tokens; t < vocabulary_->last_token(child); ++t) {
    const auto id = static_cast<size_t>(vocabulary_->order()[t]);
    sink.part.bits[id / 64] &= ~(uint64_t{1} << (id % 64));
  }
  std::vector<Thread> next;
  bool popped = false;
  machine_.step({machine_.intern(state), Machine::kBase}, n.byte, next, popped);
  reach(child, next, popped, sink);
}

void Masker::follow_names(uint32_t node, const State& state, NameWalk& names, Sink& sink) {
  const auto nodes = vocabulary_->nodes();
  for (uint32_t child = node + 1; child < nodes[node].end; child = nodes[child].end) {
    const uint8_t byte = nodes[child].byte;
    if (byte < 0x20) continue;
    const bool escape = byte == '\\', lead = byte >= 0x80;
    if (escape || lead) {
      const bool free = lead ? names.keys.only_next(state.c, 0x80, kLastCode, names.sink)
                             : names.keys.only_next(state.c, 0, 0x1F, names.sink) &&
                                   names.keys.only_next(state.c, '"', '"', names.sink) &&
                                   names.keys.only_next(state.c, '\\', '\\', names.sink);
      if (!free) judge_exactly(child, state, names, sink);
      continue;
    }
    const int to = byte == '"' ? CharDfa::kDead : names.keys.next(state.c, byte);
    if (to == names.sink) continue;
    if (to == CharDfa::kDead || !names.open[static_cast<size_t>(to)]) {
      judge_exactly(child, state, names, sink);
      continue;
    }
    State next = state;
    next.c = to;
    follow_names(child, next, names, sink);
  }
}

void Masker::mark(uint32_t node, Sink& sink) const {
  const auto& n = vocabulary_->nodes()[node];
  for (uint32_t t = n.tokens; t < n.own; ++t) {
    const TokenId id = vocabulary_->order()[t];
    if (sink.root) {
      set_bit(sink.part.bits, id);
    } else {
      sink.part.tokens.push_back(id);
    }
  }
}

void Masker::reach(uint32_t node, std::vector<Thread>& next, bool popped, Sink& sink) {
  if (next.empty() && !popped) return;
  mark(node, sink);
  if (vocabulary_->nodes()[node].end == node + 1) return;
  if (popped) sink.part.borders.push_back(node);
  tidy(next);
  if (!next.empty()) walk(node, next, sink);
}

void Masker::walk(uint32_t node, const std::vector<Thread>& threads, Sink& sink) {
  if (threads.size() == 1 && !machine_.may_end(threads[0].state)) return walk_one(node, threads[0], sink);
  for (Thread thread : threads) {
    if (thread.stack == Machine::kBase && machine_.may_end(thread.state)) {
      sink.part.borders.push_back(node);
      break;
    }
  }
  const auto nodes = vocabulary_->nodes();
  std::vector<Thread> next;
  for (uint32_t child = node + 1; child < nodes[node].end; child = nodes[child].end) {
    next.clear();
    bool popped = false;
    for (Thread thread : threads) machine_.step(thread, nodes[child].byte, next, popped);
    reach(child, next, popped, sink);
  }
}

/// As walk, for one thread whose frame ends by a byte of its own: as long as it stays in its frame, a table
/// look-up for each node.
void Masker::walk_one(uint32_t node, Thread thread, Sink& sink) {
  const auto nodes = vocabulary_->nodes();
  const uint32_t base = nodes[node].depth;
  std::vector<int> states{thread.state};
  std::vector<Thread> next;
  for (uint32_t i = node + 1; i < nodes[node].end;) {
    const auto& n = nodes[i];
    states.resize(n.depth - base);
    const int to = machine_.move(states.back(), n.byte);
    if (to >= 0 && !machine_.may_end(to)) {
      mark(i, sink);
      states.push_back(to);
      ++i;
      continue;
    }
    if (to != Machine::kDead) {
      next.clear();
      bool popped = false;
      machine_.step({states.back(), thread.stack}, n.byte, next, popped);
      reach(i, next, popped, sink);
    }
    i = n.end;
  }
}

}  // namespace bantam::runtime::grammar
