#include "runtime/grammar/schema.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/utf8.h"
#include "runtime/grammar/feasible.h"
#include "runtime/grammar/regex.h"
#include "runtime/grammar/shape.h"

namespace bantam::runtime::grammar {
namespace {

constexpr size_t kMostNodes = 50'000;
constexpr size_t kMostBytes = size_t{16} << 20;
constexpr int kDeepestText = 200;
constexpr uint32_t kMostPatternLength = 2000;

/// Brackets of a JSON text nest at most so deep, so that no recursion over it can run away.
Status check_depth(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepestText)
        return fail(Code::kLimit, "schema: found more than {} nested levels", kDeepestText);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return {};
}

class Compiler {
 public:
  Compiler(const Json& root, Machine& machine) : shaper_(root), machine_(machine) {
    nodes_.first = static_cast<int>(machine.values());
    overlap_ = [this](const Json* a, const Json* b) { return overlap(a, b); };
  }

  Result<int> compile(const Json& root) {
    BANTAM_ASSIGN(int value, node_of({&root}));
    BANTAM_TRY(drain());
    judge(nodes_, machine_);
    if (!nodes_.of(value).possible) {
      return fail(Code::kInvalidArgument,
                  "schema: found one that accepts nothing, expected one that accepts something");
    }
    finish(nodes_, machine_);
    return value;
  }
  const Shaper& shaper() const { return shaper_; }

 private:
  Result<int> node_of(Together all) {
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    const auto [place, fresh] = ids_.emplace(all, nodes_.first + static_cast<int>(nodes_.all.size()));
    if (!fresh) return place->second;
    if (nodes_.all.size() >= kMostNodes)
      return fail(Code::kLimit, "schema: found more than {} parts", kMostNodes);
    nodes_.all.push_back({.all = std::move(all), .alternatives = {}});
    machine_.add_value({});
    return place->second;
  }

  /// Compiles what was asked for and is not yet, from `first` on.
  Status drain() {
    for (; drained_ < nodes_.all.size();) {
      const size_t at = drained_++;
      BANTAM_TRY(compile_node(at));
    }
    return {};
  }

  Status compile_node(size_t at) {
    const Together all = nodes_.all[at].all;
    BANTAM_ASSIGN(auto shapes, shaper_.shapes(all, overlap_));
    for (const Shape& shape : shapes) {
      std::vector<Alternative> made;
      BANTAM_TRY(add_shape(shape, made));
      auto& alternatives = nodes_.all[at].alternatives;
      alternatives.insert(alternatives.end(), made.begin(), made.end());
    }
    nodes_.all[at].done = true;
    return {};
  }

  /// Whether some value is accepted by both, as far as can be told.
  Result<bool> overlap(const Json* a, const Json* b) {
    constexpr int kDeepest = 8;
    if (depth_ >= kDeepest) return true;
    ++depth_;
    const auto guard = std::shared_ptr<void>(nullptr, [this](void*) { --depth_; });
    BANTAM_ASSIGN(int value, node_of({a, b}));
    BANTAM_TRY(drain());
    judge(nodes_, machine_);
    return nodes_.of(value).possible;
  }

  // Values of one shape.
  Status add_shape(const Shape& shape, std::vector<Alternative>& out) {
    if (shape.values) return add_values(shape, out);
    const auto plain = [&out](int state) { out.push_back({.state = state, .possible = true}); };
    if ((shape.types & kNull) != 0 && !excludes(shape, "null")) plain(machine_.literal("null"));
    if ((shape.types & kBoolean) != 0) {
      if (!excludes(shape, "false")) plain(machine_.literal("false"));
      if (!excludes(shape, "true")) plain(machine_.literal("true"));
    }
    if ((shape.types & (kInteger | kFraction)) != 0) BANTAM_TRY(add_number(shape, out));
    if ((shape.types & kString) != 0) {
      BANTAM_ASSIGN(int state, string_state(shape));
      if (state >= 0) plain(state);
    }
    if ((shape.types & kArray) != 0) BANTAM_TRY(add_array(shape, out));
    if ((shape.types & kObject) != 0) BANTAM_TRY(add_object(shape, out));
    return {};
  }

