#include "runtime/grammar/char_dfa.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/utf8.h"

namespace bantam::runtime::grammar {
namespace {

constexpr CodeRange kSurrogates{0xD800, 0xDFFF};

/// The borders at which any of the sets begins or ends.
std::vector<uint32_t> bounds_of(const std::vector<CodeSet>& sets) {
  std::set<uint32_t> bounds{0};
  for (const auto& set : sets) {
    for (const auto& [first, last] : set) {
      bounds.insert(first);
      if (last < kLastCode) bounds.insert(last + 1);
    }
  }
  return {bounds.begin(), bounds.end()};
}

using States = std::vector<int>;

/// Follows the edges that read nothing. Sorted.
States closure(const Nfa& nfa, States states, bool begin, bool end) {
  std::vector<int> todo = states;
  std::set<int> seen(states.begin(), states.end());
  const auto follow = [&](const std::vector<int>& edges) {
    for (int to : edges) {
      if (seen.insert(to).second) todo.push_back(to);
    }
  };
  while (!todo.empty()) {
    const auto at = static_cast<size_t>(todo.back());
    todo.pop_back();
    if (at == nfa.states.size()) continue;  // the mark of the begin
    const auto& state = nfa.states[at];
    follow(state.free);
    if (begin) follow(state.at_begin);
    if (end) follow(state.at_end);
  }
  return {seen.begin(), seen.end()};
}

std::vector<int> tags_of(const Nfa& nfa, const States& states) {
  std::set<int> tags;
  for (int state : states) {
    if (static_cast<size_t>(state) < nfa.states.size() && nfa.states[static_cast<size_t>(state)].tag >= 0)
      tags.insert(nfa.states[static_cast<size_t>(state)].tag);
  }
  return {tags.begin(), tags.end()};
}

}  // namespace

CodeSet normalised(CodeSet set) {
  std::ranges::sort(set);
  CodeSet out;
  const auto add = [&out](uint32_t first, uint32_t last) {
    if (first > last) return;
    if (!out.empty() && first <= out.back().second + 1) {
      out.back().second = std::max(out.back().second, last);
    } else {
      out.emplace_back(first, last);
    }
  };
  for (auto [first, last] : set) {
    last = std::min(last, kLastCode);
    if (first < kSurrogates.first) add(first, std::min(last, kSurrogates.first - 1));
    if (last > kSurrogates.second) add(std::max(first, kSurrogates.second + 1), last);
  }
  return out;
}

CodeSet complement(const CodeSet& set) {
  CodeSet out;
  uint32_t next = 0;
  for (const auto& [first, last] : set) {
    if (first > next) out.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLastCode) out.emplace_back(next, kLastCode);
  return normalised(std::move(out));
}

CodeSet any_character() { return complement({}); }

int Nfa::add() {
  states.emplace_back();
  return static_cast<int>(states.size()) - 1;
}

int Nfa::add_set(CodeSet set) {
  const auto at = std::ranges::find(sets, set);
  if (at != sets.end()) return static_cast<int>(at - sets.begin());
  sets.push_back(std::move(set));
  return static_cast<int>(sets.size()) - 1;
}

void Nfa::add_text(std::string_view text, int tag) {
  std::vector<uint32_t> codes;
  while (!text.empty()) {
    const auto front = utf8_front(text);
    if (front.length == 0) return;
    codes.push_back(static_cast<uint32_t>(front.code));
    text.remove_prefix(front.length);
  }
  int state = add();
  starts.push_back(state);
  for (uint32_t code : codes) {
    const int to = add();
    states[static_cast<size_t>(state)].edges.push_back({add_set({{code, code}}), to});
    state = to;
  }
  states[static_cast<size_t>(state)].tag = tag;
}

void Nfa::add_dfa(const CharDfa& dfa, int tag) {
  if (dfa.start() == CharDfa::kDead) return;
  const int first = static_cast<int>(states.size());
  const size_t classes = dfa.bounds_.size();
  for (size_t state = 0; state < dfa.size(); ++state) {
    add();
    if (dfa.accepts(static_cast<int>(state))) states.back().tag = tag;
  }
  std::vector<int> set_of(classes);
  for (size_t c = 0; c < classes; ++c) {
    set_of[c] = add_set(normalised({{dfa.bounds_[c], c + 1 < classes ? dfa.bounds_[c + 1] - 1 : kLastCode}}));
  }
  for (size_t i = 0; i < dfa.next_.size(); ++i) {
    if (dfa.next_[i] == CharDfa::kDead) continue;
    states[static_cast<size_t>(first) + i / classes].edges.push_back(
        {set_of[i % classes], first + dfa.next_[i]});
  }
  starts.push_back(first + dfa.start());
}

size_t CharDfa::class_of(uint32_t code) const {
  return static_cast<size_t>(std::ranges::upper_bound(bounds_, code) - bounds_.begin()) - 1;
}

int& CharDfa::at(int state, size_t character_class) {
  return next_[static_cast<size_t>(state) * bounds_.size() + character_class];
}

int CharDfa::next(int state, uint32_t code) const {
  return next_[static_cast<size_t>(state) * bounds_.size() + class_of(code)];
}

bool CharDfa::any_next(int state, uint32_t first, uint32_t last, const std::vector<bool>* open) const {
  const int* row = next_.data() + static_cast<size_t>(state) * bounds_.size();
  for (size_t c = class_of(first); c < bounds_.size() && bounds_[c] <= last; ++c) {
    if (row[c] != kDead && (open == nullptr || (*open)[static_cast<size_t>(row[c])])) return true;
  }
  return false;
}

bool CharDfa::only_next(int state, uint32_t first, uint32_t last, int to) const {
  const int* row = next_.data() + static_cast<size_t>(state) * bounds_.size();
  for (size_t c = class_of(first); c < bounds_.size() && bounds_[c] <= last; ++c) {
    if (row[c] != to && bounds_[c] != kSurrogates.first) return false;
  }
  return true;
}

int CharDfa::sink() const {
  for (int state = 0; state < static_cast<int>(size()); ++state) {
    if (accepts(state) && only_next(state, 0, kLastCode, state)) return state;
  }
  return kDead;
}

bool CharDfa::matches(std::string_view text) const {
  int state = start_;
  while (state != kDead && !text.empty()) {
    const auto front = utf8_front(text);
    if (front.length == 0) return false;
    state = next(state, static_cast<uint32_t>(front.code));
    text.remove_prefix(front.length);
  }
  return state != kDead && accepts(state);
}

Result<CharDfa> CharDfa::build(const Nfa& nfa) {
  CharDfa out;
  auto sets = nfa.sets;
  sets.push_back(any_character());
  out.bounds_ = bounds_of(sets);
  const size_t classes = out.bounds_.size();
  std::vector<std::vector<size_t>> classes_of(nfa.sets.size());
  for (size_t s = 0; s < nfa.sets.size(); ++s) {
    for (const auto& [first, last] : nfa.sets[s]) {
      for (size_t c = out.class_of(first); c < classes && out.bounds_[c] <= last; ++c)
        classes_of[s].push_back(c);
    }
  }
  std::map<States, int> ids;
  std::map<std::vector<int>, int> tag_ids;
  std::vector<const States*> todo;
  bool over = false;
  const auto id_of = [&](States states, bool begin) {
    if (states.empty()) return kDead;
    const auto [place, fresh] = ids.emplace(std::move(states), static_cast<int>(ids.size()));
    if (!fresh) return place->second;
    todo.push_back(&place->first);
    over = ids.size() > kMostStates;
    auto tags = tags_of(nfa, closure(nfa, place->first, begin, true));
    int tag = -1;
    if (!tags.empty()) {
      tag = tag_ids.emplace(tags, static_cast<int>(tag_ids.size())).first->second;
      if (static_cast<size_t>(tag) == out.tag_sets_.size()) out.tag_sets_.push_back(std::move(tags));
    }
    out.accepts_.push_back(tag);
    out.next_.resize(out.accepts_.size() * classes, kDead);
    return place->second;
  };
  // The begin has a state of its own: with assertions it may be left otherwise than any later one.
  States begin = closure(nfa, nfa.starts, true, false);
  const bool asserts =
      std::ranges::any_of(nfa.states, [](const Nfa::State& state) { return !state.at_begin.empty(); });
  if (asserts) begin.push_back(static_cast<int>(nfa.states.size()));  // no state of the NFA
  out.start_ = id_of(std::move(begin), true);
  std::vector<States> reached(classes);
  for (size_t i = 0; i < todo.size(); ++i) {
    if (over) return fail(Code::kLimit, "pattern: found more than {} states, expected fewer", kMostStates);
    for (auto& states : reached) states.clear();
    for (int state : *todo[i]) {
      if (static_cast<size_t>(state) == nfa.states.size()) continue;
      for (const auto& edge : nfa.states[static_cast<size_t>(state)].edges) {
        for (size_t c : classes_of[static_cast<size_t>(edge.set)]) reached[c].push_back(edge.to);
      }
    }
    for (size_t c = 0; c < classes; ++c) {
      if (reached[c].empty()) continue;
      const int to = id_of(closure(nfa, reached[c], false, false), false);
      out.at(static_cast<int>(i), c) = to;
    }
  }
  out.keep_live();
  return out;
}

CharDfa CharDfa::lengths(uint32_t least, uint32_t most) {
  CharDfa out;
  out.bounds_ = {0};
  out.tag_sets_ = {{0}};
  const uint32_t states = most == UINT32_MAX ? least + 1 : most + 1;
  for (uint32_t i = 0; i < states; ++i) {
    out.accepts_.push_back(i >= least ? 0 : -1);
    out.next_.push_back(i + 1 < states       ? static_cast<int>(i) + 1
                        : most == UINT32_MAX ? static_cast<int>(i)
                                             : kDead);
  }
  out.start_ = 0;
  out.keep_live();
  return out;
}

Result<CharDfa> CharDfa::intersect(const CharDfa& a, const CharDfa& b) {
  CharDfa out;
  out.tag_sets_ = {{0}};
  std::set<uint32_t> bounds(a.bounds_.begin(), a.bounds_.end());
  bounds.insert(b.bounds_.begin(), b.bounds_.end());
  out.bounds_.assign(bounds.begin(), bounds.end());
  std::map<std::pair<int, int>, int> ids;
  std::vector<std::pair<int, int>> todo;
  const auto id_of = [&](int x, int y) {
    if (x == kDead || y == kDead) return kDead;
    const auto [place, fresh] = ids.emplace(std::pair(x, y), static_cast<int>(ids.size()));
    if (fresh) {
      todo.emplace_back(x, y);
      out.accepts_.push_back(a.accepts(x) && b.accepts(y) ? 0 : -1);
      out.next_.resize(out.accepts_.size() * out.bounds_.size(), kDead);
    }
    return place->second;
  };
  out.start_ = id_of(a.start_, b.start_);
  for (size_t i = 0; i < todo.size(); ++i) {
    if (ids.size() > kMostStates) {
      return fail(Code::kLimit, "pattern: found more than {} states with its lengths, expected fewer",
                  kMostStates);
    }
    const auto [x, y] = todo[i];
    for (size_t c = 0; c < out.bounds_.size(); ++c) {
      const int to = id_of(a.next(x, out.bounds_[c]), b.next(y, out.bounds_[c]));
      out.at(static_cast<int>(i), c) = to;
    }
  }
  out.keep_live();
  return out;
}

CharDfa CharDfa::complement_of(const CharDfa& a) {
  CharDfa out;
  out.tag_sets_ = {{0}};
  std::set<uint32_t> bounds(a.bounds_.begin(), a.bounds_.end());
  bounds.insert({kSurrogates.first, kSurrogates.second + 1});
  out.bounds_.assign(bounds.begin(), bounds.end());
  const int sink = static_cast<int>(a.size());
  for (int state = 0; state <= sink; ++state) {
    out.accepts_.push_back(state == sink || !a.accepts(state) ? 0 : -1);
    for (uint32_t bound : out.bounds_) {
      const int to = state == sink ? kDead : a.next(state, bound);
      out.next_.push_back(bound == kSurrogates.first ? kDead : to == kDead ? sink : to);
    }
  }
  out.start_ = a.start_ == kDead ? sink : a.start_;
  out.keep_live();
  return out;
}

std::vector<std::vector<int>> CharDfa::predecessors() const {
  std::vector<std::vector<int>> out(size());
  for (size_t i = 0; i < next_.size(); ++i) {
    if (next_[i] == kDead) continue;
    auto& from = out[static_cast<size_t>(next_[i])];
    const int state = static_cast<int>(i / bounds_.size());
    if (from.empty() || from.back() != state) from.push_back(state);
  }
  return out;
}

void CharDfa::keep_live() {
  const auto from = predecessors();
  std::vector<char> live(size());
  std::vector<int> todo;
  for (size_t i = 0; i < size(); ++i) {
    if (accepts_[i] < 0) continue;
    live[i] = 1;
    todo.push_back(static_cast<int>(i));
  }
  while (!todo.empty()) {
    const int state = todo.back();
    todo.pop_back();
    for (int before : from[static_cast<size_t>(state)]) {
      if (std::exchange(live[static_cast<size_t>(before)], 1) == 0) todo.push_back(before);
    }
  }
  for (int& to : next_) {
    if (to != kDead && live[static_cast<size_t>(to)] == 0) to = kDead;
  }
  if (start_ != kDead && live[static_cast<size_t>(start_)] == 0) start_ = kDead;
}

}  // namespace bantam::runtime::grammar
