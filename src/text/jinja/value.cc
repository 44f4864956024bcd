#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace bantam::text::jinja {
namespace {

/// What a key is found by: equal keys have equal names, as 1, 1.0 and true in Python.
std::string key_name(const Value& key) {
  switch (key.kind) {
    case Kind::kText:
      return "t" + key.text->bytes();
    case Kind::kBool:
    case Kind::kInt:
      return fmt::format("n{}", key.as_int());
    case Kind::kFloat:
      return key.real == std::floor(key.real) && std::abs(key.real) < 1e15
                 ? fmt::format("n{}", static_cast<int64_t>(key.real))
                 : "f" + real_text(key.real);
    default:
      return "o" + std::string(kind_name(key));
  }
}

}  // namespace

Value Value::none() {
  Value v;
  v.kind = Kind::kNone;
  return v;
}
Value Value::of(bool value) {
  Value v;
  v.kind = Kind::kBool;
  v.boolean = value;
  return v;
}
Value Value::of(int64_t value) {
  Value v;
  v.kind = Kind::kInt;
  v.integer = value;
  return v;
}
Value Value::of(double value) {
  Value v;
  v.kind = Kind::kFloat;
  v.real = value;
  return v;
}
Value Value::of(const TracedText* value) {
  Value v;
  v.kind = Kind::kText;
  v.text = value;
  return v;
}
Value Value::of(List* value) {
  Value v;
  v.kind = Kind::kList;
  v.list = value;
  return v;
}
Value Value::of(Dict* value) {
  Value v;
  v.kind = Kind::kDict;
  v.dict = value;
  return v;
}
Value Value::of(const Function* value) {
  Value v;
  v.kind = Kind::kFunction;
  v.function = value;
  return v;
}
Value Value::of(Loop* value) {
  Value v;
  v.kind = Kind::kLoop;
  v.loop = value;
  return v;
}

double Value::as_real() const { return kind == Kind::kFloat ? real : static_cast<double>(as_int()); }

const Value* Dict::find(std::string_view key) const {
  auto found = index_.find("t" + std::string(key));
  return found == index_.end() ? nullptr : &items_[found->second].second;
}

const Value* Dict::find(const Value& key) const {
  auto found = index_.find(key_name(key));
  return found == index_.end() ? nullptr : &items_[found->second].second;
}

void Dict::set(const Value& key, const Value& value) {
  auto [place, fresh] = index_.emplace(key_name(key), items_.size());
  if (fresh) {
    items_.emplace_back(key, value);
  } else {
    items_[place->second].second = value;
  }
}

std::optional<Value> Dict::remove(const Value& key) {
  auto found = index_.find(key_name(key));
  if (found == index_.end()) return std::nullopt;
  const size_t at = found->second;
  const Value value = items_[at].second;
  index_.erase(found);
  items_.erase(items_.begin() + static_cast<ptrdiff_t>(at));
  for (auto& [name, place] : index_) place -= place > at ? 1 : 0;
  return value;
}

Value Heap::text(TracedText text) { return Value::of(&texts_.emplace_back(std::move(text))); }
List* Heap::list(std::vector<Value> items, bool tuple) {
  return &lists_.emplace_back(List{std::move(items), tuple});
}
Dict* Heap::dict() { return &dicts_.emplace_back(); }
const Function* Heap::function(Function function) { return &functions_.emplace_back(std::move(function)); }
Scope* Heap::scope(Scope* parent) { return &scopes_.emplace_back(Scope{parent, {}}); }
Loop* Heap::loop(Loop loop) { return &loops_.emplace_back(loop); }

Value Heap::undefined(std::string_view name) {
  Value v = text(name);
  v.kind = Kind::kUndefined;
  return v;
}

Status Heap::charge(uint64_t bytes) {
  bytes_ += std::min(bytes, limits_.bytes + 1);
  if (bytes_ > limits_.bytes)
    return fail(Code::kLimit, "found more than {} bytes of text made, expected fewer", limits_.bytes);
  return {};
}

Status Heap::step() {
  if (++steps_ > limits_.steps)
    return fail(Code::kLimit, "found more than {} steps, expected fewer (a loop that does not end?)",
                limits_.steps);
  return {};
}

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent) {
    for (const auto& [key, value] : scope->variables) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, const Value& value) {
  for (auto& [key, old] : variables) {
    if (key == name) {
      old = value;
      return;
    }
  }
  variables.emplace_back(name, value);
}

