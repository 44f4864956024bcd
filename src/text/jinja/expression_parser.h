#pragma once
// Expressions of a template by recursive descent, in Jinja's order of precedence.

#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/program.h"

namespace bantam::text::jinja {

class ExpressionParser {
 protected:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek() const { return tokens_[at_]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  std::unexpected<Error> error(std::string_view found, std::string_view expected) const;
  /// The current token is not what was expected.
  std::unexpected<Error> unexpected(std::string_view expected) const;
  Status enter();
  void leave() { --depth_; }

  Result<ExprPtr> expression(bool with_choice = true);
  /// A tuple where a comma follows.
  Result<ExprPtr> expression_or_tuple(bool with_choice = true);
  /// A name or several; with `attributes` also name.attribute.
  Result<ExprPtr> assignment_target(bool attributes);
  /// " | filter | filter" behind `value`; `value` where there is none.
  Result<ExprPtr> filters(ExprPtr value);
  /// "filter | filter" of a filter block.
  Result<ExprPtr> first_filter();

 private:
  using Rule = Result<ExprPtr> (ExpressionParser::*)();
  ExprPtr make(Expr::Kind kind, std::string text = {}) const;
  Status add(Expr& parent, ExprPtr part) const;
  Result<ExprPtr> left_to_right(Rule operand, std::initializer_list<std::string_view> operators);
  Result<ExprPtr> any_of();
  Result<ExprPtr> all_of();
  Result<ExprPtr> negation();
  Result<ExprPtr> comparison();
  Result<ExprPtr> sum();
  Result<ExprPtr> concatenation();
  Result<ExprPtr> product();
  Result<ExprPtr> power();
  Result<ExprPtr> unary();
  Result<ExprPtr> signed_value(bool with_filters);
  Result<ExprPtr> primary();
  Result<ExprPtr> parenthesised();
  Result<ExprPtr> list();
  Result<ExprPtr> dict();
  Result<ExprPtr> postfix(ExprPtr value);
  Result<ExprPtr> attribute(ExprPtr value);
  Result<ExprPtr> item_or_slice(ExprPtr value);
  Result<ExprPtr> test(ExprPtr value);
  Status arguments(Expr& call);
  Result<ExprPtr> one_filter(ExprPtr value);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  size_t depth_ = 0;
};

}  // namespace bantam::text::jinja
