// Statements; expressions are in expression_parser.cc.

#include "text/jinja/expression_parser.h"

namespace bantam::text::jinja {
namespace {

class Parser : public ExpressionParser {
 public:
  explicit Parser(std::vector<Token> tokens) : ExpressionParser(std::move(tokens)) {}

  Result<Block> program() {
    BANTAM_ASSIGN(Block out, block({}));
    return out;
  }

 private:
  /// Statements up to a block tag whose name is in `ends`, which is then the current token; to the end for
  /// none.
  Result<Block> block(std::initializer_list<std::string_view> ends) {
    BANTAM_TRY(enter());
    Block out;
    while (true) {
      const Token& token = peek();
      if (token.kind == TokenKind::kEnd) {
        if (ends.size() > 0) return error("the template's end", fmt::format("{{% {} %}}", *(ends.end() - 1)));
        break;
      }
      if (token.kind == TokenKind::kData) {
        out.push_back(make(Stmt::Kind::kData));
        out.back()->text = next().text;
      } else if (token.kind == TokenKind::kPrintBegin) {
        next();
        out.push_back(make(Stmt::Kind::kPrint));
        BANTAM_ASSIGN(out.back()->value, expression_or_tuple());
        if (peek().kind != TokenKind::kPrintEnd) return unexpected("}}");
        next();
      } else {
        next();  // {%
        for (std::string_view end : ends) {
          if (peek().is_name(end)) {
            leave();
            return out;
          }
        }
        BANTAM_TRY(statement(out));
      }
    }
    leave();
    return out;
  }

  std::unique_ptr<Stmt> make(Stmt::Kind kind) {
    auto out = std::make_unique<Stmt>();
    out->kind = kind;
    out->line = peek().line;
    return out;
  }

  Status block_end() {
    if (peek().kind != TokenKind::kBlockEnd) return unexpected("%}");
    next();
    return {};
  }
  /// The name of a closing tag and its end.
  Status close(std::string_view name) {
    if (!peek().is_name(name)) return unexpected(name);
    next();
    return block_end();
  }

  Status statement(Block& out) {
    if (peek().kind != TokenKind::kName) return unexpected("a statement's name");
    const std::string name = next().text;
    if (name == "if") return add(out, if_statement());
    if (name == "for") return add(out, for_statement());
    if (name == "set") return add(out, set_statement());
    if (name == "macro") return add(out, macro_statement());
    if (name == "call") return add(out, call_statement());
    if (name == "filter") return add(out, filter_statement());
    if (name == "with") return add(out, with_statement());
    if (name == "break" || name == "continue") {
      if (loops_ == 0) return error(fmt::format("\"{}\" outside a loop", name), "it inside a for");
      out.push_back(make(name == "break" ? Stmt::Kind::kBreak : Stmt::Kind::kContinue));
      return block_end();
    }
    if (name == "generation") {  // marks what training learns; prints as its content
      BANTAM_TRY(block_end());
      BANTAM_ASSIGN(Block body, block({"endgeneration"}));
      BANTAM_TRY(close("endgeneration"));
      for (auto& statement : body) out.push_back(std::move(statement));
      return {};
    }
    return fail(Code::kUnsupported,
                "line {}: found the statement \"{}\", expected if, for, set, macro, call, filter, with, "
                "break, continue, generation or raw",
                peek().line, name);
  }

  static Status add(Block& out, Result<std::unique_ptr<Stmt>> statement) {
    if (!statement) return std::unexpected(std::move(statement).error());
    out.push_back(std::move(*statement));
    return {};
  }

  Result<std::unique_ptr<Stmt>> if_statement() {
    auto out = make(Stmt::Kind::kIf);
    BANTAM_ASSIGN(ExprPtr condition, expression_or_tuple());
    BANTAM_TRY(block_end());
    while (true) {
      BANTAM_ASSIGN(Block body, block({"elif", "else", "endif"}));
      const bool last = condition == nullptr;
      out->branches.push_back({std::move(condition), std::move(body)});
      const std::string name = next().text;
      if (name == "endif") break;
      if (last) return error(fmt::format("\"{}\" behind else", name), "endif");
      if (name == "elif") {
        BANTAM_ASSIGN(condition, expression_or_tuple());
      }
      BANTAM_TRY(block_end());
    }
    BANTAM_TRY(block_end());
    return out;
  }

