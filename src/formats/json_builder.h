#pragma once
// How a tree of JSON is built from what a parser meets, with the limits of formats/json.h. For parsers alone.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bantam::formats {

/// Builds the value and stops at too much depth and at a repeated key, of which nlohmann's own builder would
/// keep the last.
template <class Json>
class JsonBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit JsonBuilder(size_t max_depth) : max_depth_(max_depth) { open_.reserve(8); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(typename Json::binary_t&) override { return false; }  // never in text
  bool start_object(size_t) override { return enter(Json::object()); }
  bool start_array(size_t) override { return enter(Json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(std::string& name) override {
    if (!is_new(name)) {
      error_ = {Code::kCorrupt, fmt::format("the key '{}' stands twice in an object", name)};
      return false;
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error_ = {Code::kCorrupt, fmt::format("found no valid JSON at byte {}", position)};
    return false;
  }

  Json root;
  const Error& error() const { return error_; }

 private:
  /// Where the value went; it stays there while it is open, since nothing is added beside it meanwhile.
  Json* place(Json value) {
    if (open_.empty()) return &(root = std::move(value));
    Json& parent = *open_.back();
    if (parent.is_object()) return append(parent, std::move(value));
    return &parent.emplace_back(std::move(value));
  }
  Json* append(Json& object, Json value) {
    auto& members = object.template get_ref<typename Json::object_t&>();
    if constexpr (kOrdered) {
      // Past ordered_map's own search for the key, which takes time in proportion to the members so far.
      auto& list = static_cast<typename Json::object_t::Container&>(members);
      return &list.emplace_back(std::move(key_), std::move(value)).second;
    } else {
      return &members.emplace(std::move(key_), std::move(value)).first->second;
    }
  }
  /// Whether the innermost object has no such member yet.
  bool is_new(const std::string& name) {
    const auto& members = open_.back()->template get_ref<const typename Json::object_t&>();
    if constexpr (!kOrdered) {
      return members.find(name) == members.end();
    } else {
      if (members.size() < kFew)
        return std::none_of(members.begin(), members.end(), [&](const auto& m) { return m.first == name; });
      if (many_.empty() || many_.back().first != open_.size()) {
        many_.emplace_back(open_.size(), std::unordered_set<std::string>());
        for (const auto& member : members) many_.back().second.insert(member.first);
      }
      return many_.back().second.insert(name).second;
    }
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool enter(Json empty) {
    if (open_.size() == max_depth_) {
      error_ = {Code::kLimit, fmt::format("nested deeper than {} levels", max_depth_)};
      return false;
    }
    open_.push_back(place(std::move(empty)));
    return true;
  }
  bool leave() {
    if (!many_.empty() && many_.back().first == open_.size()) many_.pop_back();
    open_.pop_back();
    return true;
  }

  static constexpr bool kOrdered = std::is_same_v<Json, nlohmann::ordered_json>;
  static constexpr size_t kFew = 16;  // members that are looked through one by one

  size_t max_depth_;
  std::vector<Json*> open_;
  std::vector<std::pair<size_t, std::unordered_set<std::string>>>
      many_;  // keys of open objects of many, by depth
  std::string key_;
  Error error_;
};

}  // namespace bantam::formats
