#pragma once
// A template as its tokens, with Jinja's white-space rules as chat templates are rendered everywhere:
// trim_blocks and lstrip_blocks on, one line end at the template's end dropped.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::text::jinja {

enum class TokenKind : uint8_t {
  kData,        // text between the tags
  kBlockBegin,  // {%
  kBlockEnd,
  kPrintBegin,  // {{
  kPrintEnd,
  kName,
  kString,  // value decoded
  kInteger,
  kReal,
  kOperator,  // value is the operator
  kEnd
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
  bool is(TokenKind k, std::string_view t) const { return kind == k && text == t; }
  bool is_operator(std::string_view t) const { return is(TokenKind::kOperator, t); }
  bool is_name(std::string_view t) const { return is(TokenKind::kName, t); }
};

/// Ends with a token kEnd. Errors: kCorrupt naming the line; kLimit for a template over 4 MiB.
Result<std::vector<Token>> lex(std::string_view source);

}  // namespace bantam::text::jinja
