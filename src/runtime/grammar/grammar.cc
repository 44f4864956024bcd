#include "runtime/grammar/grammar.h"

#include <algorithm>

#include "base/utf8.h"
#include "runtime/grammar/calls.h"
#include "runtime/grammar/masker.h"
#include "runtime/grammar/regex.h"
#include "runtime/grammar/schema.h"

namespace bantam::runtime {

using grammar::Machine;
using grammar::MachineOptions;
using grammar::Thread;
using grammar::Vocabulary;

struct Grammar::Impl {
  Impl(MachineOptions options, std::shared_ptr<const Vocabulary> v)
      : vocabulary(std::move(v)), machine(options), masker(machine, vocabulary) {}

  std::shared_ptr<const Vocabulary> vocabulary;
  Machine machine;
  grammar::Masker masker;
  std::vector<Thread> start;
  std::vector<std::string> notes;
  bool calls = false;  // made by Grammar::calls
  std::mutex mutex;    // of machine and masker

  /// Any text may stand here, and with it tokens that add nothing to it.
  bool in_text(const std::vector<Thread>& threads) const {
    return calls && std::ranges::any_of(threads, [this](Thread t) { return machine.in_text(t.state); });
  }
};

struct GrammarState::Impl {
  std::shared_ptr<const Grammar> grammar;
  std::vector<Thread> threads;
};

namespace {

Result<std::unique_ptr<Grammar::Impl>> of_automaton(grammar::CharDfa dfa,
                                                    std::shared_ptr<const Vocabulary> vocabulary) {
  if (dfa.start() == grammar::CharDfa::kDead) {
    return fail(Code::kInvalidArgument, "pattern: found one that matches nothing");
  }
  auto impl = std::make_unique<Grammar::Impl>(MachineOptions{}, std::move(vocabulary));
  const int value = impl->machine.add_value({impl->machine.raw(std::move(dfa))});
  impl->start = impl->machine.start(value);
  return impl;
}

}  // namespace

Grammar::Grammar(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Grammar::~Grammar() = default;
const std::vector<std::string>& Grammar::notes() const { return impl_->notes; }

Result<std::shared_ptr<const Grammar>> Grammar::json_schema(std::string_view schema,
                                                            std::shared_ptr<const Vocabulary> vocabulary,
                                                            GrammarOptions options) {
  auto impl = std::make_unique<Impl>(MachineOptions{options.ordered, options.spaces}, std::move(vocabulary));
  BANTAM_ASSIGN(int value, grammar::compile_schema(schema, impl->machine, impl->notes));
  impl->start = impl->machine.start(value);
  return std::shared_ptr<const Grammar>(new Grammar(std::move(impl)));
}

Result<std::shared_ptr<const Grammar>> Grammar::json_object(std::shared_ptr<const Vocabulary> vocabulary) {
  return json_schema(R"({"type": "object"})", std::move(vocabulary));
}

Result<std::shared_ptr<const Grammar>> Grammar::pattern(std::string_view pattern,
                                                        std::shared_ptr<const Vocabulary> vocabulary) {
  BANTAM_ASSIGN(auto dfa, grammar::pattern_dfa(pattern, true));
  BANTAM_ASSIGN(auto impl, of_automaton(std::move(dfa), std::move(vocabulary)));
  return std::shared_ptr<const Grammar>(new Grammar(std::move(impl)));
}

Result<std::shared_ptr<const Grammar>> Grammar::choices(std::span<const std::string> texts,
                                                        std::shared_ptr<const Vocabulary> vocabulary) {
  grammar::Nfa nfa;
  for (const auto& text : texts) {
    if (find_broken_utf8(text) != std::string_view::npos) {
      return fail(Code::kInvalidArgument, "choices: found a text that is not UTF-8");
    }
    nfa.add_text(text, 0);
  }
  if (texts.empty()) return fail(Code::kInvalidArgument, "choices: found none, expected at least one");
  BANTAM_ASSIGN(auto dfa, grammar::CharDfa::build(nfa));
  BANTAM_ASSIGN(auto impl, of_automaton(std::move(dfa), std::move(vocabulary)));
  return std::shared_ptr<const Grammar>(new Grammar(std::move(impl)));
}

Result<std::shared_ptr<const Grammar>> Grammar::calls(const CallRules& rules,
                                                      std::shared_ptr<const Vocabulary> vocabulary) {
  auto impl = std::make_unique<Impl>(MachineOptions{true, true}, std::move(vocabulary));
  BANTAM_ASSIGN(int value, grammar::compile_calls(rules, impl->machine, impl->notes));
  impl->start = impl->machine.start(value);
  impl->calls = true;
  return std::shared_ptr<const Grammar>(new Grammar(std::move(impl)));
}

GrammarState::GrammarState(std::shared_ptr<const Grammar> grammar) : impl_(std::make_unique<Impl>()) {
  impl_->threads = grammar->impl_->start;
  impl_->grammar = std::move(grammar);
}
GrammarState::GrammarState(const GrammarState& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
GrammarState& GrammarState::operator=(const GrammarState& other) {
  *impl_ = *other.impl_;
  return *this;
}
GrammarState::GrammarState(GrammarState&&) noexcept = default;
GrammarState& GrammarState::operator=(GrammarState&&) noexcept = default;
GrammarState::~GrammarState() = default;

void GrammarState::mask(std::vector<uint64_t>& out) const {
  auto& all = *impl_->grammar->impl_;
  std::lock_guard lock(all.mutex);
  const auto& mask = all.masker.mask(impl_->threads);
  out.assign(mask.begin(), mask.end());
  if (!all.in_text(impl_->threads)) return;
  const auto& silent = all.vocabulary->silent();
  for (size_t i = 0; i < out.size(); ++i) out[i] |= silent[i];
}

bool GrammarState::accept(text::TokenId token) {
  auto& all = *impl_->grammar->impl_;
  if (token < 0 || static_cast<size_t>(token) >= all.vocabulary->size()) return false;
  if (all.vocabulary->is_end(token)) return may_end();
  const auto& piece = all.vocabulary->piece(token);
  if (!piece.empty()) return accept_bytes(piece);
  std::lock_guard lock(all.mutex);
  return all.in_text(impl_->threads);
}

std::string_view GrammarState::piece(text::TokenId token) const {
  return impl_->grammar->impl_->vocabulary->piece(token);
}

bool GrammarState::accept_bytes(std::string_view bytes) {
  auto& all = *impl_->grammar->impl_;
  std::lock_guard lock(all.mutex);
  return all.masker.advance(impl_->threads, bytes);
}

bool GrammarState::may_end() const {
  auto& all = *impl_->grammar->impl_;
  std::lock_guard lock(all.mutex);
  return std::ranges::any_of(impl_->threads, [&](Thread thread) { return all.machine.complete(thread); });
}

bool GrammarState::must_end() const {
  return std::ranges::all_of(impl_->threads,
                             [](Thread thread) { return thread.state == Machine::kDoneState; });
}

}  // namespace bantam::runtime
