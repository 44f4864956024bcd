#include "text/jinja/expression_parser.h"

#include <algorithm>

namespace bantam::text::jinja {
namespace {

constexpr size_t kDeepest = 200;

std::string token_text(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "the template's end";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kPrintEnd:
      return "}}";
    case TokenKind::kData:
    case TokenKind::kBlockBegin:
    case TokenKind::kPrintBegin:
      return "text outside a tag";
    default:
      return fmt::format("\"{}\"", token.text.substr(0, 60));
  }
}

}  // namespace

std::unexpected<Error> ExpressionParser::error(std::string_view found, std::string_view expected) const {
  return fail(Code::kCorrupt, "line {}: found {}, expected {}", peek().line, found, expected);
}

std::unexpected<Error> ExpressionParser::unexpected(std::string_view expected) const {
  return error(token_text(peek()), expected);
}

Status ExpressionParser::enter() {
  if (++depth_ > kDeepest)
    return fail(Code::kLimit, "line {}: found nesting deeper than {}, expected less", peek().line, kDeepest);
  return {};
}

ExprPtr ExpressionParser::make(Expr::Kind kind, std::string text) const {
  auto out = std::make_unique<Expr>();
  out->kind = kind;
  out->line = peek().line;
  out->text = std::move(text);
  return out;
}

Status ExpressionParser::add(Expr& parent, ExprPtr part) const {
  if (part != nullptr) parent.depth = std::max(parent.depth, part->depth + 1);
  parent.parts.push_back(std::move(part));
  if (parent.depth > kDeepest)
    return fail(Code::kLimit, "line {}: found an expression deeper than {}, expected less", parent.line,
                kDeepest);
  return {};
}

Result<ExprPtr> ExpressionParser::expression(bool with_choice) {
  BANTAM_TRY(enter());
  BANTAM_ASSIGN(ExprPtr value, any_of());
  while (with_choice && peek().is_name("if")) {
    next();
    ExprPtr choice = make(Expr::Kind::kChoice);
    BANTAM_TRY(add(*choice, std::move(value)));
    BANTAM_ASSIGN(ExprPtr condition, any_of());
    BANTAM_TRY(add(*choice, std::move(condition)));
    ExprPtr other;
    if (peek().is_name("else")) {
      next();
      BANTAM_ASSIGN(other, expression());
    }
    BANTAM_TRY(add(*choice, std::move(other)));
    value = std::move(choice);
  }
  leave();
  return value;
}

Result<ExprPtr> ExpressionParser::expression_or_tuple(bool with_choice) {
  BANTAM_ASSIGN(ExprPtr first, expression(with_choice));
  if (!peek().is_operator(",")) return first;
  ExprPtr tuple = make(Expr::Kind::kTuple);
  BANTAM_TRY(add(*tuple, std::move(first)));
  while (peek().is_operator(",")) {
    next();
    const TokenKind kind = peek().kind;
    if (kind == TokenKind::kBlockEnd || kind == TokenKind::kPrintEnd || peek().is_operator(")")) break;
    BANTAM_ASSIGN(ExprPtr item, expression(with_choice));
    BANTAM_TRY(add(*tuple, std::move(item)));
  }
  return tuple;
}

Result<ExprPtr> ExpressionParser::assignment_target(bool attributes) {
  const bool brackets = peek().is_operator("(");
  if (brackets) next();
  ExprPtr out;
  while (true) {
    if (peek().kind != TokenKind::kName) return unexpected("a name");
    ExprPtr name = make(Expr::Kind::kName, next().text);
    if (attributes && peek().is_operator(".")) {
      next();
      if (peek().kind != TokenKind::kName) return unexpected("an attribute's name");
      ExprPtr inner = std::move(name);
      name = make(Expr::Kind::kAttribute, next().text);
      BANTAM_TRY(add(*name, std::move(inner)));
    }
    const bool more = peek().is_operator(",");
    if (out == nullptr && !more && !brackets) return name;
    if (out == nullptr && !more) {
      out = std::move(name);
      break;
    }
    if (out == nullptr) out = make(Expr::Kind::kTuple);
    BANTAM_TRY(add(*out, std::move(name)));
    if (!more) break;
    next();
  }
  if (brackets) {
    if (!peek().is_operator(")")) return unexpected(")");
    next();
  }
  return out;
}

