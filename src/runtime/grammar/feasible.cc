#include "runtime/grammar/feasible.h"

#include <algorithm>
#include <optional>

namespace bantam::runtime::grammar {
namespace {

bool possible(const Nodes& nodes, int value) { return nodes.of(value).possible; }

bool array_possible(const Nodes& nodes, const ArraySpec& spec) {
  for (uint32_t i = 0; i < spec.least; ++i) {
    const bool first = i < spec.first.size();
    if (!possible(nodes, first ? spec.first[i] : spec.rest)) return false;
    if (!first) break;  // the others are alike
  }
  return true;
}

/// The declared keys that may be there at all, or nothing where the object cannot be completed.
std::optional<std::vector<bool>> possible_keys(const Nodes& nodes, const ObjectSpec& spec, bool& others) {
  std::vector<bool> usable(spec.required.size());
  others = false;
  for (const KeyRule& rule : spec.rules) {
    if (!possible(nodes, rule.value)) continue;
    if (rule.declared >= 0) {
      usable[static_cast<size_t>(rule.declared)] = true;
    } else {
      others = true;
    }
  }
  for (size_t round = 0; round < spec.needs.size(); ++round) {
    for (const auto& [key, needed] : spec.needs) {
      if (!usable[static_cast<size_t>(needed)]) usable[static_cast<size_t>(key)] = false;
    }
  }
  std::vector<bool> required = spec.required;
  for (size_t round = 0; round < spec.needs.size(); ++round) {
    for (const auto& [key, needed] : spec.needs) {
      if (required[static_cast<size_t>(key)]) required[static_cast<size_t>(needed)] = true;
    }
  }
  for (size_t i = 0; i < required.size(); ++i) {
    if (required[i] && !usable[i]) return std::nullopt;
  }
  const auto count = [](const std::vector<bool>& bits) {
    return static_cast<size_t>(std::ranges::count(bits, true));
  };
  if (count(required) > spec.most || count(usable) + (others ? 1 : 0) < spec.least) return std::nullopt;
  return usable;
}

bool alternative_possible(const Nodes& nodes, Machine& machine, const Alternative& a) {
  if (a.array >= 0) return array_possible(nodes, machine.array(a.array));
  bool others = false;
  if (a.object >= 0) return possible_keys(nodes, machine.object(a.object), others).has_value();
  return true;
}

void finish_array(const Nodes& nodes, ArraySpec& spec) {
  for (size_t i = 0; i < spec.first.size(); ++i) {
    if (!possible(nodes, spec.first[i])) {
      spec.most = std::min(spec.most, static_cast<uint32_t>(i));
      break;
    }
  }
  if (spec.rest >= 0 && !possible(nodes, spec.rest)) spec.rest = -1;
}

void finish_object(const Nodes& nodes, ObjectSpec& spec) {
  bool others = false;
  const auto usable = possible_keys(nodes, spec, others);
  for (int& rule : spec.rule_of) {
    if (rule < 0) continue;
    const KeyRule& key = spec.rules[static_cast<size_t>(rule)];
    if (!possible(nodes, key.value) || (key.declared >= 0 && !(*usable)[static_cast<size_t>(key.declared)]))
      rule = -1;
  }
}

}  // namespace

void judge(Nodes& nodes, Machine& machine) {
  for (Node& node : nodes.all) node.possible = !node.done;
  for (bool changed = true; changed;) {
    changed = false;
    for (Node& node : nodes.all) {
      for (Alternative& a : node.alternatives) {
        a.possible = alternative_possible(nodes, machine, a);
        if (a.possible && !node.possible) node.possible = changed = true;
      }
    }
  }
}

void finish(const Nodes& nodes, Machine& machine) {
  for (size_t i = 0; i < nodes.all.size(); ++i) {
    Value states;
    for (const Alternative& a : nodes.all[i].alternatives) {
      if (!a.possible) continue;
      states.push_back(a.state);
      if (a.array >= 0) finish_array(nodes, machine.array(a.array));
      if (a.object >= 0) finish_object(nodes, machine.object(a.object));
    }
    std::ranges::sort(states);
    states.erase(std::unique(states.begin(), states.end()), states.end());
    machine.value(nodes.first + static_cast<int>(i)) = std::move(states);
  }
}

}  // namespace bantam::runtime::grammar
