#pragma once
// A schema as alternatives that need no other combination. Internal to runtime/grammar.

#include <nlohmann/json.hpp>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/grammar/number.h"

namespace bantam::runtime::grammar {

using Json = nlohmann::ordered_json;
/// How deep combinations and references may lie within each other.
inline constexpr int kDeepestSchema = 200;
/// Schemas that must all hold.
using Together = std::vector<const Json*>;

enum TypeBit : unsigned {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kFraction = 8,  // numbers that are not integers
  kString = 16,
  kArray = 32,
  kObject = 64,
  kEverything = 127
};

/// One alternative: for each type what a value of it must fulfil.
struct Shape {
  unsigned types = kEverything;
  std::optional<std::vector<const Json*>> values;  // it must be one of these
  std::vector<const Json*> excluded;               // and none of these

  NumberSpec number;
  uint32_t least_length = 0, most_length = UINT32_MAX;
  std::vector<std::string> patterns, not_patterns, formats;

  struct Keys {  // of one schema: "additional" speaks of what its own other keywords leave
    const Json *properties = nullptr, *patterns = nullptr, *additional = nullptr;
  };
  std::vector<Keys> keys;
  std::vector<const Json*> names;
  std::set<std::string> required;
  std::vector<std::pair<std::string, std::string>> needs;
  uint32_t least_keys = 0, most_keys = UINT32_MAX;

  struct Items {
    std::vector<const Json*> first;
    const Json* rest = nullptr;
  };
  std::vector<Items> items;
  uint32_t least_items = 0, most_items = UINT32_MAX;
};

/// Resolves references and combinations of one document.
class Shaper {
 public:
  /// Borrows `root`. Errors: kInvalidArgument for a reference's target that is there twice.
  explicit Shaper(const Json& root);

  /// Asked whether two schemas accept a common value; true where it is not known.
  using Overlap = std::function<Result<bool>(const Json*, const Json*)>;
  /// The alternatives of `all`, none of them contradictory on its face. Errors: as compile_schema.
  Result<std::vector<Shape>> shapes(const Together& all, const Overlap& overlap);
  /// Those of `shape` and `schema` together.
  Status narrow(const Shape& shape, const Json* schema, const Overlap& overlap, std::vector<Shape>& out);

  /// Keeps a schema made on the way.
  const Json* keep(Json schema) { return &made_.emplace_back(std::move(schema)); }
  const std::set<std::string>& notes() const { return notes_; }
  void note(std::string text) { notes_.insert(std::move(text)); }

 private:
  using Branches = std::vector<std::vector<Together>>;  // of each, one alternative must hold
  struct Work {
    Shape shape;
    Together todo;
    std::set<const Json*> seen;
    Branches branches;
  };
  Status expand(Work work, std::vector<Shape>& out, int depth);
  Result<bool> add(const Json* schema, Work& work);
  Result<bool> add_keyword(const std::string& key, const Json& value, const Json& schema, Work& work);
  Result<bool> add_combination(const std::string& key, const Json& value, const Json& schema, Work& work);
  Result<bool> add_number(const std::string& key, const Json& value, const Json& schema, Shape& shape);
  Result<bool> add_string(const std::string& key, const Json& value, Shape& shape);
  Result<bool> add_object(const std::string& key, const Json& value, const Json& schema, Work& work);
  Result<bool> add_array(const std::string& key, const Json& value, const Json& schema, Shape& shape);
  Status add_one_of(const Json& value, Work& work);
  Status add_dependencies(const Json& value, Work& work);
  Result<const Json*> resolve(const std::string& reference) const;
  /// Schemas of which one holds where `schema` does not; possibly not all of them.
  Result<const Json*> negation(const Json& schema, int depth);
  void negate_keyword(const std::string& key, const Json& value, Json& out);
  void add_anchor(const std::string& name, const Json* schema);
  void index(const Json& schema, const std::string& base, int depth);

  const Json& root_;
  std::map<std::string, const Json*> anchors_;
  std::deque<Json> made_;
  std::set<std::string> notes_;
  bool siblings_ = true;  // keywords beside $ref count (since draft 2019-09)
  const Overlap* overlap_ = nullptr;
};

/// Equal values have equal texts.
std::string canonical(const Json& value);
/// The bit of a value's type.
unsigned type_of(const Json& value);

}  // namespace bantam::runtime::grammar
