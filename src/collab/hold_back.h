#pragma once
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace bantam::collab {

/// The pieces of an answer, each kept back until `count` later ones have come: what has not been let out can
/// still be exchanged without anybody having seen it.
class HoldBack {
 public:
  explicit HoldBack(size_t count) : count_(count) {}

  /// Takes a piece; what may be let out now.
  std::string push(std::string_view piece) {
    held_.emplace_back(piece);
    std::string out;
    while (held_.size() > count_) {
      out += held_.front();
      held_.pop_front();
    }
    released_ += out;
    return out;
  }
  /// Everything that is still kept back.
  std::string flush() {
    std::string out;
    for (const std::string& piece : held_) out += piece;
    held_.clear();
    released_ += out;
    return out;
  }
  /// What was let out so far.
  const std::string& released() const { return released_; }

 private:
  size_t count_;
  std::deque<std::string> held_;
  std::string released_;
};

}  // namespace bantam::collab