  Result<std::unique_ptr<Stmt>> for_statement() {
    auto out = make(Stmt::Kind::kFor);
    BANTAM_ASSIGN(out->target, assignment_target(false));
    if (!peek().is_name("in")) return unexpected("in");
    next();
    BANTAM_ASSIGN(out->value, expression_or_tuple(false));
    if (peek().is_name("if")) {
      next();
      BANTAM_ASSIGN(out->condition, expression());
    }
    if (peek().is_name("recursive")) {
      next();
      out->recursive = true;
    }
    BANTAM_TRY(block_end());
    ++loops_;
    BANTAM_ASSIGN(Block body, block({"else", "endfor"}));
    --loops_;
    out->branches.push_back({nullptr, std::move(body)});
    if (next().text == "else") {
      BANTAM_TRY(block_end());
      BANTAM_ASSIGN(Block other, block({"endfor"}));
      out->branches.push_back({nullptr, std::move(other)});
      next();
    }
    BANTAM_TRY(block_end());
    return out;
  }

  Result<std::unique_ptr<Stmt>> set_statement() {
    auto out = make(Stmt::Kind::kSet);
    BANTAM_ASSIGN(out->target, assignment_target(true));
    if (peek().is_operator("=")) {
      next();
      BANTAM_ASSIGN(out->value, expression_or_tuple());
      BANTAM_TRY(block_end());
      return out;
    }
    out->kind = Stmt::Kind::kSetBlock;
    BANTAM_ASSIGN(out->value, filters(nullptr));
    BANTAM_TRY(block_end());
    BANTAM_TRY(body(*out, "endset"));
    return out;
  }

  /// The content up to the closing tag as branches[0].
  Status body(Stmt& out, std::string_view end) {
    BANTAM_ASSIGN(Block inner, block({end}));
    out.branches.push_back({nullptr, std::move(inner)});
    BANTAM_TRY(close(end));
    return {};
  }

  /// "(a, b=1)"
  Status parameters(Stmt& out) {
    if (!peek().is_operator("(")) return unexpected("(");
    next();
    while (!peek().is_operator(")")) {
      if (peek().kind != TokenKind::kName) return unexpected("a parameter's name");
      Argument parameter{next().text, nullptr};
      if (peek().is_operator("=")) {
        next();
        BANTAM_ASSIGN(parameter.value, expression());
      }
      out.parameters.push_back(std::move(parameter));
      if (!peek().is_operator(",")) break;
      next();
    }
    if (!peek().is_operator(")")) return unexpected(")");
    next();
    return {};
  }

  Result<std::unique_ptr<Stmt>> macro_statement() {
    auto out = make(Stmt::Kind::kMacro);
    if (peek().kind != TokenKind::kName) return unexpected("a macro's name");
    out->text = next().text;
    BANTAM_TRY(parameters(*out));
    BANTAM_TRY(block_end());
    const int loops = std::exchange(loops_, 0);
    BANTAM_TRY(body(*out, "endmacro"));
    loops_ = loops;
    return out;
  }

  Result<std::unique_ptr<Stmt>> call_statement() {
    auto out = make(Stmt::Kind::kCall);
    if (peek().is_operator("(")) BANTAM_TRY(parameters(*out));
    BANTAM_ASSIGN(out->value, expression());
    if (out->value->kind != Expr::Kind::kCall) return error("a call block without a call", "call name(…)");
    BANTAM_TRY(block_end());
    const int loops = std::exchange(loops_, 0);
    BANTAM_TRY(body(*out, "endcall"));
    loops_ = loops;
    return out;
  }

  Result<std::unique_ptr<Stmt>> filter_statement() {
    auto out = make(Stmt::Kind::kFilter);
    BANTAM_ASSIGN(out->value, first_filter());
    BANTAM_TRY(block_end());
    BANTAM_TRY(body(*out, "endfilter"));
    return out;
  }

  Result<std::unique_ptr<Stmt>> with_statement() {
    auto out = make(Stmt::Kind::kWith);
    while (peek().kind == TokenKind::kName) {
      Argument variable{next().text, nullptr};
      if (!peek().is_operator("=")) return unexpected("=");
      next();
      BANTAM_ASSIGN(variable.value, expression());
      out->parameters.push_back(std::move(variable));
      if (!peek().is_operator(",")) break;
      next();
    }
    BANTAM_TRY(block_end());
    BANTAM_TRY(body(*out, "endwith"));
    return out;
  }

  int loops_ = 0;
};

}  // namespace

Result<Block> parse(std::string_view source) {
  BANTAM_ASSIGN(auto tokens, lex(source));
  return Parser(std::move(tokens)).program();
}

}  // namespace bantam::text::jinja