Result<ExprPtr> ExpressionParser::left_to_right(Rule operand,
                                                std::initializer_list<std::string_view> operators) {
  BANTAM_ASSIGN(ExprPtr left, (this->*operand)());
  while (true) {
    const Token& token = peek();
    const bool usable = token.kind == TokenKind::kOperator || token.kind == TokenKind::kName;
    if (!usable || std::ranges::find(operators, token.text) == operators.end()) return left;
    ExprPtr node = make(Expr::Kind::kBinary, token.text);
    next();
    BANTAM_TRY(add(*node, std::move(left)));
    BANTAM_ASSIGN(ExprPtr right, (this->*operand)());
    BANTAM_TRY(add(*node, std::move(right)));
    left = std::move(node);
  }
}

Result<ExprPtr> ExpressionParser::any_of() { return left_to_right(&ExpressionParser::all_of, {"or"}); }
Result<ExprPtr> ExpressionParser::all_of() { return left_to_right(&ExpressionParser::negation, {"and"}); }

Result<ExprPtr> ExpressionParser::negation() {
  if (!peek().is_name("not")) return comparison();
  BANTAM_TRY(enter());
  next();
  ExprPtr out = make(Expr::Kind::kUnary, "not");
  BANTAM_ASSIGN(ExprPtr value, negation());
  BANTAM_TRY(add(*out, std::move(value)));
  leave();
  return out;
}

Result<ExprPtr> ExpressionParser::comparison() {
  BANTAM_ASSIGN(ExprPtr first, sum());
  ExprPtr chain;
  while (true) {
    const Token& token = peek();
    std::string name;
    constexpr std::string_view kOperators[] = {"==", "!=", "<", ">", "<=", ">="};
    if (token.kind == TokenKind::kOperator &&
        std::ranges::find(kOperators, token.text) != std::end(kOperators)) {
      name = next().text;
    } else if (token.is_name("in")) {
      name = next().text;
    } else if (token.is_name("not") && tokens_[at_ + 1].is_name("in")) {
      next();
      next();
      name = "not in";
    } else {
      return chain == nullptr ? std::move(first) : std::move(chain);
    }
    if (chain == nullptr) {
      chain = make(Expr::Kind::kCompare);
      BANTAM_TRY(add(*chain, std::move(first)));
    }
    chain->arguments.push_back({std::move(name), nullptr});
    BANTAM_ASSIGN(ExprPtr right, sum());
    BANTAM_TRY(add(*chain, std::move(right)));
  }
}

Result<ExprPtr> ExpressionParser::sum() {
  return left_to_right(&ExpressionParser::concatenation, {"+", "-"});
}
Result<ExprPtr> ExpressionParser::concatenation() { return left_to_right(&ExpressionParser::product, {"~"}); }
Result<ExprPtr> ExpressionParser::product() {
  return left_to_right(&ExpressionParser::power, {"*", "/", "//", "%"});
}
Result<ExprPtr> ExpressionParser::power() { return left_to_right(&ExpressionParser::unary, {"**"}); }
Result<ExprPtr> ExpressionParser::unary() { return signed_value(true); }

Result<ExprPtr> ExpressionParser::signed_value(bool with_filters) {
  BANTAM_TRY(enter());
  ExprPtr value;
  if (peek().is_operator("-") || peek().is_operator("+")) {
    ExprPtr node = make(Expr::Kind::kUnary, next().text);
    BANTAM_ASSIGN(ExprPtr inner, signed_value(false));
    BANTAM_TRY(add(*node, std::move(inner)));
    value = std::move(node);
  } else {
    BANTAM_ASSIGN(value, primary());
  }
  BANTAM_ASSIGN(value, postfix(std::move(value)));
  if (with_filters) {
    BANTAM_ASSIGN(value, filters(std::move(value)));
  }
  leave();
  return value;
}

