// Expressions and statements; functions, filters, tests and methods are in files of their own.

#include "text/jinja/interpreter.h"

#include <charconv>

namespace bantam::text::jinja {

std::optional<Value> Call::get(size_t index, std::string_view name) const {
  if (index < positional.size()) return positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Result<TracedText> Interpreter::run(const Block& program, Scope& globals) {
  TracedText out;
  scope_ = &globals;
  out_ = &out;
  BANTAM_TRY(exec(program));
  return out;
}

Result<Value> Interpreter::eval(const Expr& expr) {
  const Deeper deeper(*this);
  auto out = [&]() -> Result<Value> {
    BANTAM_TRY(deeper.check());
    return eval_node(expr);
  }();
  if (!out && !located_) {
    located_ = true;
    return std::unexpected(std::move(out).error().in(fmt::format("line {}", expr.line)));
  }
  return out;
}

Result<Value> Interpreter::eval_node(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kText:
      return heap_.text(expr.text);
    case Expr::Kind::kInteger: {
      int64_t number = 0;
      const auto end = expr.text.data() + expr.text.size();
      if (std::from_chars(expr.text.data(), end, number).ec != std::errc())
        return fail(Code::kInvalidArgument, "found the number {}, expected one below 2^63",
                    expr.text.substr(0, 40));
      return Value::of(number);
    }
    case Expr::Kind::kReal: {
      double number = 0;
      std::from_chars(expr.text.data(), expr.text.data() + expr.text.size(), number);
      return Value::of(number);
    }
    case Expr::Kind::kConstant:
      return expr.text == "none" ? Value::none() : Value::of(expr.text == "true");
    case Expr::Kind::kName: {
      const Value* found = scope_->find(expr.text);
      return found != nullptr ? *found : heap_.undefined(expr.text);
    }
    case Expr::Kind::kList:
    case Expr::Kind::kTuple:
      return eval_list(expr);
    case Expr::Kind::kDict:
      return eval_dict(expr);
    case Expr::Kind::kAttribute:
      return eval_attribute(expr);
    case Expr::Kind::kItem: {
      BANTAM_ASSIGN(const Value value, eval(*expr.parts[0]));
      BANTAM_ASSIGN(const Value index, eval(*expr.parts[1]));
      return item(value, index, heap_);
    }
    case Expr::Kind::kSlice:
      return eval_slice(expr);
    case Expr::Kind::kCall:
      return eval_call(expr, nullptr);
    case Expr::Kind::kFilter:
      return eval_filter(expr, nullptr);
    case Expr::Kind::kTest: {
      BANTAM_ASSIGN(const Value value, eval(*expr.parts[0]));
      BANTAM_ASSIGN(const Call call, arguments(expr));
      BANTAM_ASSIGN(const bool holds, test(expr.text, value, call));
      return Value::of(holds);
    }
    case Expr::Kind::kUnary:
      return eval_unary(expr);
    case Expr::Kind::kBinary:
      return eval_binary(expr);
    case Expr::Kind::kCompare:
      return eval_compare(expr);
    case Expr::Kind::kChoice: {
      BANTAM_ASSIGN(const Value condition, eval(*expr.parts[1]));
      if (truthy(condition)) return eval(*expr.parts[0]);
      return expr.parts[2] != nullptr ? eval(*expr.parts[2])
                                      : heap_.undefined("the value of an if without else");
    }
  }
  return fail(Code::kInternal, "an expression of unknown kind");
}

Result<Value> Interpreter::eval_list(const Expr& expr) {
  List* list = heap_.list({}, expr.kind == Expr::Kind::kTuple);
  for (const auto& part : expr.parts) {
    BANTAM_ASSIGN(const Value value, eval(*part));
    list->items.push_back(value);
  }
  BANTAM_TRY(heap_.charge(list->items.size() * sizeof(Value)));
  return Value::of(list);
}

Result<Value> Interpreter::eval_dict(const Expr& expr) {
  Dict* dict = heap_.dict();
  for (size_t i = 0; i + 1 < expr.parts.size(); i += 2) {
    BANTAM_ASSIGN(const Value key, eval(*expr.parts[i]));
    BANTAM_ASSIGN(const Value value, eval(*expr.parts[i + 1]));
    if (!key.is(Kind::kText) && !key.is_number() && !key.is(Kind::kNone))
      return fail(Code::kInvalidArgument, "found a key of type {}, expected a text, number or none",
                  kind_name(key));
    BANTAM_TRY(heap_.charge(2 * sizeof(Value) + (key.is(Kind::kText) ? key.text->size() : 8)));
    dict->set(key, value);
  }
  return Value::of(dict);
}

Result<Value> Interpreter::eval_attribute(const Expr& expr) {
  BANTAM_ASSIGN(const Value value, eval(*expr.parts[0]));
  return attribute(value, expr.text, heap_);
}

Result<Value> Interpreter::eval_slice(const Expr& expr) {
  BANTAM_ASSIGN(const Value value, eval(*expr.parts[0]));
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    bounds[i] = Value::none();
    if (expr.parts[i + 1] == nullptr) continue;
    BANTAM_ASSIGN(bounds[i], eval(*expr.parts[i + 1]));
  }
  return slice(value, bounds[0], bounds[1], bounds[2], heap_);
}

