#pragma once
// Which model a conversation is with.

#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

namespace bantam::collab::routing {

/// A bounded table with expiry: the entry unused for longest makes room for a new one. Not for use from
/// several threads at once.
class Conversations {
 public:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    size_t model = 0;
    uint64_t needs = 0;  // of the request that chose it, as a hash
  };

  Conversations(size_t most, std::chrono::seconds stay) : most_(most), stay_(stay) {}
  /// None for a conversation that is unknown or was last used longer ago than it stays.
  std::optional<Entry> find(const std::string& key, Clock::time_point now) {
    const auto found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    if (now - found->second->used > stay_) {
      entries_.erase(found->second);
      index_.erase(found);
      return std::nullopt;
    }
    found->second->used = now;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->entry;
  }
  void put(const std::string& key, const Entry& entry, Clock::time_point now) {
    if (const auto found = index_.find(key); found != index_.end()) {
      found->second->entry = entry;
      found->second->used = now;
      entries_.splice(entries_.begin(), entries_, found->second);
      return;
    }
    if (most_ == 0) return;
    if (entries_.size() >= most_) {
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({key, entry, now});
    index_[key] = entries_.begin();
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Node {
    std::string key;
    Entry entry;
    Clock::time_point used;
  };
  size_t most_;
  std::chrono::seconds stay_;
  std::list<Node> entries_;  // the last used first
  std::unordered_map<std::string, std::list<Node>::iterator> index_;
};

}  // namespace bantam::collab::routing
