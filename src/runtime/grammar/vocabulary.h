#pragma once
// A vocabulary as a trie of bytes, shared by all grammars of a model. Internal to runtime.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace bantam::runtime::grammar {

using text::TokenId;

/// Immutable. Nodes stand in the order of a depth-first walk, so that a subtree is a range; node 0 is the
/// root.
class Vocabulary {
 public:
  /// Tokens without bytes of their own (control tokens) are left out, but for those `shown`, which stand for
  /// their text; those that end a generation are noted.
  explicit Vocabulary(const text::Tokenizer& tokenizer, std::span<const TokenId> shown = {});
  /// For tests: the pieces by id; an empty one is left out.
  explicit Vocabulary(std::vector<std::string> pieces, std::vector<TokenId> ends = {});

  struct Node {
    uint32_t end = 0;     // one past the subtree's last node
    uint32_t tokens = 0;  // first of the subtree's tokens in order()
    uint32_t own = 0;     // one past the last token that ends here
    uint16_t depth = 0;
    uint8_t byte = 0;
  };
  std::span<const Node> nodes() const { return nodes_; }
  std::span<const TokenId> order() const { return order_; }
  size_t size() const { return pieces_.size(); }
  size_t words() const { return (size() + 63) / 64; }
  const std::string& piece(TokenId id) const { return pieces_[static_cast<size_t>(id)]; }
  std::span<const TokenId> ends() const { return ends_; }
  bool is_end(TokenId id) const;
  /// Tokens that were left out, as a mask.
  const std::vector<uint64_t>& silent() const { return silent_; }
  size_t deepest() const { return deepest_; }

  /// Inside a JSON string, from where a character may begin: the tokens that stay in it with at most n
  /// characters begun (as a mask; n up to longest()), and the nodes at which its closing quote stands, with
  /// the characters before.
  std::span<const uint64_t> inside(size_t n) const { return inside_[std::min(n, inside_.size() - 1)]; }
  struct Quote {
    uint32_t node, characters;
  };
  std::span<const Quote> quotes() const { return quotes_; }
  /// The same for strings without needless escapes, whatever their length.
  std::span<const uint64_t> canonical_inside() const { return canonical_inside_; }
  std::span<const uint32_t> canonical_quotes() const { return canonical_quotes_; }
  /// One past the subtree's last token in order().
  uint32_t last_token(uint32_t node) const {
    const uint32_t end = nodes_[node].end;
    return end < nodes_.size() ? nodes_[end].tokens : static_cast<uint32_t>(order_.size());
  }

 private:
  void build();
  void build_inside();
  void build_canonical();

  std::vector<std::string> pieces_;
  std::vector<TokenId> ends_, order_;
  std::vector<Node> nodes_;
  std::vector<std::vector<uint64_t>> inside_;
  std::vector<Quote> quotes_;
  std::vector<uint64_t> canonical_inside_, silent_;
  std::vector<uint32_t> canonical_quotes_;
  size_t deepest_ = 0;
};

}  // namespace bantam::runtime::grammar
