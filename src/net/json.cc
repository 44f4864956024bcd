#include "net/json.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace bantam::net {
namespace {

using nlohmann::json;

/// Builds the value and stops at too much depth and at a repeated key, of which nlohmann's own builder would
/// keep the last.
class Builder : public nlohmann::json_sax<json> {
 public:
  explicit Builder(size_t max_depth) : max_depth_(max_depth) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(json::binary_t&) override { return false; }  // never in text
  bool start_object(size_t) override { return enter(json::object()); }
  bool start_array(size_t) override { return enter(json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(std::string& name) override {
    if (open_.back()->contains(name)) {
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

  json root;
  const Error& error() const { return error_; }

 private:
  /// Where the value went; it stays there while it is open, since nothing is added beside it meanwhile.
  json* place(json value) {
    if (open_.empty()) return &(root = std::move(value));
    json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    return &parent.emplace_back(std::move(value));
  }
  bool add(json value) {
    place(std::move(value));
    return true;
  }
  bool enter(json empty) {
    if (open_.size() == max_depth_) {
      error_ = {Code::kLimit, fmt::format("nested deeper than {} levels", max_depth_)};
      return false;
    }
    open_.push_back(place(std::move(empty)));
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }

  size_t max_depth_;
  std::vector<json*> open_;
  std::string key_;
  Error error_;
};

}  // namespace

Result<json> parse_json(std::string_view text, std::string_view what, size_t max_depth) {
  try {
    Builder builder(max_depth);
    if (json::sax_parse(text, &builder)) return std::move(builder.root);
    return std::unexpected(Error(builder.error()).in(what));
  } catch (const std::exception& e) {
    return fail(Code::kLimit, "{}: {}", what, e.what());
  }
}

std::string to_text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace bantam::net