namespace {

Result<Value> json_value(const nlohmann::ordered_json& json, Heap& heap, Source source, size_t depth) {
  if (depth > kNesting) return fail(Code::kLimit, "found nesting deeper than {}, expected less", kNesting);
  BANTAM_TRY(heap.charge(sizeof(Value)));
  using Type = nlohmann::ordered_json::value_t;
  switch (json.type()) {
    case Type::boolean:
      return Value::of(json.get<bool>());
    case Type::number_integer:
      return Value::of(json.get<int64_t>());
    case Type::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) return Value::of(json.get<double>());
      return Value::of(json.get<int64_t>());
    case Type::number_float:
      return Value::of(json.get<double>());
    case Type::string: {
      const auto& text = json.get_ref<const std::string&>();
      BANTAM_TRY(heap.charge(text.size()));
      return heap.text(text, source);
    }
    case Type::array: {
      List* list = heap.list();
      for (const auto& item : json) {
        BANTAM_ASSIGN(const Value value, json_value(item, heap, source, depth + 1));
        list->items.push_back(value);
      }
      return Value::of(list);
    }
    case Type::object: {
      Dict* dict = heap.dict();
      for (const auto& [key, item] : json.items()) {
        BANTAM_TRY(heap.charge(key.size() + sizeof(Value)));
        BANTAM_ASSIGN(const Value value, json_value(item, heap, source, depth + 1));
        dict->set(heap.text(key, source), value);
      }
      return Value::of(dict);
    }
    default:
      return Value::none();
  }
}

}  // namespace

Result<Value> from_json(const nlohmann::ordered_json& json, Heap& heap, Source source) {
  return json_value(json, heap, source, 0);
}

std::string_view kind_name(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kText:
      return "str";
    case Kind::kList:
      return value.list->tuple ? "tuple" : "list";
    case Kind::kDict:
      return value.dict->name_space ? "Namespace" : "dict";
    case Kind::kFunction:
      return "function";
    case Kind::kLoop:
      return "loop";
  }
  return "?";
}

bool truthy(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.boolean;
    case Kind::kInt:
      return value.integer != 0;
    case Kind::kFloat:
      return value.real != 0;
    case Kind::kText:
      return !value.text->empty();
    case Kind::kList:
      return !value.list->items.empty();
    case Kind::kDict:
      return value.dict->name_space || !value.dict->items().empty();
    default:
      return true;
  }
}

bool equal(const Value& a, const Value& b, size_t depth) {
  if (depth > kNesting) return false;
  if (a.is_number() && b.is_number()) {
    if (!a.is(Kind::kFloat) && !b.is(Kind::kFloat)) return a.as_int() == b.as_int();
    return a.as_real() == b.as_real();
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kText:
      return a.text->bytes() == b.text->bytes();
    case Kind::kList:
      return a.list->tuple == b.list->tuple &&
             std::ranges::equal(a.list->items, b.list->items,
                                [&](const Value& x, const Value& y) { return equal(x, y, depth + 1); });
    case Kind::kDict:
      if (a.dict == b.dict) return true;
      if (a.dict->items().size() != b.dict->items().size()) return false;
      return std::ranges::all_of(a.dict->items(), [&](const auto& item) {
        const Value* other = b.dict->find(item.first);
        return other != nullptr && equal(item.second, *other, depth + 1);
      });
    case Kind::kFunction:
      return a.function == b.function;
    case Kind::kLoop:
      return a.loop == b.loop;
    default:
      return true;  // both none, or both undefined
  }
}

Result<int> compare(const Value& a, const Value& b, size_t depth) {
  auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (a.is_number() && b.is_number()) {
    if (!a.is(Kind::kFloat) && !b.is(Kind::kFloat)) return order(a.as_int(), b.as_int());
    return order(a.as_real(), b.as_real());
  }
  if (a.is(Kind::kText) && b.is(Kind::kText)) return order(a.text->bytes(), b.text->bytes());
  if (a.is(Kind::kList) && b.is(Kind::kList) && depth < kNesting) {
    const auto& x = a.list->items;
    const auto& y = b.list->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (equal(x[i], y[i])) continue;
      return compare(x[i], y[i], depth + 1);
    }
    return order(x.size(), y.size());
  }
  return fail(Code::kInvalidArgument, "found {} and {}, expected values that have an order", kind_name(a),
              kind_name(b));
}

}  // namespace bantam::text::jinja
