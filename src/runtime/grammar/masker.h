#pragma once
// Which tokens may come next. Internal to runtime/grammar.

#include <map>
#include <memory>
#include <unordered_map>

#include "runtime/grammar/machine.h"
#include "runtime/grammar/vocabulary.h"

namespace bantam::runtime::grammar {

/// Masks of one machine over one vocabulary. What a state allows within its own frame is worked out once, for
/// the whole vocabulary or for the part of it below a node of the trie; where a token leaves the frame, the
/// rest of it is looked up for the frame below. Not for use by several threads at once.
class Masker {
 public:
  Masker(Machine& machine, std::shared_ptr<const Vocabulary> vocabulary);

  /// Bit t of the mask: token t may come next. Valid until the next call. End tokens are allowed where the
  /// text may end.
  const std::vector<uint64_t>& mask(const std::vector<Thread>& threads);
  /// Takes a token's bytes. False, and nothing changed, where they are not allowed.
  bool advance(std::vector<Thread>& threads, std::string_view bytes);

 private:
  struct Part {
    std::vector<uint64_t> bits;     // of the root: the whole vocabulary
    std::vector<TokenId> tokens;    // of other nodes
    std::vector<uint32_t> borders;  // nodes with children where the frame has ended
  };
  struct Sink {
    Part& part;
    bool root;
  };

  const Part& part(uint32_t node, int state);
  void free_part(const State& state, Part& out) const;
  bool key_part(int id, Part& out);
  void follow_names(uint32_t node, const State& state, struct NameWalk& names, Sink& sink);
  void judge_exactly(uint32_t child, const State& state, struct NameWalk& names, Sink& sink);
  void walk(uint32_t node, const std::vector<Thread>& threads, Sink& sink);
  void walk_one(uint32_t node, Thread thread, Sink& sink);
  void reach(uint32_t node, std::vector<Thread>& next, bool popped, Sink& sink);
  void mark(uint32_t node, Sink& sink) const;
  void add(Thread thread, std::vector<uint64_t>& mask);
  void forget_if_large();

  Machine& machine_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::unordered_map<uint64_t, std::unique_ptr<Part>> parts_;  // of node << 32 | state
  std::map<std::vector<Thread>, std::vector<uint64_t>> masks_;
  size_t bytes_ = 0;
};

}  // namespace bantam::runtime::grammar
