#pragma once
// Which alternatives of a compiled schema can be completed at all. Internal to runtime/grammar.

#include <deque>
#include <vector>

#include "runtime/grammar/machine.h"
#include "runtime/grammar/shape.h"

namespace bantam::runtime::grammar {

/// One way in which a value may begin; `array` and `object` index the machine's.
struct Alternative {
  int state = 0, array = -1, object = -1;
  bool possible = false;
};

/// Schemas that must all hold, as alternatives.
struct Node {
  Together all;
  std::vector<Alternative> alternatives;
  bool done = false, possible = false;
};

/// One document's; the machine's values from `first` on.
struct Nodes {
  int first = 0;
  std::deque<Node> all;
  const Node& of(int value) const { return all[static_cast<size_t>(value - first)]; }
};

/// Sets `possible` everywhere: the least fixed point, what can be completed in finitely many steps. Nodes not
/// yet compiled count as possible.
void judge(Nodes& nodes, Machine& machine);

/// Hands the machine what judge() found possible and takes the rest away.
void finish(const Nodes& nodes, Machine& machine);

}  // namespace bantam::runtime::grammar
