#pragma once
// One generation as steps, so that one loop can drive one of them or many together. Internal to runtime.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/grammar/grammar.h"
#include "runtime/session.h"
#include "runtime/stop_filter.h"

namespace bantam::runtime {

/// Reads a prompt, then draws tokens until something ends it. Borrows the state, which must stay where it is.
class Sequence {
 public:
  /// Errors: those of Session::generate.
  static Result<std::unique_ptr<Sequence>> begin(Session::State& state, std::span<const TokenId> prompt,
                                                 GenerateOptions options);
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  bool reading() const { return state_.past.size() + 1 < tokens_.size(); }
  /// The tokens to take in next, at most `most` (at least one); `outputs` of them, the last ones, whose
  /// logits take() wants. Valid until take().
  struct Feed {
    std::span<const TokenId> tokens;
    size_t outputs = 0;
  };
  Feed next(size_t most);
  /// After the feed's tokens were added to the cache and to State::past. logits: [outputs, V]. Errors:
  /// kCorrupt for weights whose logits are not numbers; kUnsupported where the vocabulary cannot spell what
  /// the grammar wants.
  Status take(const float* logits);
  bool done() const { return done_; }
  /// Ends it, if it has not ended.
  void cancel();
  bool cancelled() const { return options_.cancel.stop_requested(); }
  bool paused() const { return options_.paused && options_.paused(); }
  /// REQUIRES: done().
  Generation result() { return std::move(out_); }

 private:
  Sequence(Session::State& state, GenerateOptions options);
  /// Draws a token from one row. False: nothing may follow.
  Result<bool> draw(std::span<const float> row, bool full);
  void end(Finish finish);
  void set_draft(size_t most);
  void shift();

  Session::State& state_;
  GenerateOptions options_;
  Generation out_;
  Sampler sampler_;
  StopFilter filter_;
  std::optional<GrammarState> grammar_;
  std::vector<uint64_t> mask_;
  std::vector<TokenId> tokens_;  // prompt and answer
  std::vector<TokenId> draft_;   // proposed to follow them
  std::vector<TokenId> feed_;
  size_t outputs_ = 0, before_ = 0;  // of the last feed; tokens in the cache before it
  size_t width_ = 1;                 // how many tokens to propose
  double start_ = 0, prefilled_ = 0;
  bool done_ = false;
};

/// Takes in the feeds of several sequences of one engine together. REQUIRES: feeds within the workspace's
/// batch. `logits` is scratch. Errors: those of Sequence::take, by index into `sequences`.
void advance(const Engine::Impl& engine, std::span<Sequence* const> sequences,
             std::span<const Sequence::Feed> feeds, std::span<Session::State* const> states,
             model::Workspace& workspace, std::vector<float>& scratch, std::vector<Status>& results);

}  // namespace bantam::runtime