Result<ExprPtr> ExpressionParser::primary() {
  const Token& token = peek();
  switch (token.kind) {
    case TokenKind::kName: {
      constexpr std::pair<std::string_view, std::string_view> kConstants[] = {
          {"true", "true"},   {"True", "true"}, {"false", "false"},
          {"False", "false"}, {"none", "none"}, {"None", "none"}};
      for (auto [name, value] : kConstants) {
        if (token.text != name) continue;
        next();
        return make(Expr::Kind::kConstant, std::string(value));
      }
      return make(Expr::Kind::kName, next().text);
    }
    case TokenKind::kString: {
      ExprPtr out = make(Expr::Kind::kText, next().text);
      while (peek().kind == TokenKind::kString) out->text += next().text;
      return out;
    }
    case TokenKind::kInteger:
      return make(Expr::Kind::kInteger, next().text);
    case TokenKind::kReal:
      return make(Expr::Kind::kReal, next().text);
    default:
      if (token.is_operator("(")) return parenthesised();
      if (token.is_operator("[")) return list();
      if (token.is_operator("{")) return dict();
      return unexpected("an expression");
  }
}

Result<ExprPtr> ExpressionParser::parenthesised() {
  next();
  if (peek().is_operator(")")) {
    next();
    return make(Expr::Kind::kTuple);
  }
  BANTAM_ASSIGN(ExprPtr out, expression_or_tuple());
  if (!peek().is_operator(")")) return unexpected(")");
  next();
  return out;
}

Result<ExprPtr> ExpressionParser::list() {
  ExprPtr out = make(Expr::Kind::kList);
  next();
  while (!peek().is_operator("]")) {
    BANTAM_ASSIGN(ExprPtr item, expression());
    BANTAM_TRY(add(*out, std::move(item)));
    if (!peek().is_operator(",")) break;
    next();
  }
  if (!peek().is_operator("]")) return unexpected("]");
  next();
  return out;
}

Result<ExprPtr> ExpressionParser::dict() {
  ExprPtr out = make(Expr::Kind::kDict);
  next();
  while (!peek().is_operator("}")) {
    BANTAM_ASSIGN(ExprPtr key, expression());
    BANTAM_TRY(add(*out, std::move(key)));
    if (!peek().is_operator(":")) return unexpected(":");
    next();
    BANTAM_ASSIGN(ExprPtr value, expression());
    BANTAM_TRY(add(*out, std::move(value)));
    if (!peek().is_operator(",")) break;
    next();
  }
  if (!peek().is_operator("}")) return unexpected("}");
  next();
  return out;
}

Result<ExprPtr> ExpressionParser::postfix(ExprPtr value) {
  while (true) {
    if (peek().is_operator(".")) {
      BANTAM_ASSIGN(value, attribute(std::move(value)));
    } else if (peek().is_operator("[")) {
      BANTAM_ASSIGN(value, item_or_slice(std::move(value)));
    } else if (peek().is_operator("(")) {
      ExprPtr call = make(Expr::Kind::kCall);
      BANTAM_TRY(add(*call, std::move(value)));
      BANTAM_TRY(arguments(*call));
      value = std::move(call);
    } else {
      return value;
    }
  }
}

Result<ExprPtr> ExpressionParser::attribute(ExprPtr value) {
  next();
  const Token& token = peek();
  if (token.kind != TokenKind::kName && token.kind != TokenKind::kInteger)
    return unexpected("an attribute's name");
  ExprPtr out = make(token.kind == TokenKind::kName ? Expr::Kind::kAttribute : Expr::Kind::kItem);
  BANTAM_TRY(add(*out, std::move(value)));
  if (token.kind == TokenKind::kName) {
    out->text = next().text;
  } else {
    BANTAM_TRY(add(*out, make(Expr::Kind::kInteger, next().text)));
  }
  return out;
}

