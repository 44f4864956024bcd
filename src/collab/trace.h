#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"

namespace bantam::collab {

/// What a team's models did for one request, in order: becomes Reply::steps, and their sum its cost.
class Trace {
 public:
  /// Takes a reply's steps; an `outcome` that is not empty is what became of them.
  void add(chat::Reply& reply, std::string_view outcome = {});
  void add(chat::Step step) { steps_.push_back(std::move(step)); }
  /// A call that gave no reply. What it cost is not known here and counts as nothing.
  void add_failure(const std::string& model, std::string outcome, double seconds);
  /// One that began at `start` (wall_seconds) and ended now.
  void add_failure(const std::string& model, const Error& error, double start);
  /// What became of the first step, known only later.
  void settle_first(std::string_view outcome);
  void note(std::string text) { notes_.push_back(std::move(text)); }
  /// Gives everything to the reply that goes out; its own steps come last.
  chat::Reply finish(chat::Reply reply);

 private:
  std::vector<chat::Step> steps_;
  std::vector<std::string> notes_;
};

}  // namespace bantam::collab