Result<Call> Interpreter::arguments(const Expr& expr) {
  Call out;
  for (const auto& argument : expr.arguments) {
    BANTAM_ASSIGN(const Value value, eval(*argument.value));
    if (!argument.name.empty()) {
      out.named.emplace_back(argument.name, value);
    } else if (!out.named.empty()) {
      return fail(Code::kInvalidArgument, "found a plain argument behind a named one, expected it before");
    } else {
      out.positional.push_back(value);
    }
  }
  return out;
}

Result<Value> Interpreter::eval_call(const Expr& expr, const Value* caller) {
  BANTAM_ASSIGN(const Value function, eval(*expr.parts[0]));
  BANTAM_ASSIGN(Call call, arguments(expr));
  if (caller != nullptr) call.named.emplace_back("caller", *caller);
  return this->call(function, call);
}

Result<Value> Interpreter::eval_filter(const Expr& expr, const Value* input) {
  Value value;
  const Expr* inner = expr.parts[0].get();
  if (inner != nullptr && inner->kind == Expr::Kind::kFilter && input != nullptr) {
    BANTAM_ASSIGN(value, eval_filter(*inner, input));
  } else if (inner != nullptr) {
    BANTAM_ASSIGN(value, eval(*inner));
  } else {
    value = *input;
  }
  BANTAM_ASSIGN(const Call call, arguments(expr));
  return filter(expr.text, value, call);
}

Result<Value> Interpreter::eval_unary(const Expr& expr) {
  BANTAM_ASSIGN(const Value value, eval(*expr.parts[0]));
  if (expr.text == "not") return Value::of(!truthy(value));
  if (!value.is_number())
    return fail(Code::kInvalidArgument, "found {} behind \"{}\", expected a number", kind_name(value),
                expr.text);
  if (value.is(Kind::kFloat)) return Value::of(expr.text == "-" ? -value.real : value.real);
  return expr.text == "-" ? binary("-", Value::of(int64_t{0}), value, heap_) : Value::of(value.as_int());
}

Result<Value> Interpreter::eval_binary(const Expr& expr) {
  BANTAM_ASSIGN(const Value left, eval(*expr.parts[0]));
  if (expr.text == "and" && !truthy(left)) return left;
  if (expr.text == "or" && truthy(left)) return left;
  BANTAM_ASSIGN(const Value right, eval(*expr.parts[1]));
  if (expr.text == "and" || expr.text == "or") return right;
  return binary(expr.text, left, right, heap_);
}

