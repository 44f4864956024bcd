#include "runtime/drafter.h"

#include <algorithm>

#include "runtime/session.h"

namespace bantam::runtime {
namespace {

class PromptLookup final : public Drafter {
 public:
  explicit PromptLookup(size_t longest) : longest_(longest) {}

  void propose(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) override {
    constexpr size_t kWindow = 4096;  // looks back no farther, so that a step's cost stays bounded
    out.clear();
    const auto recent = tokens.last(std::min(tokens.size(), kWindow));
    for (size_t n = std::min(longest_, recent.size()); n > 0; --n) {
      const auto end = recent.last(n), before = recent.first(recent.size() - 1);
      const auto found = std::find_end(before.begin(), before.end(), end.begin(), end.end());
      if (found == before.end()) continue;
      const auto at = static_cast<size_t>(found - before.begin()) + n;
      const auto next = recent.subspan(at, std::min(most, recent.size() - at));
      out.assign(next.begin(), next.end());
      return;
    }
  }

 private:
  size_t longest_;
};

class DraftModel final : public Drafter {
 public:
  DraftModel(std::shared_ptr<const Engine> engine, std::unique_ptr<Session> session)
      : engine_(std::move(engine)), session_(std::move(session)) {}

  void propose(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) override {
    out.clear();
    if (tokens.size() + most > engine_->context_length()) return;  // beyond its context it has nothing to say
    session_->continue_greedily(tokens, most, out);
  }

 private:
  std::shared_ptr<const Engine> engine_;
  std::unique_ptr<Session> session_;
};

}  // namespace

std::unique_ptr<Drafter> make_prompt_lookup(size_t longest) {
  return std::make_unique<PromptLookup>(longest);
}

Result<std::unique_ptr<Drafter>> make_draft_model(std::shared_ptr<const Engine> draft, const Engine& target) {
  const auto &small = draft->tokenizer(), &large = target.tokenizer();
  const size_t shared = std::min(small.vocab_size(), large.vocab_size());
  for (size_t i = 0; i < shared; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (small.piece(id, true) != large.piece(id, true)) {
      return fail(Code::kInvalidArgument, "{}: found '{}' as token {}, expected '{}' as in {}", draft->path(),
                  small.piece(id, true), id, large.piece(id, true), target.path());
    }
  }
  if (small.vocab_size() != large.vocab_size()) {
    return fail(Code::kInvalidArgument, "{}: found {} tokens, expected the {} of {}", draft->path(),
                small.vocab_size(), large.vocab_size(), target.path());
  }
  BANTAM_ASSIGN(auto session, draft->new_session());
  return std::make_unique<DraftModel>(std::move(draft), std::move(session));
}

}  // namespace bantam::runtime
