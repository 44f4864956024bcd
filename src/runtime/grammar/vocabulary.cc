#include "runtime/grammar/vocabulary.h"

#include <algorithm>

#include "runtime/grammar/machine.h"

namespace bantam::runtime::grammar {

Vocabulary::Vocabulary(const text::Tokenizer& tokenizer, std::span<const TokenId> shown) {
  pieces_.resize(tokenizer.vocab_size());
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokenizer.is_end(id)) {
      ends_.push_back(id);
    } else {
      pieces_[i] = tokenizer.piece(id, std::ranges::find(shown, id) != shown.end());
    }
  }
  build();
}

Vocabulary::Vocabulary(std::vector<std::string> pieces, std::vector<TokenId> ends)
    : pieces_(std::move(pieces)), ends_(std::move(ends)) {
  build();
}

bool Vocabulary::is_end(TokenId id) const { return std::ranges::find(ends_, id) != ends_.end(); }

void Vocabulary::build() {
  constexpr size_t kLongest = 4096;  // no real token is that long; a longer one is never allowed
  silent_.assign(words(), 0);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].empty() && !is_end(static_cast<TokenId>(i))) silent_[i / 64] |= uint64_t{1} << (i % 64);
  }
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (!pieces_[i].empty() && pieces_[i].size() <= kLongest) order_.push_back(static_cast<TokenId>(i));
  }
  const auto text = [this](TokenId id) { return std::string_view(pieces_[static_cast<size_t>(id)]); };
  std::ranges::sort(order_,
                    [&](TokenId a, TokenId b) { return text(a) != text(b) ? text(a) < text(b) : a < b; });
  nodes_.push_back({});
  std::vector<uint32_t> path{0};  // from the root to the last token's node
  std::string_view last;
  for (size_t t = 0; t < order_.size(); ++t) {
    const std::string_view now = text(order_[t]);
    const auto shared = static_cast<size_t>(std::ranges::mismatch(now, last).in1 - now.begin());
    for (; path.size() > shared + 1; path.pop_back())
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
    for (size_t depth = shared; depth < now.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      const auto first = static_cast<uint32_t>(t);
      nodes_.push_back({0, first, first, static_cast<uint16_t>(depth + 1), static_cast<uint8_t>(now[depth])});
    }
    nodes_[path.back()].own = static_cast<uint32_t>(t) + 1;
    deepest_ = std::max(deepest_, now.size());
    last = now;
  }
  for (uint32_t node : path) nodes_[node].end = static_cast<uint32_t>(nodes_.size());
  build_inside();
  build_canonical();
}

void Vocabulary::build_canonical() {
  canonical_inside_.resize(words());
  std::vector<int> state(deepest_ + 1, Free::kClean);
  for (uint32_t i = 1; i < nodes_.size();) {
    const Node& node = nodes_[i];
    const int to = Free::next_canonical(state[node.depth - 1U], node.byte);
    if (to == Free::kQuote) canonical_quotes_.push_back(i);
    if (to < 0) {
      i = node.end;
      continue;
    }
    state[node.depth] = to;
    for (uint32_t t = node.tokens; t < node.own; ++t) {
      canonical_inside_[static_cast<size_t>(order_[t]) / 64] |= uint64_t{1} << (order_[t] % 64);
    }
    ++i;
  }
}

void Vocabulary::build_inside() {
  std::vector<std::vector<TokenId>> by_characters(1);
  std::vector<int> state(deepest_ + 1, Free::kClean);
  std::vector<uint32_t> characters(deepest_ + 1, 0);
  for (uint32_t i = 1; i < nodes_.size();) {
    const Node& node = nodes_[i];
    const int from = state[node.depth - 1U], to = Free::next(from, node.byte);
    if (to == Free::kQuote) quotes_.push_back({i, characters[node.depth - 1U]});
    if (to < 0) {
      i = node.end;
      continue;
    }
    state[node.depth] = to;
    characters[node.depth] = characters[node.depth - 1U] + (from == Free::kClean ? 1 : 0);
    if (by_characters.size() <= characters[node.depth]) by_characters.resize(characters[node.depth] + 1);
    for (uint32_t t = node.tokens; t < node.own; ++t)
      by_characters[characters[node.depth]].push_back(order_[t]);
    ++i;
  }
  for (const auto& tokens : by_characters) {
    inside_.push_back(inside_.empty() ? std::vector<uint64_t>(words()) : inside_.back());
    for (TokenId id : tokens) inside_.back()[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  }
}

}  // namespace bantam::runtime::grammar
