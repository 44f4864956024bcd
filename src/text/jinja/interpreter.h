#pragma once
// Runs a template. What Jinja2 does with ordinary (non-strict) undefined values, as Hugging Face's
// apply_chat_template sets it up: loop controls, generation blocks, tojson that leaves non-ASCII text alone,
// raise_exception, strftime_now. https://jinja.palletsprojects.com/en/3.1.x/templates

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/program.h"
#include "text/jinja/value.h"

namespace bantam::text::jinja {

/// The arguments of a call, filter or test.
struct Call {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
  /// Argument number `index`, or the one of that name.
  std::optional<Value> get(size_t index, std::string_view name) const;
};

class Interpreter {
 public:
  /// `now` is what strftime_now() tells.
  Interpreter(Heap& heap, std::chrono::system_clock::time_point now) : heap_(heap), now_(now) {}

  /// What the program writes. `globals` are its variables; both and the heap outlive the call. Errors name
  /// the line; kLimit for the heap's bounds; kInvalidArgument for what Python would raise, and for
  /// raise_exception().
  Result<TracedText> run(const Block& program, Scope& globals);
  /// The last run ended in raise_exception().
  bool raised() const { return raised_; }

  Heap& heap() { return heap_; }
  Result<Value> call(const Value& function, const Call& call);
  Result<Value> filter(std::string_view name, const Value& value, const Call& call);
  Result<bool> test(std::string_view name, const Value& value, const Call& call);

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  friend class Deeper;

  Result<Value> eval(const Expr& expr);
  Result<Value> eval_node(const Expr& expr);
  Result<Value> eval_list(const Expr& expr);
  Result<Value> eval_dict(const Expr& expr);
  Result<Value> eval_attribute(const Expr& expr);
  Result<Value> eval_slice(const Expr& expr);
  Result<Value> eval_call(const Expr& expr, const Value* caller);
  Result<Value> eval_filter(const Expr& expr, const Value* input);
  Result<Value> eval_unary(const Expr& expr);
  Result<Value> eval_binary(const Expr& expr);
  Result<Value> eval_compare(const Expr& expr);
  Result<Call> arguments(const Expr& expr);

  Result<Flow> exec(const Block& block);
  Result<Flow> exec(const Stmt& stmt);
  Status print(const Value& value);
  Result<Flow> exec_if(const Stmt& stmt);
  Result<Flow> exec_for(const Stmt& stmt);
  Status run_for(const Stmt& stmt, const Value& over, size_t depth);
  Result<std::vector<Value>> selected(const Stmt& stmt, std::vector<Value> items);
  Status exec_set_block(const Stmt& stmt);
  Status exec_call_block(const Stmt& stmt);
  Status exec_with(const Stmt& stmt);
  Status assign(const Expr& target, const Value& value);
  /// What a block writes, in a scope of its own below `parent`, prepared by `prepare(scope)`.
  Result<TracedText> capture(const Block& block, Scope* parent, const std::function<Status(Scope&)>& prepare);
  Result<TracedText> captured(const Block& block);

  Result<Value> call_global(const Function& function, const Call& call);
  Result<Value> call_macro(const Function& function, const Call& call);
  Result<Value> call_loop(const Loop& loop, const Call& call);
  Result<Value> strftime_now(const Call& call);
  Result<Value> range(const Call& call);
  Result<Value> make_dict(const Call& call, bool name_space);

  Heap& heap_;
  std::chrono::system_clock::time_point now_;
  Scope* scope_ = nullptr;
  TracedText* out_ = nullptr;
  size_t depth_ = 0;
  bool located_ = false, raised_ = false;
};

/// Counts how deep evaluations stand in each other.
class Deeper {
 public:
  explicit Deeper(Interpreter& interpreter) : interpreter_(interpreter) { ++interpreter_.depth_; }
  ~Deeper() { --interpreter_.depth_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  Status check() const {
    const size_t most = interpreter_.heap_.limits().depth;
    if (interpreter_.depth_ > most)
      return fail(Code::kLimit,
                  "found evaluations nested deeper than {}, expected fewer (a macro that calls itself?)",
                  most);
    return interpreter_.heap_.step();
  }

 private:
  Interpreter& interpreter_;
};

// What needs no interpreter. Errors: kInvalidArgument, kLimit.
Result<Value> binary(std::string_view op, const Value& a, const Value& b, Heap& heap);
Result<bool> contains(const Value& container, const Value& item, Heap& heap);
Result<Value> attribute(const Value& value, std::string_view name, Heap& heap);
Result<Value> item(const Value& value, const Value& index, Heap& heap);
/// Bounds are none, undefined or integers.
Result<Value> slice(const Value& value, const Value& from, const Value& to, const Value& step, Heap& heap);
Result<size_t> length(const Value& value, Heap& heap);
/// What a for loop goes through.
Result<std::vector<Value>> items_of(const Value& value, Heap& heap);
/// Python's "%" on a text.
Result<Value> percent_format(const TracedText& format, const std::vector<Value>& values, Heap& heap);

bool has_method(const Value& value, std::string_view name);
Result<Value> call_method(Interpreter& interpreter, const Value& self, std::string_view name,
                          const Call& call);

/// An argument as what a function needs. Errors: kInvalidArgument naming function and argument.
Result<const TracedText*> text_argument(const Call& call, size_t index, std::string_view name,
                                        std::string_view of);
Result<int64_t> int_argument(const Call& call, size_t index, std::string_view name, int64_t fallback,
                             std::string_view of);

bool is_blank(std::string_view character);  // Python's str.isspace()
/// The text without the bytes of `set` (white space where null) at its ends.
enum class Side { kBoth, kLeft, kRight };
TracedText stripped(const TracedText& text, const TracedText* set, Side side);
TracedText replaced(const TracedText& text, const TracedText& from, const TracedText& to, int64_t count);
TracedText cased(const TracedText& text, std::string_view how);  // "upper", "lower", "title", "capitalize"
/// The offsets of the characters of `bytes`, and its size last; a byte of broken UTF-8 is a character.
std::vector<size_t> characters(std::string_view bytes);

}  // namespace bantam::text::jinja
