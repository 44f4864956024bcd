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

/// Schemas that must all hold, as alternatives; the machine's value of the same index.
struct Node {
  Together all;
  std::vector<Alternative> alternatives;
  bool done = false, possible = false;
};

/// Sets `possible` everywhere: the least fixed point, what can be completed in finitely many steps. Nodes not
/// yet compiled count as possible.
void judge(std::deque<Node>& nodes, Machine& machine);

/// Hands the machine what judge() found possible and takes the rest away.
void finish(const std::deque<Node>& nodes, Machine& machine);

}  // namespace bantam::runtime::grammar
