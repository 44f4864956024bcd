#pragma once
// The merging loop that rank-driven BPE and score-driven SentencePiece vocabularies share.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/rng.h"

namespace bantam::text {

/// A part of the text being merged; a merged-away part has length 0. `prev` and `next` are indices, -1 at the
/// ends.
struct MergeSymbol {
  int32_t id = -1;
  uint32_t begin = 0, length = 0;
  int32_t prev = -1, next = -1;
};

/// What a merge gives, and how early it is to be made: the smallest order first, the leftmost of equal ones.
struct MergeResult {
  double order = 0;
  int32_t id = -1;
};

/// Scratch memory of one thread's merging; reused from word to word.
struct MergeState {
  struct Candidate {
    MergeResult result;
    int32_t left, right;
    uint32_t length;  // of both together: when it no longer holds, the candidate is stale
  };
  std::vector<MergeSymbol> symbols;
  std::vector<Candidate> heap, skipped;

  /// Appends a symbol behind the last one.
  void add(int32_t id, uint32_t begin, uint32_t length) {
    auto index = static_cast<int32_t>(symbols.size());
    if (index > 0) symbols.back().next = index;
    symbols.push_back({id, begin, length, index - 1, -1});
  }
};

/// Merges neighbours until `lookup(left, right)` (a std::optional<MergeResult>) allows none. With `rng`, each
/// candidate is left out of each step with probability `dropout` (Provilkov et al. 2020, algorithm 1).
template <class Lookup>
void merge_all(MergeState& state, const Lookup& lookup, double dropout = 0, Rng* rng = nullptr) {
  using Candidate = MergeState::Candidate;
  auto& [symbols, heap, skipped] = state;
  auto later = [](const Candidate& a, const Candidate& b) {
    return a.result.order != b.result.order ? a.result.order > b.result.order : a.left > b.left;
  };
  auto push = [&](const Candidate& candidate) {
    heap.push_back(candidate);
    std::push_heap(heap.begin(), heap.end(), later);
  };
  auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (auto result = lookup(symbols[left], symbols[right])) {
      push({*result, left, right, symbols[left].length + symbols[right].length});
    }
  };
  heap.clear();
  skipped.clear();
  for (size_t i = 1; i < symbols.size(); ++i) consider(static_cast<int32_t>(i - 1), static_cast<int32_t>(i));
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Candidate best = heap.back();
    heap.pop_back();
    auto& left = symbols[best.left];
    auto& right = symbols[best.right];
    if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) continue;
    if (rng != nullptr && rng->chance(dropout)) {
      skipped.push_back(best);
      continue;
    }
    left.id = best.result.id;
    left.length = best.length;
    left.next = right.next;
    if (right.next >= 0) symbols[right.next].prev = best.left;
    right.length = 0;
    for (const auto& candidate : skipped) push(candidate);
    skipped.clear();
    consider(left.prev, best.left);
    consider(best.left, left.next);
  }
}

}  // namespace bantam::text
