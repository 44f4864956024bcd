#pragma once
// A template as a tree: expressions and statements.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bantam::text::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// A named argument, an item of a dictionary, or (empty name) one of a list.
struct Argument {
  std::string name;
  ExprPtr value;
};

struct Expr {
  enum class Kind : uint8_t {
    kText,       // text
    kInteger,    // text, as written
    kReal,       // text, as written
    kConstant,   // text: "true", "false" or "none"
    kName,       // text
    kList,       // parts
    kTuple,      // parts
    kDict,       // parts: key, value, key, value, …
    kAttribute,  // parts[0].text
    kItem,       // parts[0][parts[1]]
    kSlice,      // parts[0][parts[1]:parts[2]:parts[3]], those not written being null
    kCall,       // parts[0](arguments)
    kFilter,     // parts[0] | text(arguments); parts[0] is null in a filter block
    kTest,       // parts[0] is text(arguments)
    kUnary,      // text: "-", "+" or "not"
    kBinary,     // text: an operator, "and", "or", "in" or "not in"
    kCompare,    // parts in order, arguments' names the operators between them
    kChoice      // parts[0] if parts[1] else parts[2] (may be null)
  };
  Kind kind;
  int line;
  std::string text;
  std::vector<ExprPtr> parts;
  std::vector<Argument> arguments;
  size_t depth = 1;  // of the tree below
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct Branch {
  ExprPtr condition;  // null: else
  Block body;
};

struct Stmt {
  enum class Kind : uint8_t {
    kData,      // text
    kPrint,     // value
    kIf,        // branches
    kFor,       // target in value, filtered by condition; branches[0] the body, [1] (if any) for no items
    kSet,       // target = value
    kSetBlock,  // target = what the body writes, through the filters of value (may be null)
    kMacro,     // text(parameters): branches[0]
    kCall,      // call(parameters) value: branches[0]
    kFilter,    // value's filters over branches[0]
    kWith,      // parameters as variables in branches[0]
    kBreak,
    kContinue
  };
  Kind kind;
  int line;
  std::string text;
  ExprPtr target;  // a name, an attribute of a name, or a tuple of names
  ExprPtr value, condition;
  std::vector<Argument> parameters;  // values are defaults, or null
  std::vector<Branch> branches;
  bool recursive = false;  // of for
};

/// Parses. Errors: kCorrupt and kUnsupported naming line, found and expected; kLimit for nesting deeper than
/// 200.
Result<Block> parse(std::string_view source);

}  // namespace bantam::text::jinja