  static bool excludes(const Shape& shape, std::string_view text) {
    return std::ranges::any_of(shape.excluded, [&](const Json* value) { return canonical(*value) == text; });
  }
  static bool excludes_type(const Shape& shape, unsigned types) {
    return std::ranges::any_of(shape.excluded,
                               [&](const Json* value) { return (type_of(*value) & types) != 0; });
  }

  Status add_number(const Shape& shape, std::vector<Alternative>& out) {
    NumberSpec spec = shape.number;
    if ((shape.types & kInteger) == 0) {
      return fail(Code::kUnsupported,
                  "schema: numbers that are not integers are not supported as a type of their own");
    }
    if (excludes_type(shape, kInteger | kFraction)) {
      return fail(Code::kUnsupported, "schema: not: numbers by value are not supported");
    }
    spec.integer = (shape.types & kFraction) == 0 || spec.multiple > 0;
    if (spec.integer) spec.digits = -1;  // every integer is a multiple of 0.1
    if (spec.digits >= 0) {
      for (const auto& bound : {spec.least, spec.most}) {
        if (bound && static_cast<int>(bound->fraction.size()) > spec.digits) {
          return fail(Code::kUnsupported,
                      "schema: multipleOf beside a bound of more digits is not supported");
        }
      }
    }
    if (!empty(spec)) out.push_back({.state = machine_.number(spec), .possible = true});
    return {};
  }

  /// The automaton of a string's constraints; none for free ones.
  Result<std::optional<CharDfa>> string_dfa(const Shape& shape) {
    std::optional<CharDfa> dfa;
    const auto narrow = [&dfa](CharDfa other) -> Status {
      if (!dfa) {
        dfa = std::move(other);
        return {};
      }
      BANTAM_ASSIGN(dfa, CharDfa::intersect(*dfa, other));
      return {};
    };
    for (const auto& pattern : shape.patterns) {
      BANTAM_ASSIGN(auto one, pattern_dfa(pattern));
      BANTAM_TRY(narrow(std::move(one)));
    }
    for (const auto& format : shape.formats) {
      BANTAM_ASSIGN(auto one, pattern_dfa(format_pattern(format), true));
      BANTAM_TRY(narrow(std::move(one)));
    }
    for (const auto& pattern : shape.not_patterns) {
      BANTAM_ASSIGN(auto one, pattern_dfa(pattern));
      BANTAM_TRY(narrow(CharDfa::complement_of(one)));
    }
    Nfa excluded;
    for (const Json* value : shape.excluded) {
      if (value->is_string()) excluded.add_text(value->get_ref<const std::string&>(), 0);
    }
    if (!excluded.starts.empty()) {
      BANTAM_ASSIGN(auto one, CharDfa::build(excluded));
      BANTAM_TRY(narrow(CharDfa::complement_of(one)));
    }
    if (!dfa) return dfa;
    uint32_t most = shape.most_length;
    if (most != UINT32_MAX && most > kMostPatternLength) {
      most = kMostPatternLength;
      shaper_.note(fmt::format("maxLength {} beside a pattern: strings are kept within {} characters",
                               shape.most_length, most));
    }
    if (shape.least_length > kMostPatternLength) {
      return fail(Code::kLimit, "schema: minLength: found {} beside a pattern, expected at most {}",
                  shape.least_length, kMostPatternLength);
    }
    if (shape.least_length > 0 || most != UINT32_MAX) {
      if (shape.least_length > most) return CharDfa();
      BANTAM_TRY(narrow(CharDfa::lengths(shape.least_length, most)));
    }
    return dfa;
  }

  /// -1 where no string fulfils it.
  Result<int> string_state(const Shape& shape) {
    if (shape.least_length > shape.most_length) return -1;
    if (shape.patterns.empty() && shape.formats.empty() && shape.not_patterns.empty() &&
        !excludes_type(shape, kString)) {
      return machine_.free_string(shape.least_length, shape.most_length);
    }
    std::string key = fmt::format("{}|{}", shape.least_length, shape.most_length);
    for (const auto* list : {&shape.patterns, &shape.formats, &shape.not_patterns}) {
      key += '\0';
      for (const auto& text : *list) key += text + '\1';
    }
    for (const Json* value : shape.excluded) key += canonical(*value) + '\2';
    if (const auto known = texts_.find(key); known != texts_.end()) return known->second;
    BANTAM_ASSIGN(auto dfa, string_dfa(shape));
    const int state = dfa->start() == CharDfa::kDead ? -1 : machine_.text(std::move(*dfa));
    texts_.emplace(std::move(key), state);
    return state;
  }

