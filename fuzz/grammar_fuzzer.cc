// A schema, then random walks over a vocabulary of bytes: whatever compiles never comes to a dead end, and
// mask and automaton agree.

#include <cstdlib>

#include "base/rng.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/vocabulary.h"

namespace {

std::shared_ptr<const bantam::runtime::grammar::Vocabulary> vocabulary() {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  for (const char* piece : {"{\"", "\":", "\",\"", "\"}", "[]", "}}", "true", "ab", "12", "\\u00"})
    pieces.emplace_back(piece);
  pieces.emplace_back();
  const auto end = static_cast<bantam::text::TokenId>(pieces.size()) - 1;
  return std::make_shared<const bantam::runtime::grammar::Vocabulary>(
      std::move(pieces), std::vector<bantam::text::TokenId>{end});
}

void walk(const std::shared_ptr<const bantam::runtime::Grammar>& grammar, bantam::Rng& rng, size_t tokens) {
  bantam::runtime::GrammarState state(grammar);
  std::vector<uint64_t> mask;
  for (int step = 0; step < 64; ++step) {
    state.mask(mask);
    std::vector<bantam::text::TokenId> allowed;
    for (size_t id = 0; id + 1 < tokens; ++id) {
      if ((mask[id / 64] >> (id % 64) & 1) != 0) allowed.push_back(static_cast<bantam::text::TokenId>(id));
    }
    if (allowed.empty()) {
      if (!state.may_end()) std::abort();
      return;
    }
    if (!state.accept(allowed[rng.below(allowed.size())])) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokens = vocabulary();
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool ordered = (data[0] & 1) != 0, pattern = (data[0] & 6) == 6;
  const auto grammar = pattern ? bantam::runtime::Grammar::pattern(text, tokens)
                               : bantam::runtime::Grammar::json_schema(text, tokens, {.ordered = ordered});
  if (!grammar) {
    if (grammar.error().message.empty()) std::abort();
    return 0;
  }
  bantam::Rng rng(size);
  for (int i = 0; i < 3; ++i) walk(*grammar, rng, tokens->size());
  return 0;
}