Result<ExprPtr> ExpressionParser::item_or_slice(ExprPtr value) {
  next();
  ExprPtr out = make(Expr::Kind::kItem);
  BANTAM_TRY(add(*out, std::move(value)));
  ExprPtr bounds[3];
  size_t colons = 0;
  while (!peek().is_operator("]")) {
    if (peek().is_operator(":")) {
      if (++colons > 2) return unexpected("]");
      next();
      continue;
    }
    if (bounds[colons] != nullptr) return unexpected(colons > 0 ? "\":\" or ]" : "]");
    BANTAM_ASSIGN(bounds[colons], expression_or_tuple());
  }
  next();
  if (colons == 0 && bounds[0] == nullptr) return error("an empty []", "an index");
  if (colons > 0) out->kind = Expr::Kind::kSlice;
  for (size_t i = 0; i < (colons > 0 ? 3 : 1); ++i) BANTAM_TRY(add(*out, std::move(bounds[i])));
  return out;
}

Status ExpressionParser::arguments(Expr& call) {
  next();
  while (!peek().is_operator(")")) {
    if (peek().is_operator("*") || peek().is_operator("**")) {
      return fail(Code::kUnsupported, "line {}: found \"{}\" before an argument, expected a value",
                  peek().line, peek().text);
    }
    Argument argument;
    if (peek().kind == TokenKind::kName && tokens_[at_ + 1].is_operator("=")) {
      argument.name = next().text;
      next();
    }
    BANTAM_ASSIGN(argument.value, expression());
    call.depth = std::max(call.depth, argument.value->depth + 1);
    call.arguments.push_back(std::move(argument));
    if (!peek().is_operator(",")) break;
    next();
  }
  if (!peek().is_operator(")")) return unexpected(")");
  next();
  return {};
}

Result<ExprPtr> ExpressionParser::filters(ExprPtr value) {
  while (true) {
    if (peek().is_operator("|")) {
      next();
      BANTAM_ASSIGN(value, one_filter(std::move(value)));
    } else if (value != nullptr && peek().is_name("is")) {
      BANTAM_ASSIGN(value, test(std::move(value)));
    } else if (value != nullptr && peek().is_operator("(")) {
      ExprPtr call = make(Expr::Kind::kCall);
      BANTAM_TRY(add(*call, std::move(value)));
      BANTAM_TRY(arguments(*call));
      value = std::move(call);
    } else {
      return value;
    }
  }
}

Result<ExprPtr> ExpressionParser::first_filter() {
  BANTAM_ASSIGN(ExprPtr value, one_filter(nullptr));
  return filters(std::move(value));
}

Result<ExprPtr> ExpressionParser::one_filter(ExprPtr value) {
  if (peek().kind != TokenKind::kName) return unexpected("a filter's name");
  ExprPtr out = make(Expr::Kind::kFilter, next().text);
  BANTAM_TRY(add(*out, std::move(value)));
  if (peek().is_operator("(")) BANTAM_TRY(arguments(*out));
  return out;
}

Result<ExprPtr> ExpressionParser::test(ExprPtr value) {
  next();
  const bool negated = peek().is_name("not");
  if (negated) next();
  if (peek().kind != TokenKind::kName) return unexpected("a test's name");
  ExprPtr out = make(Expr::Kind::kTest, next().text);
  BANTAM_TRY(add(*out, std::move(value)));
  const Token& token = peek();
  const bool word = token.kind == TokenKind::kName && token.text != "else" && token.text != "or" &&
                    token.text != "and" && token.text != "if" && token.text != "is" && token.text != "not" &&
                    token.text != "in" && token.text != "recursive";
  const bool literal =
      token.kind == TokenKind::kString || token.kind == TokenKind::kInteger || token.kind == TokenKind::kReal;
  if (token.is_operator("(")) {
    BANTAM_TRY(arguments(*out));
  } else if (word || literal || token.is_operator("[") || token.is_operator("{")) {
    BANTAM_TRY(enter());
    BANTAM_ASSIGN(ExprPtr argument, primary());
    BANTAM_ASSIGN(argument, postfix(std::move(argument)));
    leave();
    out->depth = std::max(out->depth, argument->depth + 1);
    out->arguments.push_back({{}, std::move(argument)});
  }
  if (!negated) return out;
  ExprPtr negation = make(Expr::Kind::kUnary, "not");
  BANTAM_TRY(add(*negation, std::move(out)));
  return negation;
}

}  // namespace bantam::text::jinja
