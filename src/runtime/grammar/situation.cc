// Which keys an object may still have.

#include <algorithm>

#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {

int Machine::situation(int object, std::vector<bool> seen, uint32_t others) {
  const ObjectSpec& spec = objects_[static_cast<size_t>(object)];
  // Without an upper bound it matters only whether there is another key.
  if (spec.most == UINT32_MAX) others = std::min(others, 1U);
  const auto [place, fresh] =
      situation_ids_.emplace(std::tuple(object, seen, others), static_cast<int>(situations_.size()));
  if (!fresh) return place->second;
  Situation out;
  out.object = object;
  out.seen = std::move(seen);
  out.others = others;
  judge(out);
  situations_.push_back(std::move(out));
  return place->second;
}

void Machine::judge(Situation& out) const {
  const ObjectSpec& spec = objects_[static_cast<size_t>(out.object)];
  std::vector<bool> required = spec.required;
  for (size_t round = 0; round < spec.needs.size();
       ++round) {  // a chain of needs ends after as many rounds as there are
    for (const auto& [other, also] : spec.needs) {
      if (out.seen[static_cast<size_t>(other)] || required[static_cast<size_t>(other)]) {
        required[static_cast<size_t>(also)] = true;
      }
    }
  }
  size_t count = out.others, missing = 0, first_missing = required.size(), last_seen = 0;
  for (size_t i = 0; i < required.size(); ++i) {
    if (out.seen[i]) {
      ++count;
      last_seen = i + 1;
    } else if (required[i]) {
      if (missing++ == 0) first_missing = i;
    }
  }
  // Keys that are not declared may repeat each other, so only one of them counts towards the least number.
  const size_t distinct = count - out.others + std::min(out.others, 1U);
  out.may_end = missing == 0 && distinct >= spec.least;
  const size_t room = spec.most == UINT32_MAX ? SIZE_MAX : spec.most - std::min<size_t>(spec.most, count);
  out.allowed.assign(spec.rules.size(), false);
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const int key = spec.rules[i].declared;
    bool allowed = room > missing;
    if (key >= 0) {
      const auto k = static_cast<size_t>(key);
      allowed = (allowed || (room > 0 && required[k])) && !out.seen[k];
      if (options_.ordered) {
        allowed = allowed && k >= last_seen && k <= first_missing && out.others == 0;
        for (const auto& [trigger, needed] : spec.needs) {  // what it needs must not be over already
          if (trigger == key && needed < key && !out.seen[static_cast<size_t>(needed)]) allowed = false;
        }
      }
    } else if (options_.ordered) {
      allowed = allowed && missing == 0;
    }
    out.allowed[i] = allowed;
  }
  out.open.assign(spec.keys < 0 ? 0 : dfa(spec.keys).size(), false);
  std::vector<int> todo;
  for (size_t state = 0; state < spec.rule_of.size(); ++state) {
    const int rule = spec.rule_of[state];
    if (rule < 0 || !out.allowed[static_cast<size_t>(rule)]) continue;
    out.open[state] = true;
    todo.push_back(static_cast<int>(state));
  }
  while (!todo.empty()) {
    const int state = todo.back();
    todo.pop_back();
    for (int before : spec.before[static_cast<size_t>(state)]) {
      if (out.open[static_cast<size_t>(before)]) continue;
      out.open[static_cast<size_t>(before)] = true;
      todo.push_back(before);
    }
  }
}

}  // namespace bantam::runtime::grammar