  Status add_values(const Shape& shape, std::vector<Alternative>& out) {
    Nfa texts;
    std::optional<std::optional<CharDfa>> dfa;
    std::set<std::string> seen;
    for (const Json* value : *shape.values) {
      const std::string text = canonical(*value);
      if ((type_of(*value) & shape.types) == 0 || excludes(shape, text) || !seen.insert(text).second)
        continue;
      if (value->is_string()) {
        const auto& string = value->get_ref<const std::string&>();
        if (!dfa) {
          BANTAM_ASSIGN(dfa, string_dfa(shape));
        }
        const auto length = utf8_length(string);
        if (length < shape.least_length || length > shape.most_length) continue;
        if (!*dfa || (*dfa)->matches(string)) texts.add_text(string, 0);
      } else if (value->is_array() || value->is_object()) {
        BANTAM_TRY(add_structure(shape, *value, out));
      } else if (!value->is_number() || number_fits(shape.number, *value)) {
        out.push_back({.state = machine_.literal(text), .possible = true});
      }
    }
    if (texts.starts.empty()) return {};
    BANTAM_ASSIGN(auto automaton, CharDfa::build(texts));
    if (automaton.start() != CharDfa::kDead) {
      out.push_back({.state = machine_.text(std::move(automaton)), .possible = true});
    }
    return {};
  }

  static bool number_fits(const NumberSpec& spec, const Json& value) {
    if (!spec.bounded()) return true;
    const auto decimal = Decimal::parse(value.dump());
    if (!decimal) return false;
    const auto low = spec.least ? *decimal <=> *spec.least : std::strong_ordering::greater;
    const auto high = spec.most ? *decimal <=> *spec.most : std::strong_ordering::less;
    if (low < 0 || (low == 0 && spec.above) || high > 0 || (high == 0 && spec.below)) return false;
    if (spec.digits >= 0 && static_cast<int>(decimal->fraction.size()) > spec.digits) return false;
    return spec.multiple == 0 || (decimal->fraction.empty() && decimal->whole % spec.multiple == 0);
  }

  /// An array or object by value: a schema that accepts nothing else, together with the rest of the shape.
  Status add_structure(const Shape& shape, const Json& value, std::vector<Alternative>& out) {
    Json schema = {{"type", value.is_array() ? "array" : "object"}};
    if (value.is_array()) {
      schema["prefixItems"] = Json::array();
      for (const auto& member : value) schema["prefixItems"].push_back({{"const", member}});
      schema["items"] = false;
      schema["minItems"] = schema["maxItems"] = value.size();
    } else {
      schema["properties"] = Json::object();
      schema["required"] = Json::array();
      for (const auto& [key, member] : value.items()) {
        schema["properties"][key] = {{"const", member}};
        schema["required"].push_back(key);
      }
      schema["additionalProperties"] = false;
    }
    Shape rest = shape;
    rest.values.reset();
    std::erase_if(rest.excluded, [](const Json* v) { return (type_of(*v) & (kArray | kObject)) != 0; });
    std::vector<Shape> narrowed;
    BANTAM_TRY(shaper_.narrow(rest, shaper_.keep(std::move(schema)), overlap_, narrowed));
    for (const Shape& one : narrowed) BANTAM_TRY(add_shape(one, out));
    return {};
  }