Result<Value> Interpreter::eval_compare(const Expr& expr) {
  BANTAM_ASSIGN(Value left, eval(*expr.parts[0]));
  for (size_t i = 0; i < expr.arguments.size(); ++i) {
    const std::string& op = expr.arguments[i].name;
    BANTAM_ASSIGN(const Value right, eval(*expr.parts[i + 1]));
    if (left.is(Kind::kText)) BANTAM_TRY(heap_.charge(left.text->size() / 16));
    bool holds = false;
    if (op == "==" || op == "!=") {
      holds = equal(left, right) == (op == "==");
    } else if (op == "in" || op == "not in") {
      BANTAM_ASSIGN(const bool found, contains(right, left, heap_));
      holds = found == (op == "in");
    } else {
      BANTAM_ASSIGN(const int order, compare(left, right));
      holds = op == "<" ? order < 0 : op == ">" ? order > 0 : op == "<=" ? order <= 0 : order >= 0;
    }
    if (!holds) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Result<Interpreter::Flow> Interpreter::exec(const Block& block) {
  const Deeper deeper(*this);
  BANTAM_TRY(deeper.check());
  for (const auto& stmt : block) {
    auto flow = exec(*stmt);
    if (!flow && !located_) {
      located_ = true;
      return std::unexpected(std::move(flow).error().in(fmt::format("line {}", stmt->line)));
    }
    if (!flow || *flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Status Interpreter::print(const Value& value) {
  BANTAM_ASSIGN(const TracedText text, to_text(value, heap_));
  out_->append(text);
  return {};
}

Result<Interpreter::Flow> Interpreter::exec(const Stmt& stmt) {
  BANTAM_TRY(heap_.step());
  switch (stmt.kind) {
    case Stmt::Kind::kData:
      BANTAM_TRY(heap_.charge(stmt.text.size()));
      out_->append(stmt.text, kFromTemplate);
      break;
    case Stmt::Kind::kPrint: {
      BANTAM_ASSIGN(const Value value, eval(*stmt.value));
      BANTAM_TRY(print(value));
      break;
    }
    case Stmt::Kind::kIf:
      return exec_if(stmt);
    case Stmt::Kind::kFor:
      return exec_for(stmt);
    case Stmt::Kind::kSet: {
      BANTAM_ASSIGN(const Value value, eval(*stmt.value));
      BANTAM_TRY(assign(*stmt.target, value));
      break;
    }
    case Stmt::Kind::kSetBlock:
      BANTAM_TRY(exec_set_block(stmt));
      break;
    case Stmt::Kind::kMacro:
      scope_->set(stmt.text,
                  Value::of(heap_.function({Function::Kind::kMacro, stmt.text, {}, &stmt, scope_})));
      break;
    case Stmt::Kind::kCall:
      BANTAM_TRY(exec_call_block(stmt));
      break;
    case Stmt::Kind::kFilter: {
      BANTAM_ASSIGN(TracedText text, captured(stmt.branches[0].body));
      const Value input = heap_.text(std::move(text));
      BANTAM_ASSIGN(const Value value, eval_filter(*stmt.value, &input));
      BANTAM_TRY(print(value));
      break;
    }
    case Stmt::Kind::kWith:
      BANTAM_TRY(exec_with(stmt));
      break;
    case Stmt::Kind::kBreak:
      return Flow::kBreak;
    case Stmt::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::exec_if(const Stmt& stmt) {
  for (const auto& branch : stmt.branches) {
    if (branch.condition != nullptr) {
      BANTAM_ASSIGN(const Value condition, eval(*branch.condition));
      if (!truthy(condition)) continue;
    }
    return exec(branch.body);
  }
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::exec_for(const Stmt& stmt) {
  BANTAM_ASSIGN(const Value over, eval(*stmt.value));
  BANTAM_TRY(run_for(stmt, over, 1));
  return Flow::kNormal;
}

Result<std::vector<Value>> Interpreter::selected(const Stmt& stmt, std::vector<Value> items) {
  if (stmt.condition == nullptr) return items;
  std::vector<Value> out;
  Scope* const outer = scope_;
  scope_ = heap_.scope(outer);
  for (const Value& value : items) {
    BANTAM_TRY(assign(*stmt.target, value));
    BANTAM_ASSIGN(const Value condition, eval(*stmt.condition));
    if (truthy(condition)) out.push_back(value);
  }
  scope_ = outer;
  return out;
}

Status Interpreter::run_for(const Stmt& stmt, const Value& over, size_t depth) {
  BANTAM_ASSIGN(std::vector<Value> all, items_of(over, heap_));
  BANTAM_ASSIGN(const auto items, selected(stmt, std::move(all)));
  Scope* const outer = scope_;
  Loop* loop = heap_.loop({.items = &items, .depth = depth, .changed = {}, .scope = outer});
  if (stmt.recursive) loop->recursive = &stmt;
  Scope* const inner = heap_.scope(outer);
  for (size_t i = 0; i < items.size(); ++i) {
    loop->at = i;
    inner->variables.clear();
    inner->set("loop", Value::of(loop));
    scope_ = inner;
    BANTAM_TRY(assign(*stmt.target, items[i]));
    BANTAM_ASSIGN(const Flow flow, exec(stmt.branches[0].body));
    if (flow == Flow::kBreak) break;
  }
  scope_ = outer;
  loop->items = nullptr;  // who keeps `loop` beyond its end finds nothing in it
  if (items.empty() && stmt.branches.size() > 1) BANTAM_TRY(exec(stmt.branches[1].body));
  return {};
}

Result<TracedText> Interpreter::capture(const Block& block, Scope* parent,
                                        const std::function<Status(Scope&)>& prepare) {
  Scope* const outer = scope_;
  TracedText* const outer_out = out_;
  Scope* const inner = heap_.scope(parent);
  BANTAM_TRY(prepare(*inner));  // its values are of the outer scope
  TracedText text;
  scope_ = inner;
  out_ = &text;
  auto flow = exec(block);
  scope_ = outer;
  out_ = outer_out;
  if (!flow) return std::unexpected(std::move(flow).error());
  return text;
}

Result<TracedText> Interpreter::captured(const Block& block) {
  return capture(block, scope_, [](Scope&) { return Status(); });
}

Status Interpreter::exec_set_block(const Stmt& stmt) {
  BANTAM_ASSIGN(TracedText text, captured(stmt.branches[0].body));
  Value value = heap_.text(std::move(text));
  if (stmt.value != nullptr) {
    BANTAM_ASSIGN(value, eval_filter(*stmt.value, &value));
  }
  return assign(*stmt.target, value);
}

Status Interpreter::exec_call_block(const Stmt& stmt) {
  const Value caller = Value::of(heap_.function({Function::Kind::kCaller, "caller", {}, &stmt, scope_}));
  BANTAM_ASSIGN(const Value value, eval_call(*stmt.value, &caller));
  return print(value);
}

Status Interpreter::exec_with(const Stmt& stmt) {
  BANTAM_ASSIGN(const TracedText text, capture(stmt.branches[0].body, scope_, [&](Scope& inner) -> Status {
                  for (const auto& variable : stmt.parameters) {
                    BANTAM_ASSIGN(const Value value, eval(*variable.value));
                    inner.set(variable.name, value);
                  }
                  return {};
                }));
  out_->append(text);
  return {};
}

Status Interpreter::assign(const Expr& target, const Value& value) {
  if (target.kind == Expr::Kind::kName) {
    scope_->set(target.text, value);
    return {};
  }
  if (target.kind == Expr::Kind::kAttribute) {
    BANTAM_ASSIGN(const Value object, eval(*target.parts[0]));
    if (!object.is(Kind::kDict) || !object.dict->name_space)
      return fail(Code::kInvalidArgument, "found an attribute of {} to set, expected one of a namespace",
                  kind_name(object));
    object.dict->set(heap_.text(target.text), value);
    return heap_.charge(sizeof(Value));
  }
  BANTAM_ASSIGN(const auto items, items_of(value, heap_));
  if (items.size() != target.parts.size())
    return fail(Code::kInvalidArgument, "found {} values to unpack, expected {}", items.size(),
                target.parts.size());
  for (size_t i = 0; i < items.size(); ++i) BANTAM_TRY(assign(*target.parts[i], items[i]));
  return {};
}

}  // namespace bantam::text::jinja
