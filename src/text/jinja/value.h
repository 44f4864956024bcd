#pragma once
// The values of a template: Python's, as far as templates use them. Values are small and copied; texts, lists
// and dictionaries live on a Heap until the rendering ends, so that neither cycles nor deep nesting matter to
// their destruction, and so that all memory is counted.

#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja/traced_text.h"

namespace bantam::text::jinja {

/// How deep values may lie within each other where they are read, printed or compared.
inline constexpr size_t kNesting = 128;

struct List;
class Dict;
struct Function;
struct Loop;

enum class Kind : uint8_t { kUndefined, kNone, kBool, kInt, kFloat, kText, kList, kDict, kFunction, kLoop };

struct Value {
  Kind kind = Kind::kUndefined;
  union {
    bool boolean;
    int64_t integer = 0;
    double real;
    const TracedText* text;  // of kText; of kUndefined the name that was looked for, or null
    List* list;
    Dict* dict;
    const Function* function;
    Loop* loop;
  };

  static Value none();
  static Value of(bool value);
  static Value of(int64_t value);
  static Value of(double value);
  static Value of(const TracedText* value);
  static Value of(List* value);
  static Value of(Dict* value);
  static Value of(const Function* value);
  static Value of(Loop* value);

  bool is(Kind k) const { return kind == k; }
  bool is_number() const { return kind == Kind::kBool || kind == Kind::kInt || kind == Kind::kFloat; }
  /// Of a number; bools count as 0 and 1.
  double as_real() const;
  /// Of kBool and kInt.
  int64_t as_int() const { return kind == Kind::kBool ? (boolean ? 1 : 0) : integer; }
};

struct List {
  std::vector<Value> items;
  bool tuple = false;
};

/// Keeps insertion order. Keys are texts, numbers, booleans or none.
class Dict {
 public:
  const Value* find(std::string_view key) const;
  const Value* find(const Value& key) const;
  void set(const Value& key, const Value& value);
  /// The value, which is then no longer in it.
  std::optional<Value> remove(const Value& key);
  const std::vector<std::pair<Value, Value>>& items() const { return items_; }

  bool name_space = false;           // namespace(): its attributes may be set
  const TracedText* json = nullptr;  // the text it was parsed from, which is how it then prints

 private:
  std::vector<std::pair<Value, Value>> items_;
  std::unordered_map<std::string, size_t> index_;  // by key_name()
};

struct Expr;
struct Stmt;
struct Scope;

/// A global, a method bound to its value, or a macro.
struct Function {
  enum class Kind { kGlobal, kMethod, kMacro, kCaller } kind = Kind::kGlobal;
  std::string name;
  Value self;                   // of a method
  const Stmt* macro = nullptr;  // of a macro, or the call block
  Scope* scope = nullptr;       // where the macro was defined
};

/// The state of a `for`, which its body sees as `loop`.
struct Loop {
  const std::vector<Value>* items = nullptr;
  size_t at = 0;
  size_t depth = 1;
  Value changed;
  bool has_changed = false;
  const Stmt* recursive = nullptr;
  Scope* scope = nullptr;
};

/// Variables of a block, and the block around it.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>>
      variables;  // names live as long as the program or the caller

  const Value* find(std::string_view name) const;
  void set(std::string_view name, const Value& value);
};

/// Bounds of one rendering.
struct Limits {
  uint64_t steps = 4'000'000;          // evaluated nodes
  uint64_t bytes = uint64_t{1} << 29;  // made in all, and read by searches
  size_t depth = 400;                  // of evaluations in each other
};

/// Owns what values point to. Not copied, one thread.
class Heap {
 public:
  explicit Heap(const Limits& limits) : limits_(limits) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  Value text(TracedText text);
  Value text(std::string_view bytes, Source source = kFromTemplate) {
    return this->text(TracedText(bytes, source));
  }
  List* list(std::vector<Value> items = {}, bool tuple = false);
  Dict* dict();
  const Function* function(Function function);
  Scope* scope(Scope* parent);
  Loop* loop(Loop loop);
  Value undefined(std::string_view name);

  /// Counts work. Errors: kLimit, naming the bound.
  Status charge(uint64_t bytes);
  Status step();
  const Limits& limits() const { return limits_; }

 private:
  Limits limits_;
  uint64_t steps_ = 0, bytes_ = 0;
  std::deque<TracedText> texts_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Function> functions_;
  std::deque<Loop> loops_;
  std::deque<Scope> scopes_;
};

/// JSON as a value; its texts are of `source`. Errors: kLimit for nesting deeper than 128 or too many bytes.
Result<Value> from_json(const nlohmann::ordered_json& json, Heap& heap, Source source);

std::string_view kind_name(const Value& value);  // Python's: "str", "int", "dict", …
bool truthy(const Value& value);
/// Python's ==. Nesting deeper than the limit counts as different.
bool equal(const Value& a, const Value& b, size_t depth = 0);
/// Python's <, by which sort orders. Errors: kInvalidArgument for kinds that have no order among them.
Result<int> compare(const Value& a, const Value& b, size_t depth = 0);

/// str(value), and repr(value) for what stands inside a list. Errors: kLimit.
Result<TracedText> to_text(const Value& value, Heap& heap);
/// json.dumps with the arguments of the tojson filter. Errors: kInvalidArgument for what JSON does not have.
struct JsonStyle {
  std::optional<std::string> indent;  // of one level; none: all on one line
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false, ascii = false;
};
Result<TracedText> to_json(const Value& value, const JsonStyle& style, Heap& heap);
/// repr of a float, which json.dumps writes too.
std::string real_text(double value);

}  // namespace bantam::text::jinja