  Status add_array(const Shape& shape, std::vector<Alternative>& out) {
    if (excludes_type(shape, kArray))
      return fail(Code::kUnsupported, "schema: not: arrays by value are not supported");
    constexpr size_t kMostFirst = 100'000;
    ArraySpec spec;
    spec.least = shape.least_items;
    spec.most = shape.most_items;
    if (spec.least > spec.most) return {};
    size_t first = 0;
    for (const auto& items : shape.items) first = std::max(first, items.first.size());
    if (std::max<size_t>(first, spec.least) > kMostFirst) {
      return fail(Code::kLimit, "schema: minItems: found {}, expected at most {}", spec.least, kMostFirst);
    }
    const auto at = [&](size_t index) {
      Together all;
      for (const auto& items : shape.items) {
        if (index < items.first.size()) {
          all.push_back(items.first[index]);
        } else if (items.rest != nullptr) {
          all.push_back(items.rest);
        }
      }
      return all;
    };
    for (size_t i = 0; i < first; ++i) {
      BANTAM_ASSIGN(int value, node_of(at(i)));
      spec.first.push_back(value);
    }
    BANTAM_ASSIGN(spec.rest, node_of(at(first)));
    const int index = machine_.add_array(std::move(spec));
    out.push_back({.state = machine_.array_state(index), .array = index});
    return {};
  }

  // Objects: the keys' automaton has a tag for each declared name, each pattern and each schema of names.
  struct Keys {
    std::vector<std::string> names;
    std::vector<std::pair<size_t, const Json*>> patterns;  // of which keywords of the shape; the schema
    size_t limits = 0;                                     // schemas of names
  };

  Status add_object(const Shape& shape, std::vector<Alternative>& out) {
    if (excludes_type(shape, kObject))
      return fail(Code::kUnsupported, "schema: not: objects by value are not supported");
    if (shape.least_keys > shape.most_keys) return {};
    if (!shape.needs.empty() && shape.most_keys != UINT32_MAX) {
      return fail(Code::kUnsupported, "schema: dependentRequired beside maxProperties is not supported");
    }
    Keys keys;
    const auto declare = [&keys](const std::string& name) {
      if (std::ranges::find(keys.names, name) == keys.names.end()) keys.names.push_back(name);
    };
    for (const auto& group : shape.keys) {
      if (group.properties == nullptr) continue;
      for (const auto& [name, member] : group.properties->items()) declare(name);
    }
    for (const auto& name : shape.required) declare(name);
    for (const auto& [name, needed] : shape.needs) {
      declare(name);
      declare(needed);
    }
    BANTAM_ASSIGN(CharDfa dfa, key_dfa(shape, keys));
    ObjectSpec spec;
    spec.least = shape.least_keys;
    spec.most = shape.most_keys;
    spec.required.assign(keys.names.size(), false);
    const auto place = [&keys](const std::string& name) {
      return static_cast<int>(std::ranges::find(keys.names, name) - keys.names.begin());
    };
    for (const auto& name : shape.required) spec.required[static_cast<size_t>(place(name))] = true;
    for (const auto& [name, needed] : shape.needs) spec.needs.emplace_back(place(name), place(needed));
    BANTAM_TRY(add_rules(shape, keys, dfa, spec));
    spec.before = dfa.predecessors();
    spec.sink = dfa.sink();
    if (dfa.start() != CharDfa::kDead) spec.keys = machine_.add_dfa(std::move(dfa));
    const bool others =
        std::ranges::any_of(spec.rules, [](const KeyRule& rule) { return rule.declared < 0; });
    if (spec.least > spec.required.size() + (others ? 1 : 0) && others) {
      return fail(Code::kUnsupported,
                  "schema: minProperties: found {}, expected at most one more than the {} declared",
                  spec.least, spec.required.size());
    }
    const int index = machine_.add_object(std::move(spec));
    out.push_back({.state = machine_.object_state(index), .object = index});
    return {};
  }

  Result<CharDfa> key_dfa(const Shape& shape, Keys& keys) {
    Nfa nfa;
    int tag = 0;
    for (const auto& name : keys.names) nfa.add_text(name, tag++);
    for (size_t group = 0; group < shape.keys.size(); ++group) {
      if (shape.keys[group].patterns == nullptr) continue;
      for (const auto& [pattern, member] : shape.keys[group].patterns->items()) {
        BANTAM_TRY(add_pattern(pattern, false, tag++, nfa));
        keys.patterns.emplace_back(group, &member);
      }
    }
    for (const Json* names : shape.names) {
      BANTAM_ASSIGN(auto shapes, shaper_.shapes({names, shaper_.keep({{"type", "string"}})}, overlap_));
      for (const Shape& one : shapes) BANTAM_TRY(add_name_limit(one, tag, nfa));
      ++tag;
      ++keys.limits;
    }
    // Any other name.
    const int any = nfa.add();
    nfa.states[static_cast<size_t>(any)].tag = tag;
    nfa.states[static_cast<size_t>(any)].edges.push_back({nfa.add_set(any_character()), any});
    nfa.starts.push_back(any);
    return CharDfa::build(nfa);
  }

