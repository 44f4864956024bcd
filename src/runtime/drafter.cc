#include "runtime/drafter.h"

#include <algorithm>
#include <mutex>
#include <optional>

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

/// Errors: kInvalidArgument naming the first token that differs, or the sizes.
Status check_same_vocabulary(const Engine& draft, const Engine& target) {
  const auto &small = draft.tokenizer(), &large = target.tokenizer();
  const size_t shared = std::min(small.vocab_size(), large.vocab_size());
  for (size_t i = 0; i < shared; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (small.piece(id, true) != large.piece(id, true)) {
      return fail(Code::kInvalidArgument, "{}: found '{}' as token {}, expected '{}' as in {}", draft.path(),
                  small.piece(id, true), id, large.piece(id, true), target.path());
    }
  }
  if (small.vocab_size() != large.vocab_size()) {
    return fail(Code::kInvalidArgument, "{}: found {} tokens, expected the {} of {}", draft.path(),
                small.vocab_size(), large.vocab_size(), target.path());
  }
  return {};
}

class LookupSource final : public DraftSource {
 public:
  explicit LookupSource(size_t longest) : longest_(longest) {}
  std::shared_ptr<Drafter> drafter() override { return make_prompt_lookup(longest_); }

 private:
  size_t longest_;
};

/// Sessions that wait for the next generation.
struct DraftSessions {
  explicit DraftSessions(std::shared_ptr<const Engine> draft) : engine(std::move(draft)) {}

  Result<std::unique_ptr<Session>> take() {
    {
      std::lock_guard lock(mutex);
      if (!idle.empty()) {
        auto session = std::move(idle.back());
        idle.pop_back();
        return session;
      }
    }
    return engine->new_session();
  }
  void give_back(std::unique_ptr<Session> session) {
    std::lock_guard lock(mutex);
    idle.push_back(std::move(session));
  }

  const std::shared_ptr<const Engine> engine;
  std::mutex mutex;
  std::vector<std::unique_ptr<Session>> idle;
};

/// A draft model from its first proposal on.
class PooledDrafter final : public Drafter {
 public:
  explicit PooledDrafter(std::shared_ptr<DraftSessions> sessions) : sessions_(std::move(sessions)) {}
  ~PooledDrafter() override {
    if (session_) sessions_->give_back(std::move(session_));
  }

  void propose(std::span<const TokenId> tokens, size_t most, std::vector<TokenId>& out) override {
    out.clear();
    if (problem_ || tokens.size() + most > sessions_->engine->context_length()) return;
    if (!session_) {
      auto taken = sessions_->take();
      if (!taken) {
        problem_ = std::move(taken).error().message;
        return;
      }
      session_ = std::move(*taken);
    }
    session_->continue_greedily(tokens, most, out);
  }
  std::string problem() const override { return problem_.value_or(""); }

 private:
  std::shared_ptr<DraftSessions> sessions_;
  std::unique_ptr<Session> session_;
  std::optional<std::string> problem_;
};

class DraftModels final : public DraftSource {
 public:
  explicit DraftModels(std::shared_ptr<const Engine> draft)
      : sessions_(std::make_shared<DraftSessions>(std::move(draft))) {}
  std::shared_ptr<Drafter> drafter() override { return std::make_shared<PooledDrafter>(sessions_); }

 private:
  std::shared_ptr<DraftSessions> sessions_;
};

}  // namespace

std::unique_ptr<Drafter> make_prompt_lookup(size_t longest) {
  return std::make_unique<PromptLookup>(longest);
}

Result<std::unique_ptr<Drafter>> make_draft_model(std::shared_ptr<const Engine> draft, const Engine& target) {
  BANTAM_TRY(check_same_vocabulary(*draft, target));
  auto sessions = std::make_shared<DraftSessions>(std::move(draft));
  BANTAM_ASSIGN(auto session, sessions->engine->new_session());
  sessions->give_back(std::move(session));
  return std::make_unique<PooledDrafter>(std::move(sessions));
}

std::shared_ptr<DraftSource> make_lookup_source(size_t longest) {
  return std::make_shared<LookupSource>(longest);
}

Result<std::shared_ptr<DraftSource>> make_draft_source(std::shared_ptr<const Engine> draft,
                                                       const Engine& target) {
  BANTAM_TRY(check_same_vocabulary(*draft, target));
  return std::make_shared<DraftModels>(std::move(draft));
}

}  // namespace bantam::runtime