  Status add_name_limit(const Shape& shape, int tag, Nfa& nfa) {
    if (shape.values) {
      for (const Json* value : *shape.values) {
        if (value->is_string()) nfa.add_text(value->get_ref<const std::string&>(), tag);
      }
      return {};
    }
    BANTAM_ASSIGN(auto dfa, string_dfa(shape));
    if (!dfa) {
      if (shape.most_length != UINT32_MAX && shape.most_length > kMostPatternLength) {
        return fail(Code::kLimit, "schema: propertyNames: maxLength: found {}, expected at most {}",
                    shape.most_length, kMostPatternLength);
      }
      dfa = CharDfa::lengths(std::min(shape.least_length, kMostPatternLength), shape.most_length);
    }
    nfa.add_dfa(*dfa, tag);
    return {};
  }

  Status add_rules(const Shape& shape, const Keys& keys, const CharDfa& dfa, ObjectSpec& spec) {
    const int first_pattern = static_cast<int>(keys.names.size()),
              first_limit = first_pattern + static_cast<int>(keys.patterns.size());
    std::map<std::pair<int, int>, int> rules;
    spec.rule_of.assign(dfa.size(), -1);
    for (size_t state = 0; state < dfa.size(); ++state) {
      if (!dfa.accepts(static_cast<int>(state))) continue;
      const auto& tags = dfa.tags(static_cast<int>(state));
      const int declared = tags.front() < first_pattern ? tags.front() : -1;
      size_t limits = 0;
      std::vector<bool> matched(shape.keys.size());
      Together all;
      for (int tag : tags) {
        if (tag >= first_limit && tag < first_limit + static_cast<int>(keys.limits)) ++limits;
        if (tag < first_pattern || tag >= first_limit) continue;
        const auto& [group, schema] = keys.patterns[static_cast<size_t>(tag - first_pattern)];
        matched[group] = true;
        all.push_back(schema);
      }
      if (limits < keys.limits) continue;
      for (size_t group = 0; group < shape.keys.size(); ++group) {
        const auto& g = shape.keys[group];
        if (declared >= 0 && g.properties != nullptr) {
          const auto place = g.properties->find(keys.names[static_cast<size_t>(declared)]);
          if (place != g.properties->end()) {
            matched[group] = true;
            all.push_back(&*place);
          }
        }
        if (!matched[group] && g.additional != nullptr) all.push_back(g.additional);
      }
      if (std::ranges::any_of(all, [](const Json* s) { return s->is_boolean() && !s->get<bool>(); }))
        continue;
      BANTAM_ASSIGN(int value, node_of(all));
      const auto [rule, fresh] =
          rules.emplace(std::pair(declared, value), static_cast<int>(spec.rules.size()));
      if (fresh) spec.rules.push_back({declared, value});
      spec.rule_of[state] = rule->second;
    }
    return {};
  }

  Shaper shaper_;
  Machine& machine_;
  Shaper::Overlap overlap_;
  Nodes nodes_;
  std::map<Together, int> ids_;
  std::map<std::string, int> texts_;
  size_t drained_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<int> compile_schema(std::string_view schema, Machine& machine, std::vector<std::string>& notes) {
  if (schema.size() > kMostBytes) {
    return fail(Code::kLimit, "schema: found {} bytes, expected at most {}", schema.size(), kMostBytes);
  }
  BANTAM_TRY(check_depth(schema));
  const Json root = Json::parse(schema, nullptr, false);
  if (root.is_discarded()) return fail(Code::kInvalidArgument, "schema: found text that is not JSON");
  try {
    Compiler compiler(root, machine);
    BANTAM_ASSIGN(int value, compiler.compile(root));
    notes.insert(notes.end(), compiler.shaper().notes().begin(), compiler.shaper().notes().end());
    return value;
  } catch (const Json::exception& error) {  // a keyword's value of a type that nothing above expected
    return fail(Code::kInvalidArgument, "schema: {}", error.what());
  }
}

}  // namespace bantam::runtime::grammar
